"""How importance moves while the model is fine-tuned: agreement between snapshots, and its share by layer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any, Final

import pandas as pd
from matplotlib.axes import Axes

from codingspot.analysis_registry import ANALYSES, AnalysisTraits, Given, Tables
from codingspot.report.drawing import Panel, Picture
from codingspot.report.labels import dose
from codingspot.report.run_files import Run
from codingspot.report.section import Section
from codingspot.report.specificity import Finding
from codingspot.report.summary import RunSummary
from codingspot.report.theme import MARKERS, SPOTS
from codingspot.report.ticks import set_ticks
from codingspot.tables import TENSOR, analysis_table, correlation, figure, k_percent, number, share, text, texts, whole

_LABELS: Final = {"steps": "with the first snapshot", "domains": "between domains", "seeds": "between seeds"}
_BAND_ALPHA: Final = 0.15


def _sections(run: Run, _summary: RunSummary, _findings: Sequence[Finding]) -> Iterator[Section]:
    moved, where = run.further.get("importance_evolution"), run.further.get("importance_distribution")
    if moved is None or where is None or not len(moved) or not run.plan.spots():
        return
    k = float(moved["k_percent"].max())
    panels = (
        Panel(
            f"Top {dose(k)} of snapshots",
            f"Jaccard index of the top {dose(k)} of the parameters, against steps of fine-tuning: with the snapshot "
            "before the first step, between domains, and between seeds.",
            partial(draw_agreement_by_step, moved=moved[moved["k_percent"] == k]),
        ),
        Panel(
            "Share of importance by layer",
            "Share of the summed importance of the transformer's layers that lies in each, one line a snapshot.",
            partial(draw_share_by_layer, where=where),
        ),
    )
    caption = (
        f"Left: how far the top {dose(k)} of snapshots taken during fine-tuning coincide (Jaccard index; mean, with a "
        "band from the lowest to the highest pair). Right: where importance lies, means over domains and seeds."
    )
    yield Section(
        "Where snapshots agree as little as seeds do, what fine-tuning moves is noise.",
        (Picture("evolution", "How importance moves while the model is fine-tuned", caption, panels),),
    )


def draw_agreement_by_step(axes: Axes, *, moved: pd.DataFrame) -> None:
    """Mean Jaccard index at each step, one line a comparison, with a band over pairs.

    Args:
        axes: empty.
        moved: rows of :meth:`codingspot.spot.evolution.SnapshotRecorder.evolution` at one k.
    """
    first = moved["first_step"].min()
    for index, (comparison, label) in enumerate(_LABELS.items()):
        rows = moved[moved["comparison"] == comparison]
        if comparison == "steps":
            rows = rows[rows["first_step"] == first]
        if not len(rows):
            continue
        by_step = rows.groupby("second_step")["jaccard"].agg(["mean", "min", "max"])
        steps = by_step.index.tolist()
        axes.fill_between(steps, by_step["min"], by_step["max"], alpha=_BAND_ALPHA, linewidth=0, color=SPOTS[index])
        axes.plot(steps, by_step["mean"], label=label, color=SPOTS[index], marker=MARKERS[index])
    steps = sorted({*moved["first_step"].tolist(), *moved["second_step"].tolist()})
    set_ticks(axes.xaxis, steps, [str(step) for step in steps])
    axes.set_ylim(0, 1.02)
    axes.set_xlabel("steps of fine-tuning")
    axes.set_ylabel("Jaccard index")
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=2)


def draw_share_by_layer(axes: Axes, *, where: pd.DataFrame) -> None:
    """Share of the layers' importance in each layer, one line a step.

    Args:
        axes: empty.
        where: the table of :meth:`codingspot.spot.evolution.SnapshotRecorder.distribution`.
    """
    inside = where[where["layer"].notna()]
    sums = inside.groupby(["step", "domain", "seed", "layer"])["share"].sum()
    shares = (sums / sums.groupby(["step", "domain", "seed"]).transform("sum")).groupby(["step", "layer"]).mean()
    for index, step in enumerate(sorted(inside["step"].unique())):
        line = shares.loc[step]
        style: dict[str, Any] = {"color": SPOTS[index % len(SPOTS)], "marker": MARKERS[index % len(MARKERS)]}
        axes.plot([int(layer) for layer in line.index], line.tolist(), label=f"step {step}", **style)
    layers = sorted(int(layer) for layer in inside["layer"].unique())
    axes.set_xticks(layers[:: max(1, len(layers) // 8)])
    axes.set_ylim(bottom=0)
    axes.set_xlabel("layer")
    axes.set_ylabel("share of importance")
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=3)


@ANALYSES.register(
    "evolution",
    label="How does importance move in fine-tuning?",
    traits=AnalysisTraits(
        {
            "finetuning_losses": analysis_table(whole("seed"), text("domain"), whole("step"), number("loss")),
            "importance_distribution": analysis_table(
                text("domain"),
                *map(whole, ("step", "seed")),
                *TENSOR,
                whole("head", optional=True),
                figure("mean", 0),
                share("share"),
            ),
            "importance_evolution": analysis_table(
                text("comparison", "steps", "domains", "seeds"),
                *texts("first_domain", "second_domain"),
                *map(whole, ("first_step", "first_seed", "second_step", "second_seed")),
                k_percent(),
                *map(share, ("jaccard", "expected_jaccard")),
                correlation("spearman"),
            ),
        },
        _sections,
        after="scores",
        place=30,
        asked=lambda study: study.scoring.finetune is not None,
        key=lambda _: [],
    ),
)
def evolution(given: Given) -> Tables:
    """The loss of every step of fine-tuning, where importance lies at each snapshot, and how far snapshots agree."""
    rows = [
        {"seed": seed, "domain": domain, "step": step, "loss": loss}
        for seed, domains in given.training_losses.items()
        for domain, curve in domains.items()
        for step, loss in enumerate(curve)
    ]
    tables = {"finetuning_losses": pd.DataFrame(rows)} if rows else {}
    if given.snapshots is not None and given.snapshots.snapshots:
        tables["importance_distribution"] = given.snapshots.distribution()
        tables["importance_evolution"] = given.snapshots.evolution()
    return tables
