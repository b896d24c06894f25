"""Figures that others published for the Coding Spot, shipped as data.

In percent as printed. ``PAPER_DERIVED`` are the columns the paper computed from its own rates (Tables 1 and 3).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

GENERAL_TASKS = ("gsm8k", "hellaswag", "mmlu", "truthfulqa", "winogrande")
CODE_TASK = "humaneval"


@dataclass(frozen=True)
class PublishedCell:
    """Rates of one model under one condition.

    Attributes:
        source: where the figures stand.
        model: Hub id.
        condition: "original", "spot", "random" or "bottom" (the lowest-scored parameters).
        k_percent: percentage of parameters set to zero; None for the original model.
        rates: task to rate, in 0-1.
    """

    source: str
    model: str
    condition: str
    k_percent: float | None
    rates: Mapping[str, float]


@dataclass(frozen=True)
class PublishedDerived:
    """What the paper computed for one spot: average and changes in percent, and M_s."""

    model: str
    k_percent: float
    average: float
    gtc_percent: float
    code_change_percent: float
    m_s: float


def paper_cells() -> list[PublishedCell]:
    """Rates in Tables 1 and 2 of the Coding Spot (arXiv 2412.07113)."""
    return [_cell(row) for row in _data()["paper"]]


def paper_derived() -> list[PublishedDerived]:
    """Derived columns of Tables 1 and 3 of the Coding Spot."""
    return [PublishedDerived(**row) for row in _data()["paper_derived"]]


def replication_cells() -> list[PublishedCell]:
    """Rates of the independent replication (SSU-NLP/parametic-report)."""
    return [_cell(row) for row in _data()["replication"]]


def code_region() -> list[dict[str, Any]]:
    """Changes in percent that the Code Region published for Llama 3.1 8B Instruct."""
    return [dict(row) for row in _data()["code_region"]]


def setup_note() -> str:
    """What is known of how these figures were measured."""
    return str(_data()["note"])


@cache
def _data() -> dict[str, Any]:
    text = files(__package__).joinpath("published.json").read_text(encoding="utf-8")
    loaded: dict[str, Any] = json.loads(text)
    return loaded


def _cell(row: Mapping[str, Any]) -> PublishedCell:
    rates = {task: row[task] / 100 for task in (*GENERAL_TASKS, CODE_TASK)}
    return PublishedCell(row["source"], row["model"], row["condition"], row["k_percent"], rates)
