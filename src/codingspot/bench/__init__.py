"""A benchmark of localisation methods on models where the place of coding is known, and where it is not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from codingspot.bench import rankings as rankings  # registers its methods
from codingspot.lazy import load_lazily

if TYPE_CHECKING:
    from codingspot.bench.entries import all_methods, default_methods
    from codingspot.bench.methods import METHODS, BenchInput, MethodTraits
    from codingspot.bench.run import run_bench

__all__ = ["METHODS", "BenchInput", "MethodTraits", "all_methods", "default_methods", "run_bench"]

load_lazily(__name__)
