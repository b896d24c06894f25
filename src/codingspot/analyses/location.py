"""Whether a spot is the place of an ability, or one of several ways of breaking it."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from math import inf, nan
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import pandas as pd
import torch
from matplotlib.axes import Axes

from codingspot.ablation import WeightEditor
from codingspot.ablation.controls import uniform_control
from codingspot.analysis_registry import ANALYSES, AnalysisTraits, Given, MadeFrom, Tables, stacked
from codingspot.corpus import PackedTokens
from codingspot.errors import NonFiniteError, SelectionError, StudyError
from codingspot.evaluation.adapter import ModelAdapter
from codingspot.evaluation.perplexity import HeldOutLoss
from codingspot.learning import RelearnSettings, dose_that_harms, relearning
from codingspot.models import find_units
from codingspot.report.drawing import Panel, Picture
from codingspot.report.labels import dose
from codingspot.report.rows import defined
from codingspot.report.run_files import Run
from codingspot.report.section import Section
from codingspot.report.specificity import Finding
from codingspot.report.summary import RunSummary
from codingspot.report.table import Column, Number, Row, Table
from codingspot.report.theme import CODE, MUTED
from codingspot.spot import Spot, training_text
from codingspot.tables import analysis_table, figure, k_percent, number, text, whole
from codingspot.units.controls import other_units

if TYPE_CHECKING:
    from codingspot.study.spot_section import SpotSection

PROGRAMS: Final = 100
"""Stretches of code that are relearned from, once each."""
MOST: Final = 2**26
"""The most weights of a random removal: half a gigabyte of positions."""
TOKENS: Final = 4_096
"""Of held-out text of each domain, the most that are read at every measurement."""
ALTERNATIVE, OVERLAP = 0.5, 0.5
"""A located spot's alternative does at most this share of its harm, and halves of the text share at least this much."""
_SPOT, _ALTERNATIVE, _RANDOM = "spot", "alternative", "random"
_NAMES: Final = {
    _SPOT: "The spot",
    _ALTERNATIVE: "What its recipe finds without it",
    _RANDOM: "Random, until as harmful",
}


class Located(NamedTuple):
    """What speaks for a spot's being the place; each None where it isn't known.

    Attributes:
        alternative: rise of the loss of code under what the recipe finds without the spot, over the spot's own.
        overlap: Jaccard index of what it finds in two halves of the text; 0 where chance would do as well, at 5%.
        relearned: recovery in relearning over that after a random removal of the same effect. It is told, and not
            judged: it doesn't tell a place that is known from others (docs/methods.md).
    """

    alternative: float | None
    overlap: float | None
    relearned: float | None

    @property
    def word(self) -> str:
        """``located`` where an alternative does less and text agrees; ``open`` where that isn't known."""
        held = (
            None if self.alternative is None else self.alternative <= ALTERNATIVE,
            None if self.overlap is None else self.overlap >= OVERLAP,
        )
        return "not located" if False in held else "open" if None in held else "located"


def _sections(run: Run, summary: RunSummary, _findings: Sequence[Finding]) -> Iterator[Section]:
    table, curves = run.further.get("location"), run.further.get("relearning")
    if table is None or not len(table):
        return
    of_code = () if curves is None else curves[curves["measure"] == "code"].groupby("spot", sort=False)
    doses = dict(zip(table["spot"], table["k_percent"], strict=True))
    found = {spot: _located(run, table[table["spot"] == spot]) for spot in doses}
    panels = [
        Panel(
            str(spot),
            f"Loss of code as the model is fine-tuned on code after {spot} or random weights were removed.",
            partial(_draw, curves=rows),
        )
        for spot, rows in of_code
    ]
    caption = (
        f"Mean loss of held-out code, nats a token, as the model is fine-tuned once over {PROGRAMS} stretches of code, "
        "the removed weights held at zero; dashed, before the removal."
    )
    yield Section(
        "Weights whose removal takes an ability need not be its place: others may do as much, other text may find "
        "others, and what was only cut off comes back at once. "
        + " ".join(_sentence(spot, float(doses[spot]), each) for spot, each in found.items()),
        (Picture("relearning", "How fast code comes back", caption, tuple(panels)),),
        (_table(summary, table, found),),
    )


def _located(run: Run, rows: pd.DataFrame) -> Located:
    by = {str(row["removed"]): row for row in rows.to_dict("records")}
    spot = by[_SPOT]
    if not 0 < float(spot["code_rise"]) < inf:  # no harm, or a model that is broken altogether
        return Located(None, None, None)
    return Located(
        _over(by.get(_ALTERNATIVE), spot, "code_rise"),
        _overlap(run, str(spot["spot"]), float(spot["k_percent"])),
        _over(spot, by.get(_RANDOM), "recovered"),
    )


def _over(row: Mapping[Hashable, Any] | None, other: Mapping[Hashable, Any] | None, column: str) -> float | None:
    if row is None or other is None or not float(other[column]) > 0:
        return None
    return defined(float(row[column]) / float(other[column]))


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


def _table(summary: RunSummary, table: pd.DataFrame, found: Mapping[str, Located]) -> Table:
    columns = (
        Column("removed", "Removed"),
        Column("k_percent", "k", "dose"),
        Column("parameters", "Parameters", "count"),
        Column("code_rise", "Code", "nats", "Rise of the loss"),
        Column("general_rise", "General", "nats", "Rise of the loss"),
        Column("recovered", "Relearned", "score"),
    )
    total = summary.plan.model.parameters
    rows = [
        Row(
            str(row["spot"]),
            f"{summary.title(str(row['spot']))}: {found[str(row['spot'])].word}",
            "spot" if row["removed"] == _SPOT else "control",
            (
                _NAMES[str(row["removed"])],
                Number(float(f"{100 * float(row['parameters']) / total:.3g}")),
                *(Number(defined(float(row[column.key]))) for column in columns[2:]),
            ),
        )
        for row in table.to_dict("records")
    ]
    caption = (
        "Rise of the loss of held-out code and general text (nats a token, mean over the domains) when the weights are "
        "zeroed: the spot at the dose that the study names for its verdict, or else its largest; as many that the "
        "same recipe finds without it; and random ones (of a spot of units, units of its kind), as many as do the same "
        f"harm to code. Relearned: share of code's harm that one pass over {PROGRAMS} stretches of code brings back, "
        "mean over the pass, the removed weights held at zero. Located: the alternative does at most "
        f"{ALTERNATIVE:.0%} of the spot's harm, and two halves of the text share at least {OVERLAP:.0%} of what they "
        "find together (Jaccard index), and more than by chance, as the analysis of reliability tells. Open: one of "
        "the two isn't known."
    )
    return Table("location", "The spot and what stands in its stead", caption, columns, tuple(rows))


def _draw(axes: Axes, *, curves: pd.DataFrame) -> None:
    for removed, colour, marker in ((_SPOT, CODE, "o"), (_RANDOM, MUTED, "s")):
        own = curves[curves["removed"] == removed]
        axes.plot(own["step"], own["value"], color=colour, marker=marker, label=_NAMES[removed].lower())
    axes.axhline(float(curves["original"].iloc[0]), color=MUTED, linewidth=0.8, linestyle=(0, (4, 3)))
    axes.set_xlabel("steps of fine-tuning")
    axes.set_ylabel("loss of code, nats a token")
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.17), ncols=2, borderaxespad=0)


def _fits(given: Given) -> None:
    """Refuse a model that can't be fine-tuned, and a study without held-out code.

    Raises:
        StudyError: it is one.
    """
    if not any(domain.kind == "code" for domain in given.held_out.domains):
        raise StudyError("location needs held-out text of code; give the corpus some, or leave the analysis out")
    if given.loaded.model.dtype == torch.float16:
        raise StudyError(
            "location fine-tunes the model, which float16 overflows; set model.dtype to bfloat16 or float32"
        )


def _key(made: MadeFrom) -> object:
    return [made.asked, made.spots, made.doses, [_judged(section) for section in made.study.spots]]


def _judged(section: SpotSection) -> float:
    return section.k_percent[-1] if section.judged is None else section.judged.k_percent


@ANALYSES.register(
    "location",
    label="Is it the place?",
    traits=AnalysisTraits(
        {
            "location": analysis_table(
                text("spot"),
                k_percent(),
                text("removed", _SPOT, _ALTERNATIVE, _RANDOM),
                whole("parameters"),
                number("code_rise"),
                figure("general_rise"),
                figure("recovered"),
                key=("spot", "removed"),
            ),
            "relearning": analysis_table(
                text("spot"),
                text("removed", _SPOT, _RANDOM),
                *map(whole, ("parameters", "step", "tokens")),
                text("measure", "code", "general"),
                *map(number, ("original", "harmed", "value")),
                figure("recovered"),
                key=("spot", "removed", "step", "measure"),
            ),
        },
        _sections,
        place=5,
        fits=_fits,
        key=_key,
        names="spot",
        costly=True,
    ),
)
def location(given: Given) -> Tables:
    """Alternatives to each spot and relearning after it, beside a random removal of the same effect.

    Costs a search for each spot without its weights, and about three times a pass over 100 sequences, forward and
    backward, with AdamW.
    """
    asking = _Asking(given, _measure(given), _programs(given))
    original, tables = asking.measure(), []
    for done, section in enumerate(given.study.spots):
        removed, harmed = asking.removed(section, original)
        curves = asking.relearned(removed)
        tables.append((_places(section, removed, harmed, original, curves), curves.assign(spot=section.name)))
        given.advance((done + 1) / len(given.study.spots))
    places, relearned = zip(*tables, strict=True)
    return stacked(location=places, relearning=relearned)


@dataclass(frozen=True)
class _Asking:
    """What is asked of each spot: the loss of held-out text by ``measure``, and relearning from ``programs``."""

    given: Given
    measure: Callable[[], dict[str, float]]
    programs: PackedTokens

    def removed(
        self, section: SpotSection, original: Mapping[str, float]
    ) -> tuple[dict[str, Spot], dict[str, dict[str, float]]]:
        """The spot and what is removed in its stead, of what there is, and the losses without each."""
        loaded = self.given.loaded
        spot = self.given.spots[section.name].top(_judged(section))
        found = {_SPOT: spot}
        with suppress(SelectionError):  # where the recipe finds no more
            found[_ALTERNATIVE] = self.given.find(section, spot).prefix(len(spot))
        harmed = {name: self._without(each) for name, each in found.items()}
        target = harmed[_SPOT]["code"]
        with suppress(SelectionError):  # where no random removal does as much, or there is no harm
            if not target > original["code"]:
                return found, harmed
            found[_RANDOM] = dose_that_harms(loaded, self._random(spot, section.scope), self.measure, "code", target)
            harmed[_RANDOM] = self._without(found[_RANDOM])
        return found, harmed

    def relearned(self, removed: Mapping[str, Spot]) -> pd.DataFrame:
        """Rows of :func:`relearning` after the spot and the random weights; none where training breaks down."""
        settings = RelearnSettings(measured_at=_steps(self.programs), seed=self.given.study.scoring.seed)
        found = [pd.DataFrame()]
        for name in (name for name in removed if name != _ALTERNATIVE):
            with suppress(NonFiniteError):
                one, text_ = {name: removed[name]}, {"code": self.programs}
                found.append(relearning(self.given.loaded, one, text_, self.measure, settings, with_original=False))
        curves = pd.concat(found, ignore_index=True).rename(columns={"spot": "removed"})
        return curves.drop(columns=["text", "ablated", "seconds"], errors="ignore")

    def _without(self, spot: Spot) -> dict[str, float]:
        with WeightEditor(self.given.loaded) as editor:
            editor.apply(spot)
            return self.measure()

    def _random(self, spot: Spot, scope: str) -> Spot:
        """Random weights that the spot leaves in its scope, or units of its kind, as many as may be."""
        seed = self.given.study.scoring.seed
        if spot.units is None:
            return uniform_control(spot, seed=seed, scope=scope, most=MOST)
        return other_units(spot, find_units(self.given.loaded.model, spot.units.kind), seed=seed, most=MOST)


def _places(
    section: SpotSection,
    removed: Mapping[str, Spot],
    harmed: Mapping[str, Mapping[str, float]],
    original: Mapping[str, float],
    curves: pd.DataFrame,
) -> pd.DataFrame:
    """A row of the table ``location`` for each removal."""
    recovered: dict[str, float] = {}
    if len(curves):
        on_the_way = curves[(curves["measure"] == "code") & (curves["step"] > 0)]
        recovered = {str(name): float(mean) for name, mean in on_the_way.groupby("removed")["recovered"].mean().items()}
    rows = [
        {
            "spot": section.name,
            "k_percent": _judged(section),
            "removed": name,
            "parameters": len(spot),
            **{f"{kind}_rise": harmed[name].get(kind, nan) - original.get(kind, nan) for kind in ("code", "general")},
            "recovered": recovered.get(name, nan),
        }
        for name, spot in removed.items()
    ]
    return pd.DataFrame(rows)


def _steps(programs: PackedTokens) -> tuple[int, ...]:
    last = max(1, len(programs.input_ids) // RelearnSettings().sequences)
    return tuple(sorted({1, 2, 4, 8, last} & set(range(1, last + 1))))


def _programs(given: Given) -> PackedTokens:
    """Stretches of the scored languages' text, drawn from all alike."""
    scoring = given.study.scoring
    code, _ = training_text(
        given.scoring,
        given.loaded,
        sequence_length=scoring.sequence_length,
        token_budget=scoring.token_budget,
        seed=scoring.seed,
    )
    ids = torch.cat([tokens.input_ids for tokens in code.values()])
    drawn = torch.randperm(len(ids), generator=torch.Generator().manual_seed(scoring.seed))[:PROGRAMS]
    return replace(next(iter(code.values())), domain="code", input_ids=ids[drawn])


def _measure(given: Given) -> Callable[[], dict[str, float]]:
    """The mean over the domains of each kind of the loss of held-out text, nats a token."""
    kinds = {domain.name: domain.kind for domain in given.held_out.domains}
    adapter = ModelAdapter(given.loaded.model, given.loaded.tokenizer)
    losses = HeldOutLoss(adapter, given.held_out.domains, tokens=TOKENS, seed=given.study.scoring.seed)

    def measure() -> dict[str, float]:
        table = pd.DataFrame([(kinds[row.domain], row.domain, row.tokens, row.loss) for row in losses.evaluate()])
        sums = table.groupby([0, 1], sort=False)[[2, 3]].sum()
        return {str(kind): float(mean) for kind, mean in (sums[3] / sums[2]).groupby(level=0).mean().items()}

    return measure
