"""Editing a spot in place and undoing it bit for bit; random and matched controls."""

from codingspot.ablation.controls import matched_control, uniform_control
from codingspot.ablation.edits import EDITS, WeightEditor, edited

__all__ = ["EDITS", "WeightEditor", "edited", "matched_control", "uniform_control"]
