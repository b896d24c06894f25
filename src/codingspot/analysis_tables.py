"""The tables of a run's analyses: the file stem of each, its columns and their types, declared here and nowhere else.

What the columns mean is said by what makes a table. Figures that may not be defined may be missing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import pandas as pd

from codingspot.tables import Column, TableSchema, number, text, truth, whole

LEARNING: Final = "learning-"
"""Beginning of the stem of a learned spot's loss curve; the spot's name follows."""
UNITS: Final = "units-"
"""Beginning of the stem of the table of a spot's units; the spot's name follows."""


def _k() -> Column:
    return number("k_percent", 0, 100)


def _share(name: str, *, absent: bool = False) -> Column:
    """A share, rate, index or probability: from 0 to 1, or not defined."""
    return number(name, 0, 1, optional=True, absent=absent)


def _figure(name: str, low: float | None = None, *, absent: bool = False) -> Column:
    return number(name, low, optional=True, absent=absent)


def _correlation(name: str) -> Column:
    return number(name, -1, 1, optional=True)


def _texts(*names: str) -> Iterator[Column]:
    return map(text, names)


def _domain_kind(name: str = "kind") -> Column:
    return text(name, "code", "general")


_TENSOR = (text("tensor"), whole("layer", optional=True), text("block"), text("kind"), whole("parameters"))
_GROUP = (text("group", "spot", "random"), whole("seed", optional=True), _k())
_OVERLAP = (
    _figure("parameters", 0),
    _figure("common", 0),
    _figure("expected", 0),
    *map(_share, ("jaccard", "expected_jaccard", "chance_jaccard", "p_value")),
)
_SPLIT = tuple(_share(name, absent=True) for name in ("split_jaccard", "split_low", "split_high"))
_SILENCED = (*_texts("ablated", "control"), whole("seed", -1), whole("neurons"))

_OF_STUDIES: Mapping[str, TableSchema] = {
    stem: TableSchema(columns, pandas_types=True)
    for stem, columns in {
        "density": (text("spot"), _k(), *_TENSOR, whole("selected"), _share("density"), _share("share")),
        "agreement": (
            text("comparison"),
            *(text(name, optional=True, absent=True) for name in ("first", "second")),
            _k(),
            _share("jaccard"),
            _share("expected_jaccard"),
            _correlation("spearman"),
            _figure("token_budget", 0, absent=True),
            _figure("pairs", 0, absent=True),
            _share("lowest_jaccard", absent=True),
        ),
        "overlap": (*_texts("scope", "first", "second"), _k(), *_OVERLAP, *_SPLIT),
        "overlap_tensors": (
            *_texts("scope", "first", "second"),
            _k(),
            *_TENSOR,
            *map(whole, ("first_selected", "second_selected", "common")),
            _figure("expected", 0),
            *map(_share, ("jaccard", "expected_jaccard", "p_value")),
        ),
        "polysemanticity": (
            text("spot"),
            *_GROUP,
            *map(whole, ("parameters", "undefined")),
            *map(_share, ("mean", "q05", "q25", "q50", "q75", "q95", "q50_low", "q50_high")),
        ),
        "shares": (text("spot"), *_GROUP, text("domain"), _domain_kind(), _share("share")),
        "reliability": (
            *_texts("spot", "split"),
            _k(),
            *map(whole, ("parameters", "pairs")),
            *map(_share, ("jaccard", "lowest_jaccard", "highest_jaccard", "expected_jaccard", "chance_jaccard")),
            *map(_correlation, ("spearman", "lowest_spearman")),
        ),
        "prediction": (*_texts("cell", "domain"), _domain_kind(), whole("parameters"), number("predicted")),
        "language_matrix": (
            text("spot"),
            _domain_kind("spot_kind"),
            text("measure", "loss", "pass@1"),
            text("of"),
            *map(_figure, ("original", "value", "low", "high")),
            _k(),
            whole("parameters"),
            *_texts("scope", "recipe"),
        ),
        "sequential": (
            *_texts("cell", "question"),
            *map(whole, ("items", "available")),
            *map(_figure, ("low", "high")),
        ),
        "asked": (text("cell"), text("asked", "dead", "dose", "unmoved"), whole("items")),
        "finetuning_losses": (whole("seed"), text("domain"), whole("step"), number("loss")),
        "importance_distribution": (
            text("domain"),
            *map(whole, ("step", "seed")),
            *_TENSOR,
            whole("head", optional=True),
            _figure("mean", 0),
            _share("share"),
        ),
        "importance_evolution": (
            text("comparison", "steps", "domains", "seeds"),
            *_texts("first_domain", "second_domain"),
            *map(whole, ("first_step", "first_seed", "second_step", "second_seed")),
            _k(),
            *map(_share, ("jaccard", "expected_jaccard")),
            _correlation("spearman"),
        ),
        LEARNING: (
            text("spot"),
            whole("step"),
            text("part", "training", "validation"),
            _k(),
            *map(number, ("code_loss", "general_loss", "objective")),
        ),
        UNITS: (
            text("spot"),
            whole("rank", 1),
            *map(whole, ("layer", "expert", "index", "parameters")),
            number("code"),
            *map(_figure, ("general", "key")),
            _figure("effect", absent=True),
            truth("selected"),
        ),
    }.items()
}

_OF_VIEWS: Mapping[str, TableSchema] = {
    stem: TableSchema(columns, way_out="delete it and run the analysis again")
    for stem, columns in {
        "neurons": (
            *_texts("selection", "domain"),
            *map(whole, ("rank", "layer", "expert", "neuron")),
            *map(_share, ("rate", "elsewhere")),
            _figure("entropy", 0),
            truth("exclusive"),
        ),
        "neurons_layers": (
            *_texts("selection", "domain"),
            *map(whole, ("layer", "specific", "exclusive", "neurons")),
        ),
        "neurons_sharing": (
            *_texts("selection", "first", "second"),
            whole("layer", -1),
            whole("shared"),
            *map(_share, ("specific", "active")),
        ),
        "neurons_sweep": (
            *_texts("selection", "varied"),
            number("quantile", 0, 1),
            text("domain"),
            *map(whole, ("tokens", "selected")),
            _share("jaccard"),
        ),
        "neurons_ablation": (
            text("selection"),
            *_SILENCED,
            text("evaluated"),
            whole("tokens"),
            number("loss"),
            _figure("ratio", 0),
        ),
        "neurons_tasks": (*_SILENCED, text("task"), whole("items", 1), number("rate", 0, 1), number("original", 0, 1)),
        "alignment": (
            whole("layer"),
            *_texts("first", "second", "pairs"),
            *map(whole, ("rows", "hits")),
            *map(_share, ("score", "null_mean", "null_high", "p_value")),
        ),
        "alignment_pooled": (
            *_texts("first", "second", "pairs"),
            *map(whole, ("rows", "identical")),
            *map(_share, ("mean", "max")),
            whole("best_layer", -1),
        ),
        "alignment_texts": (text("language"), *map(whole, ("rows", "duplicates", "tokens", "cut"))),
        "lens_sets": (
            *_texts("source", "target"),
            whole("layer"),
            text("set"),
            text("kind", "all", "own"),
            whole("size"),
            *map(_share, ("share", "probability")),
            _figure("lift", 0),
            number("best_rank", 1),
        ),
        "lens_targets": (
            *_texts("source", "target"),
            *map(whole, ("layer", "positions")),
            number("probability", 0, 1),
            number("log_probability"),
            number("rank", 1),
            number("first", 0, 1),
            number("entropy", 0),
        ),
        "lens_tokens": (
            *_texts("source", "target"),
            *map(whole, ("layer", "place")),
            text("token"),
            number("probability", 0, 1),
        ),
        "lens_example": (
            *_texts("source", "target"),
            *map(whole, ("layer", "position", "place")),
            text("token"),
            number("probability", 0, 1),
            text("answer"),
            truth("right"),
        ),
        "lens_generation": (*_texts("source", "target", "method", "found"), whole("answers")),
        "lens_keywords": (*_texts("set", "kind"), *map(whole, ("tokens", "skipped"))),
        "across_profiles": (
            *_texts("view", "spot"),
            whole("layer"),
            number("depth", 0, 1),
            *map(_figure, ("value", "relative")),
        ),
        "across_pairs": (text("overlap"), whole("pairs"), _correlation("rho"), _share("p_value")),
        "across_spots": (
            *_texts("spot_name", "domain"),
            *map(whole, ("layer", "spot", "inside")),
            number("expected", 0),
        ),
        "across_ablation": (
            *_texts("ablated", "spot", "evaluated"),
            whole("parameters"),
            whole("tokens"),
            number("loss"),
            _figure("ratio", 0),
        ),
    }.items()
}

TABLES: Final[Mapping[str, TableSchema]] = {**_OF_STUDIES, **_OF_VIEWS}
"""File stem to the table."""


def write_table(folder: Path, stem: str, frame: pd.DataFrame) -> None:
    """Write one table of an analysis into ``folder``, whole or not at all.

    Raises:
        ArtefactError: ``frame`` is not what is declared of a table of that name.
    """
    _schema(stem).write(folder / f"{stem}.parquet", frame)


def read_table(folder: Path, stem: str) -> pd.DataFrame:
    """Read one table of an analysis from ``folder``.

    Raises:
        ArtefactError: it is missing, truncated or corrupt, or not what is declared of a table of that name.
    """
    return _schema(stem).read(folder / f"{stem}.parquet")


def _schema(stem: str) -> TableSchema:
    beginning = next((each for each in (LEARNING, UNITS) if stem.startswith(each)), stem)
    return TABLES[beginning]
