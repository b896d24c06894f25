"""Editing a spot in place and undoing it bit for bit; random and matched controls."""

from codingspot.ablation.comparisons import CONTROLS, Controlled, is_random
from codingspot.ablation.controls import binned_control, matched_control, uniform_control
from codingspot.ablation.editor import WeightEditor, edited
from codingspot.ablation.edits import EDITS, Site

__all__ = [
    "CONTROLS",
    "EDITS",
    "Controlled",
    "Site",
    "WeightEditor",
    "binned_control",
    "edited",
    "is_random",
    "matched_control",
    "uniform_control",
]
