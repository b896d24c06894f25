"""Editing a spot in place and undoing it bit for bit; random, matched and other controls; super weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

from codingspot.lazy import load_lazily

if TYPE_CHECKING:
    from codingspot.ablation.comparisons import CONTROLS, Controlled, ControlTraits, is_random
    from codingspot.ablation.controls import binned_control, matched_control, uniform_control
    from codingspot.ablation.editor import WeightEditor, edited
    from codingspot.ablation.edits import EDITS, EditTraits, Site
    from codingspot.ablation.super_weights import super_weights

__all__ = [
    "CONTROLS",
    "EDITS",
    "ControlTraits",
    "Controlled",
    "EditTraits",
    "Site",
    "WeightEditor",
    "binned_control",
    "edited",
    "is_random",
    "matched_control",
    "super_weights",
    "uniform_control",
]

load_lazily(__name__)
