"""Alignment of programming languages in a model's hidden states: MEXA."""

from codingspot.alignment.align import (
    ALL_ROWS,
    DISTINCT_ROWS,
    Alignment,
    AlignSettings,
    align,
    alignment_inputs,
    extremes,
    language_means,
)

__all__ = [
    "ALL_ROWS",
    "DISTINCT_ROWS",
    "AlignSettings",
    "Alignment",
    "align",
    "alignment_inputs",
    "extremes",
    "language_means",
]
