"""Whether each language has a region of its own, and where code and general text need the same parameters."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

import pandas as pd

from codingspot.analysis_registry import ANALYSES, DOSES_COMPARED, AnalysisTraits, Given, Tables, stacked
from codingspot.importance import disjoint_draws, merge
from codingspot.models import scope_sizes
from codingspot.report.drawing import Picture
from codingspot.report.labels import domain_label, dose, scope_label
from codingspot.report.rows import over
from codingspot.report.run_files import Run
from codingspot.report.section import REGIONS, REGIONS_READING, Section
from codingspot.report.specificity import Finding
from codingspot.report.squares import square_panel, symmetric
from codingspot.report.summary import RunSummary
from codingspot.report.table import Column, Number, Row, Table, Value
from codingspot.spot import domain_overlap, domain_spots, general_overlap
from codingspot.tables import TENSOR, analysis_table, figure, k_percent, share, texts, whole

if TYPE_CHECKING:
    from codingspot.study.config import Study

_SHOWN_K: Final = 0.25
"""The picture, and the overlap by module, are at the dose nearest to this."""


def _sections(run: Run, _summary: RunSummary, _findings: Sequence[Finding]) -> Iterator[Section]:
    pairs, tensors = run.further.get("overlap"), run.further.get("overlap_tensors")
    if pairs is not None:
        general = {domain.name for domain in run.plan.domains if domain.kind == "general"}
        yield Section(REGIONS_READING, _pictures(pairs), (_table(pairs, general),), title=REGIONS)
    if tensors is not None and len(tensors):
        yield Section(
            "Modules in which both share far more than chance are where removing code can't spare general ability.",
            tables=(_by_module(tensors),),
            title="Where do code and general text need the same parameters?",
        )


def _nearest(table: pd.DataFrame) -> float:
    return float(min(table["k_percent"].unique(), key=lambda k: abs(math.log(k / _SHOWN_K))))


def _pictures(table: pd.DataFrame) -> tuple[Picture, ...]:
    """Jaccard index across halves of the text of every pair of domains, one panel a scope; none without halves."""
    if "split_jaccard" not in table or table["split_jaccard"].isna().all():
        return ()
    k = _nearest(table)
    panels = []
    for scope in table["scope"].unique():
        rows = table[(table["k_percent"] == k) & (table["scope"] == scope)]
        names = list(dict.fromkeys([*rows["first"], *rows["second"]]))
        values = rows.pivot(index="first", columns="second", values="split_jaccard").reindex(names, columns=names)
        square = symmetric(values, names)
        panels.append(
            square_panel(
                f"scope {scope}",
                f"Jaccard index of the domains' spots at {dose(k)} across halves of the text, scope {scope}; the "
                "diagonal is a domain with itself.",
                square,
                "share",
            )
        )
    caption = (
        f"Percentage (Jaccard index) of the top {dose(k)} that two domains share across halves of the text. The "
        "diagonal is a domain with itself: what another sample of text leaves of one region. Pairs as dark as their "
        "diagonals share one region."
    )
    return (Picture("shared_regions", "Which domains share a region?", caption, tuple(panels)),)


def _table(table: pd.DataFrame, general: set[str]) -> Table:
    """How far domains' spots coincide, pooled: a language with itself, two languages, a language and general text."""
    columns = (
        Column("pair", "Pair"),
        Column("k_percent", "k", "dose"),
        Column("jaccard", "Jaccard", "score", has_range=True),
        Column("split_jaccard", "Across halves", "score", has_range=True),
        Column("expected_jaccard", "By chance", "score"),
        Column("chance_jaccard", "Chance, 95%", "score"),
    )
    caption = (
        "Jaccard index of the parameters that two domains need most by their own scores: mean over pairs (smallest to "
        "largest). Across halves: the spot of one in one half of the text beside that of the other in the other half, "
        "so that a language with itself shows what another sample of text alone leaves of one region. Languages whose "
        "index across halves is near that share one region; those near chance have regions of their own. By chance: "
        "expectation and 0.95 quantile for random selections of the same size (hypergeometric)."
    )
    return Table("overlap", "Regions of the languages", caption, columns, tuple(_rows(table, general)))


def _rows(table: pd.DataFrame, general: set[str]) -> Iterator[Row]:
    first, second = table["first"].isin(general), table["second"].isin(general)
    kinds = {
        "A language with itself": (table["first"] == table["second"]) & ~first,
        "Two languages": (table["first"] != table["second"]) & ~first & ~second,
        "A language and general text": first ^ second,
    }
    for scope in table["scope"].unique():
        heading = f"Scope {scope} ({scope_label(scope)})"
        for k in sorted(table["k_percent"].unique()):
            here = (table["scope"] == scope) & (table["k_percent"] == k)
            for kind, chosen in kinds.items():
                rows = table[chosen & here]
                if not len(rows):
                    continue
                values: tuple[Value, ...] = (
                    kind,
                    Number(float(k)),
                    over(rows["jaccard"].dropna()),
                    over(rows["split_jaccard"] if "split_jaccard" in rows else pd.Series(dtype=float)),
                    *(over(table[here][name].dropna()) for name in ("expected_jaccard", "chance_jaccard")),
                )
                yield Row(str(scope), heading, "spot", values)


def _by_module(table: pd.DataFrame) -> Table:
    """Where the spot of all languages and that of general text coincide, by kind of module."""
    columns = (
        Column("module", "Module"),
        Column("second", "With"),
        Column("parameters", "Parameters", "count"),
        Column("first_selected", "Code", "count"),
        Column("second_selected", "General", "count"),
        Column("common", "Both", "count"),
        Column("expected", "By chance", "score"),
        Column("times", "Times chance", "ratio"),
    )
    shown = _nearest(table)
    sums = ["parameters", "first_selected", "second_selected", "common", "expected"]
    pooled = table[table["k_percent"] == shown].groupby(["scope", "second", "kind"], sort=False)[sums].sum()
    rows = []
    for row in pooled.reset_index().to_dict("records"):
        heading = f"Scope {row['scope']} ({scope_label(row['scope'])})"
        times = row["common"] / row["expected"] if row["expected"] else None
        numbers = (*(Number(float(row[name])) for name in sums), Number(times))
        rows.append(Row(row["scope"], heading, "spot", (row["kind"], domain_label(row["second"]), *numbers)))
    caption = (
        f"The top {dose(shown)} for all languages together (sum of their scores) and for general text, counted by kind "
        "of module. By chance: what as many parameters drawn at random in each tensor would share. Far more than "
        "chance: code and general text need the same parameters there."
    )
    return Table("overlap_by_module", "Code and general text, module by module", caption, columns, tuple(rows))


_COUNTS = (figure("parameters", 0), figure("common", 0), figure("expected", 0))


@ANALYSES.register(
    "overlap",
    label=REGIONS,
    traits=AnalysisTraits(
        {
            "overlap": analysis_table(
                *texts("scope", "first", "second"),
                k_percent(),
                *_COUNTS,
                *map(share, ("jaccard", "expected_jaccard", "chance_jaccard", "p_value")),
                *(share(name, absent=True) for name in ("split_jaccard", "split_low", "split_high")),
            ),
            "overlap_tensors": analysis_table(
                *texts("scope", "first", "second"),
                k_percent(),
                *TENSOR,
                *map(whole, ("first_selected", "second_selected", "common")),
                figure("expected", 0),
                *map(share, ("jaccard", "expected_jaccard", "p_value")),
            ),
        },
        _sections,
        after="scores",
        place=40,
        key=lambda made: [made.asked, _scopes(made.study)],
    ),
)
def overlap(given: Given) -> Tables:
    """How far the domains' spots coincide in every scope of the study, and code's with general text by tensor.

    From draws that make two halves of the text, each pair of domains is compared across them as well.
    """
    if not given.draws:
        return {}
    store, budgets = merge(given.draws), disjoint_draws(given.draws)
    halves = budgets[max(budgets)][:2] if budgets else ()
    pairs, tensors, sizes = [], [], scope_sizes(store.layout)
    for scope in _scopes(given.study):
        doses = [k for k in DOSES_COMPARED if store.layout.total * k / 100 <= sizes[scope]]
        if not doses:
            continue
        largest = max(doses)
        spots = domain_spots(store, max_k_percent=largest, scope=scope)
        split = [domain_spots(half, max_k_percent=largest, scope=scope) for half in halves]
        pairs.append(domain_overlap(spots, doses, halves=split).assign(scope=scope))
        if store.names("code") and store.names("general"):
            tensors.append(general_overlap(store, doses, scope=scope).assign(scope=scope))
    return stacked(overlap=pairs, overlap_tensors=tensors)


def _scopes(study: Study) -> list[str]:
    return list(dict.fromkeys(section.scope for section in study.spots))
