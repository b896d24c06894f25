"""How fast fine-tuning on code brings code back after a spot was removed, beside a random removal as harmful."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from math import inf
from typing import TYPE_CHECKING, Final

import pandas as pd
import torch
from matplotlib.axes import Axes

from codingspot.ablation import WeightEditor
from codingspot.ablation.controls import uniform_control
from codingspot.analysis_registry import ANALYSES, AnalysisTraits, Given, MadeFrom, Tables, stacked
from codingspot.corpus import PackedTokens
from codingspot.errors import NonFiniteError, SelectionError, StudyError
from codingspot.learning import RelearnSettings, dose_that_harms, relearned
from codingspot.models import find_units
from codingspot.report.drawing import Panel, Picture
from codingspot.report.run_files import Run
from codingspot.report.section import Section
from codingspot.report.specificity import Finding
from codingspot.report.summary import RunSummary
from codingspot.report.table import Column, Number, Row, Table, number
from codingspot.report.theme import CODE, MUTED
from codingspot.spot import Spot, training_text
from codingspot.tables import analysis_table, figure, text, whole
from codingspot.tables import number as numbers
from codingspot.units.controls import other_units

if TYPE_CHECKING:
    from codingspot.study.spot_section import SpotSection

PROGRAMS: Final = 100
"""Stretches of code that are relearned from, once each."""
MOST: Final = 2**26
"""The most weights of a random removal: half a gigabyte of positions."""
TOKENS: Final = 1_024
"""Of held-out text of each domain, the most that are read at every measurement."""
_SPOT, _RANDOM = "spot", "random"
_NAMES: Final = {_SPOT: "The spot", _RANDOM: "Random, until as harmful"}

Losses = Mapping[str, float]
"""The loss of code and of general text: nats a token, mean over the domains."""


def _sections(run: Run, summary: RunSummary, _findings: Sequence[Finding]) -> Iterator[Section]:
    table = run.further.get("relearning")
    if table is None or not len(table):
        return
    panels = [
        Panel(
            str(spot),
            f"Loss of code as the model is fine-tuned on code after {spot} or random weights were removed.",
            partial(_draw, curves=rows),
        )
        for spot, rows in table[table["measure"] == "code"].groupby("spot", sort=False)
    ]
    caption = (
        f"Mean loss of held-out code, nats a token, as the model is fine-tuned once over {PROGRAMS} stretches of code, "
        "the removed weights held at zero; dashed, before the removal."
    )
    yield Section(
        "What was only cut off comes back soon. How soon doesn't tell a place that is known from others, so no verdict "
        "rests on it.",
        (Picture("relearning", "How fast code comes back", caption, tuple(panels)),),
        (_table(summary, table),),
    )


def _table(summary: RunSummary, table: pd.DataFrame) -> Table:
    columns = (
        Column("removed", "Removed"),
        Column("k_percent", "k", "dose"),
        Column("parameters", "Parameters", "count"),
        Column("code_rise", "Code", "nats", "Rise of the loss"),
        Column("general_rise", "General", "nats", "Rise of the loss"),
        Column("recovered", "Relearned", "score"),
    )
    rows = [_row(summary, curves) for _, curves in table.groupby(["spot", "removed"], sort=False)]
    caption = (
        "Rise of the loss of held-out code and general text (nats a token, mean over the domains) when the weights are "
        "zeroed: the spot at the dose that the study names for its verdict, or else its largest, and random ones (of a "
        "spot of units, units of its kind), as many as do the same harm to code. Relearned: share of code's harm that "
        f"one pass over {PROGRAMS} stretches of code brings back, mean over the pass, the removed weights held at zero."
    )
    return Table("relearning", "How much of code comes back", caption, columns, tuple(rows))


def _row(summary: RunSummary, curves: pd.DataFrame) -> Row:
    spot, removed, parameters = (curves.iloc[0].to_dict()[name] for name in ("spot", "removed", "parameters"))
    before = curves[curves["step"] == 0].set_index("measure")
    harm = (before["harmed"] - before["original"]).to_dict()
    recovered = curves.loc[(curves["step"] > 0) & (curves["measure"] == "code"), "recovered"].mean()
    values = (
        _NAMES[removed],
        Number(float(f"{100 * parameters / summary.plan.model.parameters:.3g}")),
        Number(parameters),
        Number(harm.get("code")),
        Number(harm.get("general")),
        number(float(recovered)),
    )
    return Row(spot, summary.title(spot), "spot" if removed == _SPOT else "control", values)


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
        raise StudyError("relearning needs held-out text of code; give the corpus some, or leave the analysis out")
    if given.loaded.model.dtype == torch.float16:
        raise StudyError(
            "relearning fine-tunes the model, which float16 overflows; set model.dtype to bfloat16 or float32"
        )


def _key(made: MadeFrom) -> object:
    return [made.asked, made.spots, [section.judged_percent for section in made.study.spots]]


@ANALYSES.register(
    "relearning",
    label="How fast does it come back?",
    traits=AnalysisTraits(
        {
            "relearning": analysis_table(
                text("spot"),
                text("removed", _SPOT, _RANDOM),
                *map(whole, ("parameters", "step", "tokens")),
                text("measure", "code", "general"),
                *map(numbers, ("original", "harmed", "value")),
                figure("recovered"),
                key=("spot", "removed", "step", "measure"),
            ),
        },
        _sections,
        place=6,
        fits=_fits,
        key=_key,
        names="spot",
        costly=True,
    ),
)
def relearning(given: Given) -> Tables:
    """Losses as the model is fine-tuned on code after each spot's removal, and after a random one as harmful.

    Costs, for each spot, about twenty readings of held-out text, and two passes over 100 sequences forward and
    backward; AdamW takes 8 bytes a parameter.
    """
    asking = _Asking(given, *_measure_and_original(given), _programs(given))
    tables = []
    for done, section in enumerate(given.study.spots):
        tables.append(pd.DataFrame(asking.about(section)).assign(spot=section.name))
        given.advance((done + 1) / len(given.study.spots))
    return stacked(relearning=tables)


@dataclass(frozen=True)
class _Asking:
    """What is asked of each spot: losses by ``measure``, the ``original`` ones, and ``programs`` to learn from."""

    given: Given
    measure: Callable[[], dict[str, float]]
    original: Losses
    programs: PackedTokens

    def about(self, section: SpotSection) -> Iterator[dict[str, object]]:
        """Rows of the table for one spot; none where its removal does no harm to code, or training breaks down."""
        spot = self.given.spots[section.name].top(section.judged_percent)
        with WeightEditor(self.given.loaded) as editor:
            editor.apply(spot)
            harmed = self.measure()["code"]
        if not self.original["code"] < harmed < inf:
            return
        yield from self._relearned(_SPOT, spot)
        with suppress(SelectionError):  # where no random removal does as much
            drawn, before = self._random(spot, section.scope), self.original["code"]
            random = dose_that_harms(self.given.loaded, drawn, self.measure, "code", harmed, before)
            yield from self._relearned(_RANDOM, random)

    def _relearned(self, removed: str, spot: Spot) -> Iterator[dict[str, object]]:
        settings = RelearnSettings(measured_at=_steps(self.programs), seed=self.given.study.scoring.seed)
        with suppress(NonFiniteError):
            for row in relearned(self.given.loaded, spot, self.programs, self.measure, self.original, settings):
                yield {"removed": removed, **{name: value for name, value in row.items() if name != "seconds"}}

    def _random(self, spot: Spot, scope: str) -> Spot:
        """Random weights that the spot leaves in its scope, or units of its kind, as many as may be."""
        seed = self.given.study.scoring.seed
        if spot.units is None:
            return uniform_control(spot, seed=seed, scope=scope, most=MOST)
        return other_units(spot, find_units(self.given.loaded.model, spot.units.kind), seed=seed, most=MOST)


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


def _measure_and_original(given: Given) -> tuple[Callable[[], dict[str, float]], Losses]:
    """What reads the losses of held-out text, and what they are before any removal."""
    from codingspot.evaluation.adapter import ModelAdapter  # loads lm-eval, which reading a report does not need
    from codingspot.evaluation.perplexity import HeldOutLoss

    kinds = {domain.name: domain.kind for domain in given.held_out.domains}
    adapter = ModelAdapter(given.loaded.model, given.loaded.tokenizer)
    losses = HeldOutLoss(adapter, given.held_out.domains, tokens=TOKENS, seed=given.study.scoring.seed)

    def measure() -> dict[str, float]:
        table = pd.DataFrame([(kinds[row.domain], row.domain, row.tokens, row.loss) for row in losses.evaluate()])
        sums = table.groupby([0, 1], sort=False)[[2, 3]].sum()
        return {str(kind): float(mean) for kind, mean in (sums[3] / sums[2]).groupby(level=0).mean().items()}

    return measure, measure()
