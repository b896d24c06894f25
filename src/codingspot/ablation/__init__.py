"""Editing a spot in place and undoing it bit for bit; random, matched and other controls; super weights."""

from codingspot.ablation.comparisons import CONTROLS, Controlled, has_own_size, is_random, of_own_size
from codingspot.ablation.controls import binned_control, matched_control, uniform_control
from codingspot.ablation.editor import WeightEditor, edited
from codingspot.ablation.edits import EDITS, Site, edits_the_rest, of_the_rest
from codingspot.ablation.super_weights import super_weights

__all__ = [
    "CONTROLS",
    "EDITS",
    "Controlled",
    "Site",
    "WeightEditor",
    "binned_control",
    "edited",
    "edits_the_rest",
    "has_own_size",
    "is_random",
    "matched_control",
    "of_own_size",
    "of_the_rest",
    "super_weights",
    "uniform_control",
]
