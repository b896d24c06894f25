"""Further questions that a run answers: for each one sentence on how to read the answer, its pictures and tables."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass


@dataclass(frozen=True)
class Question:
    """One collapsible part of the page; ``pictures`` and ``tables`` name those that the run has."""

    title: str
    reading: str
    pictures: tuple[str, ...]
    tables: tuple[str, ...]


_QUESTIONS = (
    Question(
        "Does each language have a region of its own?",
        "If zeroing one language's spot harms all languages alike, and their spots coincide as far as one does with "
        "itself in other text, the region is shared.",
        ("language_matrix", "shared_regions"),
        ("language_problems", "overlap"),
    ),
    Question(
        "Where do code and general text need the same parameters?",
        "Modules in which both share far more than chance are where removing code can't spare general ability.",
        (),
        ("overlap_by_module",),
    ),
    Question(
        "Do the spot's parameters serve one domain or many?",
        "A spot whose entropy is far below that of random parameters of the same tensors serves few domains.",
        (),
        ("polysemanticity",),
    ),
    Question(
        "Would other text find the same spot?",
        "A Jaccard index far above the 95% quantile of chance, and near 1, says that the spot is the model's and not "
        "the sample's.",
        (),
        ("reliability", "unit_reliability"),
    ),
    Question(
        "Is the spot sufficient?",
        "Zeroing shows what is necessary; keeping the spot alone beside a base set shows whether it suffices.",
        (),
        ("sufficiency",),
    ),
    Question(
        "Do the scores predict what the edit does?",
        "Scores are first-order terms; where actual changes of loss leave the dotted line, the ranking rests on more "
        "than they say.",
        ("prediction",),
        ("prediction",),
    ),
    Question(
        "How many items did it take?",
        "Cells whose intervals settled early used few items; their rates are rounder than their verdict.",
        (),
        ("sequential",),
    ),
)


def answered(tables: Collection[str], pictures: Collection[str]) -> tuple[Question, ...]:
    """The questions that a run answers, with the tables and pictures that it has."""
    found = (
        Question(
            question.title,
            question.reading,
            tuple(name for name in question.pictures if name in pictures),
            tuple(name for name in question.tables if name in tables),
        )
        for question in _QUESTIONS
    )
    return tuple(question for question in found if question.tables or question.pictures)
