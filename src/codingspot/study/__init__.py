"""Studies: the study file, its cells, the run directory, and running it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from codingspot.lazy import load_lazily

if TYPE_CHECKING:
    from codingspot.study.cells import Cell, Plan
    from codingspot.study.config import Study
    from codingspot.study.directory import RunDirectory
    from codingspot.study.ray_cluster import Workers
    from codingspot.study.reading import load_study, parse_study
    from codingspot.study.run import run_study

__all__ = ["Cell", "Plan", "RunDirectory", "Study", "Workers", "load_study", "parse_study", "run_study"]

load_lazily(__name__)
