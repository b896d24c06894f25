"""On which tokens the loss rises: keywords, names, brackets, words, each by itself."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from functools import partial
from math import inf
from typing import Any, Final

import pandas as pd
from matplotlib.axes import Axes

from codingspot.analysis_registry import ANALYSES, AnalysisTraits, Given, Tables
from codingspot.corpus.token_classes import TOKEN_CLASSES
from codingspot.evaluation.loss_changes import loss_changes
from codingspot.evaluation.results import BY_CLASS
from codingspot.report.drawing import Panel, Picture
from codingspot.report.labels import dose, signed
from codingspot.report.run_files import Run
from codingspot.report.section import Section
from codingspot.report.specificity import Finding
from codingspot.report.summary import RunSummary
from codingspot.report.table import Column, Number, Row, Table, number
from codingspot.report.theme import CODE, GENERAL, INK
from codingspot.study.cells import ORIGINAL

_Figures = Mapping[Hashable, Mapping[Hashable, Any]]
"""The figures of each kind and class."""
_ALL: Final = "all"
_RARE: Final = 0.02
"""Classes of a smaller share of the tokens aren't named in sentences."""
_KINDS: Final = {"code": "Code", "general": "General text"}


def _sections(run: Run, summary: RunSummary, findings: Sequence[Finding]) -> Iterator[Section]:
    losses = run.results.losses
    cells = {ORIGINAL, *(cell for finding in findings for cell in (finding.cell.cell.name, *_controls(finding)))}
    if not findings or "class_losses" not in losses:
        return
    told = _alike(losses[losses["cell"].isin(cells)].dropna(subset=list(BY_CLASS)))
    if ORIGINAL not in set(told["cell"]) or told["cell"].nunique() < 2:
        return
    changes = _changes(by_class(told, {domain.name: domain.kind for domain in run.plan.domains}))
    known = [finding for finding in findings if finding.cell.cell.name in set(changes["cell"])]
    caption = (
        "Rise of the loss, nats a token of the class, in code (all languages' tokens together) and in general text; "
        "black ticks: mean of the matched controls."
    )
    yield Section(
        "A spot that holds all of code raises the loss on all its tokens; one that holds a part of it, on some. "
        + " ".join(_sentence(finding, _of(changes, finding)) for finding in known),
        (Picture("token_classes", "Which tokens the loss rises on", caption, tuple(_panels(known, changes))),),
        (_table(summary, known, changes),),
    )


def _alike(told: pd.DataFrame) -> pd.DataFrame:
    """The cells whose classes are known of the original's documents: others were evaluated before there were any."""
    documents = told.groupby("cell").size()
    return told[told["cell"].isin(documents.index[documents == documents.get(ORIGINAL)])]


def _panels(findings: Sequence[Finding], changes: pd.DataFrame) -> Iterator[Panel]:
    for finding in findings:
        yield Panel(
            f"{finding.spot}, {dose(finding.cell.cell.k_percent)}",
            f"Rise of the loss on each class of token, in code and in general text, under {finding.spot}.",
            partial(_draw, own=_of(changes, finding), drawn=_drawn(changes, finding)),
            size=(4.4, 3.2),
        )


def by_class(losses: pd.DataFrame, kinds: Mapping[str, str]) -> pd.DataFrame:
    """Losses of documents, a row a class of token that a document has and one for all; ``domain`` is kind and class.

    Args:
        losses: ``Results.losses``, of documents whose classes are known.
        kinds: of each domain.
    """
    documents = losses.assign(
        kind=losses["domain"].map(kinds),
        document=losses["domain"].astype(str) + " " + losses["document"].astype(str),
        token_class=pd.Series([list(TOKEN_CLASSES)] * len(losses), index=losses.index),
    )
    apart = documents.drop(columns=["tokens", "loss"]).explode(["token_class", *BY_CLASS])
    apart = apart.rename(columns={"class_tokens": "tokens", "class_losses": "loss"})
    every = pd.concat([apart, documents.assign(token_class=_ALL)], ignore_index=True)
    every = every.astype({"tokens": "int64", "loss": "float64"})
    every["domain"] = every["kind"] + "/" + every["token_class"]
    return every.loc[every["tokens"] > 0, ["cell", "domain", "document", "tokens", "loss"]]


def _changes(told: pd.DataFrame) -> pd.DataFrame:
    """Changes of the loss (:func:`loss_changes`) by ``kind`` and ``token_class``.

    ``share`` is the class's of the tokens of its kind, ``share_of_rise`` that of their loss's rise, where there is one.
    """
    changes = loss_changes(told, ORIGINAL)
    changes[["kind", "token_class"]] = changes["domain"].str.split("/", n=1, expand=True)
    changes["tokens"] = changes["domain"].map(told[told["cell"] == ORIGINAL].groupby("domain")["tokens"].sum())
    of_all = changes[changes["token_class"] == _ALL].drop(columns=["domain", "token_class", "original", "high"])
    changes = changes.merge(of_all, on=["cell", "kind"], suffixes=("", "_all"))
    changes["share"] = changes["tokens"] / changes["tokens_all"]
    rise = changes["change"] / changes["change_all"].where((changes["low_all"] > 0) & (changes["change_all"] < inf))
    changes["share_of_rise"] = changes["share"] * rise
    return changes


def _controls(finding: Finding) -> set[str]:
    return {control.cell.name for control in finding.matched}


def _of(changes: pd.DataFrame, finding: Finding) -> pd.DataFrame:
    """The spot's own changes at the dose judged, by kind and class."""
    return changes[changes["cell"] == finding.cell.cell.name].set_index(["kind", "token_class"], drop=False)


def _drawn(changes: pd.DataFrame, finding: Finding) -> pd.DataFrame:
    """The changes under the matched controls, by kind and class: their mean, the smallest and the largest."""
    drawn = changes[changes["cell"].isin(_controls(finding))]
    return drawn.groupby(["kind", "token_class"])["change"].agg(["mean", "min", "max"])


def _sentence(finding: Finding, own: pd.DataFrame) -> str:
    """On which class of code's tokens the loss rises most, and on which least, of those that aren't rare."""
    code = own[(own["kind"] == "code") & (own["share"] >= _RARE)].set_index("token_class")["change"]
    if len(code) < 3 or not code.between(-inf, inf, inclusive="neither").all():
        return ""
    most, least = (code.drop(_ALL).sort_values().index[place] for place in (-1, 0))
    plural = {name: name if name in ("punctuation", "white space") else f"{name}s" for name in TOKEN_CLASSES}
    return (
        f"Under {finding.spot} at {dose(finding.cell.cell.k_percent)} the loss of code changes by "
        f"{signed(code[_ALL], 2)} nats a token: by {signed(code[most], 2)} on {plural[most]}, and by "
        f"{signed(code[least], 2)} on {plural[least]}."
    )


def _table(summary: RunSummary, findings: Sequence[Finding], changes: pd.DataFrame) -> Table:
    columns = [Column("token_class", "Tokens")]
    for kind, heading in _KINDS.items():
        columns += [
            Column(f"{kind}_share", "Of all", "share", heading),
            Column(f"{kind}_original", "Original", "score", heading),
            Column(f"{kind}_change", "Rise", "nats", heading, has_range=True),
            Column(f"{kind}_share_of_rise", "Of the rise", "share", heading),
            Column(f"{kind}_matched", "Matched", "nats", heading, has_range=True),
        ]
    rows = []
    for finding in findings:
        own, drawn = (each(changes, finding).to_dict("index") for each in (_of, _drawn))
        title = f"{summary.title(finding.spot)}, {dose(finding.cell.cell.k_percent)}"
        for name in (*TOKEN_CLASSES, _ALL):
            values = [value for kind in _KINDS for value in _values(own, drawn, (kind, name))]
            if any(value.value is not None for value in values):
                rows.append(Row(finding.spot, title, "spot", (name, *values)))
    caption = (
        "Loss on the tokens of each class, of the original model and its rise at the dose judged (nats a token of the "
        "class; 95% intervals paired over documents), all languages' tokens together; what share of the tokens the "
        "class is, and what share of the rise of the loss of all, where that is above 0 at 95%. Matched: rise under "
        "the matched controls, mean (smallest to largest). A token is of the class of its first character that isn't "
        "white space, in code by the language's grammar."
    )
    return Table("token_classes", "Which tokens the loss rises on", caption, tuple(columns), tuple(rows))


def _values(own: _Figures, drawn: _Figures, place: tuple[str, str]) -> tuple[Number, ...]:
    if place not in own:
        return (Number(None),) * 5
    row = own[place]
    return (
        Number(100 * row["share"]),
        Number(row["original"]),
        Number(row["change"], row["low"], row["high"]),
        number(100 * row["share_of_rise"]),
        Number(drawn[place]["mean"], drawn[place]["min"], drawn[place]["max"]) if place in drawn else Number(None),
    )


def _draw(axes: Axes, *, own: pd.DataFrame, drawn: pd.DataFrame) -> None:
    names = [name for name in (*TOKEN_CLASSES, _ALL) if name in own.index.get_level_values("token_class")]
    for kind, colour, above in (("code", CODE, -0.19), ("general", GENERAL, 0.19)):
        rows = pd.MultiIndex.from_product([[kind], names])
        places = [row + above for row in range(len(names))]
        axes.barh(places, own["change"].reindex(rows), height=0.36, color=colour, label=kind)
        axes.plot(drawn["mean"].reindex(rows), places, color=INK, marker="|", markersize=7, linestyle="")
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()
    axes.grid(visible=False, axis="y")
    axes.set_xlabel("rise of the loss, nats a token")
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.17), ncols=2, borderaxespad=0)


@ANALYSES.register(
    "token_classes",
    label="Which tokens does the loss rise on?",
    traits=AnalysisTraits(sections=_sections, after="cells", place=75, asked=lambda _: False),
)
def token_classes(_given: Given) -> Tables:
    """On which tokens the loss of code and of general text rises at the dose judged: told from the cells alone."""
    return {}
