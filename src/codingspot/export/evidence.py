"""What a run found of a spot: the verdict in words, and the table of its doses beside their controls."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from codingspot.errors import ArtefactError
from codingspot.report.run_files import read_run, require_directory
from codingspot.report.specificity import judge
from codingspot.report.summary import summarise
from codingspot.report.table import to_markdown
from codingspot.report.tables import retention
from codingspot.report.words import sentence
from codingspot.spot import Spot


@dataclass(frozen=True)
class Evidence:
    """What a run says of one spot.

    Attributes:
        verdict: in words.
        table: doses and controls, as Markdown.
        record: verdict and cells as plain data.
    """

    verdict: str
    table: str
    record: Mapping[str, Any]


def find_evidence(directory: Path, spot: Spot) -> Evidence:
    """What the run in ``directory`` found of the spot.

    Raises:
        ArtefactError: it is no run directory, or none of its spots begins as this one does, or the other way round.
    """
    require_directory(directory)
    run = read_run(directory)
    summary = summarise(run)
    names = [name for name in summary.plan.spots() if _same(directory / "spots" / f"{name}.safetensors", spot)]
    if not names:
        tried = ", ".join(summary.plan.spots()) or "none"
        raise ArtefactError(f"{directory} did not try this spot (it tried {tried}); give the run that the spot is of")
    finding = judge(summary, names[0], run.density)
    table = retention(run, summary)
    rows = tuple(row for row in table.rows if row.spot == names[0] or row.role == "original")
    return Evidence(
        sentence(summary, finding),
        to_markdown(replace(table, rows=rows)).partition("\n")[2].replace("\n## ", "\n### ").strip(),
        {
            "spot": names[0],
            "verdict": str(finding.verdict),
            "said": sentence(summary, finding),
            "cells": [cell.record() for cell in summary.cells if cell.cell.spot in (None, names[0])],
        },
    )


def _same(file: Path, spot: Spot) -> bool:
    if not file.is_file():
        return False
    other = Spot.load(file)
    shorter = min(len(spot), len(other))
    return other.layout == spot.layout and torch.equal(spot.positions[:shorter], other.positions[:shorter])
