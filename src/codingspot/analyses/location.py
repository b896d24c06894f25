"""Whether a spot is the place of an ability: whether its recipe finds another as good, and other text the same."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from math import inf, nan
from typing import TYPE_CHECKING, Final, NamedTuple

import pandas as pd

from codingspot.analysis_registry import ANALYSES, AnalysisTraits, Given, MadeFrom, Tables, stacked
from codingspot.errors import SelectionError, StudyError
from codingspot.evaluation.loss_changes import loss_changes
from codingspot.report.labels import dose
from codingspot.report.run_files import Run
from codingspot.report.section import Section
from codingspot.report.specificity import Finding
from codingspot.report.summary import RunSummary
from codingspot.report.table import Column, Row, Table, number
from codingspot.study.cells import ORIGINAL, Cell
from codingspot.tables import analysis_table, domain_kind, figure, k_percent, text, whole

if TYPE_CHECKING:
    from codingspot.spot import Spot

ALTERNATIVE, OVERLAP = 0.5, 0.5
"""A located spot's alternative does at most this share of its harm, and halves of the text share at least this much."""
_SPOT, _ALTERNATIVE = "spot", "alternative"
_FIGURES: Final = ("k_percent", "parameters", "code", "general")
_NAMES: Final = {_SPOT: "The spot", _ALTERNATIVE: "What its recipe finds without it"}


class Located(NamedTuple):
    """What speaks for a spot's being the place; each None where it isn't known.

    Attributes:
        alternative: rise of the loss of code under what the recipe finds without the spot, over the spot's own.
        overlap: Jaccard index of what it finds in two halves of the text; 0 where chance would do as well, at 5%.
    """

    alternative: float | None
    overlap: float | None

    @property
    def word(self) -> str:
        """``located`` where an alternative does less and text agrees; ``open`` where that isn't known."""
        held = (
            None if self.alternative is None else self.alternative <= ALTERNATIVE,
            None if self.overlap is None else self.overlap >= OVERLAP,
        )
        return "not located" if False in held else "open" if None in held else "located"


def _sections(run: Run, summary: RunSummary, _findings: Sequence[Finding]) -> Iterator[Section]:
    by_removal = _rises(run)
    if by_removal is None:
        return
    found = _found(run, by_removal)
    doses = dict(zip(by_removal["spot"], by_removal["k_percent"], strict=True))
    yield Section(
        "Weights whose removal takes an ability need not be its place: others may do as much, and other text may find "
        "others. " + " ".join(_sentence(spot, float(doses[spot]), each) for spot, each in found.items()),
        tables=(_table(summary, by_removal, {spot: each.word for spot, each in found.items()}),),
    )


def _figures(run: Run) -> dict[str, dict[str, str | float | None]]:
    by_removal = _rises(run)
    located = {} if by_removal is None else _found(run, by_removal)
    return {spot: {"word": each.word, **each._asdict()} for spot, each in located.items()}


def _rises(run: Run) -> pd.DataFrame | None:
    """Mean rise of the loss of code and of general text under each removal; None where the run hasn't the table."""
    table = run.further.get("location")
    if table is None or not len(table):
        return None
    rises = table.groupby(["spot", "k_percent", "removed", "parameters", "kind"], sort=False)["change"].mean()
    return rises.unstack("kind").reindex(columns=["code", "general"]).reset_index()


def _found(run: Run, by_removal: pd.DataFrame) -> dict[str, Located]:
    return {str(spot): _located(run, rows) for spot, rows in by_removal.groupby("spot", sort=False)}


def _located(run: Run, rows: pd.DataFrame) -> Located:
    rise = dict(zip(rows["removed"], rows["code"], strict=True))
    own = float(rise.get(_SPOT, nan))
    if not 0 < own < inf:  # no harm, or a model that is broken altogether
        return Located(None, None)
    alternative = float(rise[_ALTERNATIVE]) / own if _ALTERNATIVE in rise else None
    return Located(alternative, _overlap(run, str(rows["spot"].iloc[0]), float(rows["k_percent"].iloc[0])))


def _overlap(run: Run, spot: str, k: float) -> float | None:
    """Jaccard index between the halves of the text; 0 within the 95% quantile of chance, None where it isn't known."""
    for stem in ("unit_reliability", "reliability"):
        table = run.further.get(stem)
        if table is not None:
            here = table[(table["spot"] == spot) & (table["k_percent"] == k) & (table["split"] == "halves")]
            for jaccard, chance in zip(here["jaccard"], here["chance_jaccard"], strict=True):
                return float(jaccard) if jaccard > chance else 0.0
    return None


def _sentence(spot: str, k_percent: float, found: Located) -> str:
    parts = []
    if found.alternative is not None:
        allowed = "no more than" if found.alternative <= ALTERNATIVE else "more than"
        parts.append(
            f"what its recipe finds without it does {found.alternative:.0%} of its harm to code, {allowed} "
            f"{ALTERNATIVE:.0%}"
        )
    if found.overlap is not None:
        allowed = "at least" if found.overlap >= OVERLAP else "less than"
        parts.append(f"two halves of the text share {found.overlap:.0%} of what they find, {allowed} {OVERLAP:.0%}")
    word = "not shown to be located" if found.word == "open" else found.word
    why = " and ".join(parts) or "it does no harm to code that can be told"
    return f"Spot {spot} at {dose(k_percent)} is {word}: {why}."


def _table(summary: RunSummary, rises: pd.DataFrame, words: dict[str, str]) -> Table:
    columns = (
        Column("removed", "Removed"),
        Column("k_percent", "k", "dose"),
        Column("parameters", "Parameters", "count"),
        Column("code_rise", "Code", "nats", "Rise of the loss"),
        Column("general_rise", "General", "nats", "Rise of the loss"),
    )
    rows = [
        Row(
            str(row["spot"]),
            f"{summary.title(str(row['spot']))}: {words[str(row['spot'])]}",
            "spot" if row["removed"] == _SPOT else "control",
            (
                _NAMES[str(row["removed"])],
                *(number(row[name]) for name in ("k_percent", "parameters", "code", "general")),
            ),
        )
        for row in rises.to_dict("records")
    ]
    caption = (
        "Rise of the loss of held-out code and general text (nats a token, mean over the domains), by the spot's own "
        "edit at the dose that the study names for its verdict, or else its largest, of the spot and of as many "
        f"parameters that the same recipe finds without it. Located: the latter does at most {ALTERNATIVE:.0%} of the "
        f"spot's harm to code, and two halves of the text share at least {OVERLAP:.0%} of what they find together "
        "(Jaccard index), and more than by chance, as the analysis of reliability tells. Open: one of the two "
        "isn't known."
    )
    return Table("location", "The spot and what its recipe finds next", caption, columns, tuple(rows))


def _fits(given: Given) -> None:
    """Refuse spots whose alternative would be edited otherwise than they are.

    Raises:
        StudyError: there is one.
    """
    for section in given.study.spots:
        if section.edit_parameters:
            raise StudyError(
                f"location edits what stands in a spot's stead without parameters, and spot {section.name} has "
                "edit_parameters; leave these out, or the analysis"
            )


def _key(made: MadeFrom) -> object:
    return [made.asked, made.spots, made.edits, [section.judged_percent for section in made.study.spots]]


@ANALYSES.register(
    "location",
    label="Is it the place?",
    traits=AnalysisTraits(
        {
            "location": analysis_table(
                text("spot"),
                k_percent(),
                text("removed", _SPOT, _ALTERNATIVE),
                whole("parameters"),
                text("domain"),
                domain_kind(),
                *map(figure, ("original", "change", "low", "high")),
                key=("spot", "removed", "domain"),
            )
        },
        _sections,
        after="cells",
        once=True,
        place=5,
        fits=_fits,
        key=_key,
        names="spot",
        costly=True,
        figures=_figures,
    ),
)
def location(given: Given) -> Tables:
    """The change of every domain's loss under each spot and under what its recipe finds without it.

    Costs a search for each spot without its weights, and one cell's held-out losses.
    """
    assert given.plan is not None and given.losses is not None  # noqa: PT018 - it is made where these are
    own = {(cell.spot, cell.k_percent): cell for cell in given.cells if cell.purpose == "dose" and cell.control is None}
    spots: dict[str, Spot] = {}
    removed: list[tuple[str, str, Cell]] = []
    for section in given.study.spots:
        name, cell = f"location-{section.name}", own[section.name, section.judged_percent]
        removed.append((section.name, _SPOT, cell))
        with suppress(SelectionError):  # where the recipe finds no more
            found = given.find(section, given.spots[section.name].prefix(cell.parameters)).prefix(cell.parameters)
            spots[name] = found
            other = {"name": name, "spot": name, "units": None, "parameters": len(found)}
            removed.append((section.name, _ALTERNATIVE, cell.model_copy(update=other)))
    made_from = [section.model_dump(mode="json") for section in given.study.spots]
    cells = [cell for _, what, cell in removed if what == _ALTERNATIVE]
    losses = pd.concat([given.losses, given.evaluate(cells, spots, (), None, made_from).losses], ignore_index=True)
    named = losses[losses["cell"].isin({ORIGINAL, *(cell.name for _, _, cell in removed)})]
    changes = loss_changes(named, ORIGINAL)
    kinds = {domain.name: domain.kind for domain in given.plan.domains}
    about = pd.DataFrame(
        [(cell.name, spot, cell.k_percent, what, cell.parameters) for spot, what, cell in removed],
        columns=["cell", "spot", "k_percent", "removed", "parameters"],
    )
    table = about.merge(changes.assign(kind=changes["domain"].map(kinds)), on="cell").drop(columns="cell")
    return stacked(location=[table])
