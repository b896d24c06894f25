"""The view of the logit lens in a report: what each layer would say, and one answer layer by layer."""

from __future__ import annotations

import math

import pandas as pd
from markupsafe import Markup

from codingspot.report.curves import domain_panel
from codingspot.report.drawing import Picture
from codingspot.report.labels import domain_label
from codingspot.report.section import Section
from codingspot.report.table import Column, Number, Row, Table, number
from codingspot.study.cells import Plan
from codingspot.views import Tables
from codingspot.views.lens.example import LENS_STYLE, example_table


def lens_section(there: Tables, _plan: Plan) -> Section:
    """How to read it, a picture, one answer, and a table or two."""
    example = there["lens_example"]
    return Section(
        "What each layer would say next while the model translates code: its hidden state goes through the "
        "model's own final norm and output head. Words that appear before the answer does show in whose terms "
        "the layer works.",
        (lens(there["lens_sets"], there["lens_targets"]),),
        (_lens(there["lens_sets"], there["lens_targets"]), _generation(there["lens_generation"])),
        html=_example(example) if len(example) else Markup(""),
        style=LENS_STYLE,
    )


def _example(example: pd.DataFrame) -> Markup:
    first = example.iloc[0]
    return Markup(
        "<details open><summary>One answer, {} to {}, layer by layer</summary><p>Above: the answer, token by token. "
        "Below: the token that each layer would give there, the last layer first; darker cells are more probable, "
        "outlined ones right. Hold the pointer over a cell for its ten most probable tokens. Layer 0 is the token "
        "embeddings.</p>{}</details>"
    ).format(domain_label(first["source"]), domain_label(first["target"]), example_table(example))


def lens(sets: pd.DataFrame, targets: pd.DataFrame) -> Picture:
    """Keywords and English words among the most probable tokens, and the rank of the answer, by layer and target."""
    every = sets[sets["kind"] == "all"]
    own, english = every[every["set"] == every["target"]], every[every["set"] == "english"]
    names = dict.fromkeys([*targets["source"], *targets["target"]])  # the corpus' order, as in other pictures
    order = {name: place for place, name in enumerate(names)}
    panels = []
    for title, table, column, log in (
        ("target's keywords", own, "share", False),
        ("English words", english, "share", False),
        ("rank of the answer", targets, "rank", True),
        ("best rank of a keyword", own, "best_rank", True),
    ):
        if len(table):
            ordered = table.sort_values("target", key=lambda each: each.map(order), kind="stable")
            renamed = ordered.rename(columns={"target": "domain", column: "value"})
            curves = renamed.groupby(["domain", "layer"], sort=False)["value"].mean().reset_index()
            label = "rank" if log else "share of the top ten"
            panels.append(
                domain_panel(
                    title,
                    f"{title.capitalize()} by layer, one curve a target language.",
                    curves,
                    label,
                    log=log,
                )
            )
    caption = (
        "By layer and target language: share of the ten most probable tokens that are keywords of the target or "
        "English words, the median rank of the answer's next token, and of the best keyword of the target. Layer 0 is "
        "the token embeddings."
    )
    return Picture("lens", "What each layer would say", caption, tuple(panels))


def _lens(sets: pd.DataFrame, targets: pd.DataFrame) -> Table:
    """Means over all pairs of languages, layer by layer."""
    every = sets[sets["kind"] == "all"]
    kinds = {
        "target": every[every["set"] == every["target"]],
        "source": every[every["set"] == every["source"]],
        "shared": every[every["set"] == "shared"],
        "english": every[every["set"] == "english"],
    }
    shares = {kind: rows.groupby("layer")["share"].mean() for kind, rows in kinds.items()}
    means = targets.groupby("layer")[["first", "probability", "rank", "entropy"]].mean()
    rows = [
        Row(
            "",
            "",
            "spot",
            (
                Number(int(str(layer))),
                *(number(found[name]) for name in ("first", "probability", "rank", "entropy")),
                *(number(100 * share.get(layer, math.nan)) for share in shares.values()),
            ),
        )
        for layer, found in means.iterrows()
    ]
    columns = (
        Column("layer", "Layer", "count"),
        Column("first", "Answer first", "score"),
        Column("probability", "Probability", "score"),
        Column("rank", "Rank", "count"),
        Column("entropy", "Entropy (nats)", "score"),
        Column("target_keywords", "Target's keywords", "share", "In the top ten"),
        Column("source_keywords", "Source's", "share", "In the top ten"),
        Column("shared_keywords", "Shared", "share", "In the top ten"),
        Column("english_words", "English", "share", "In the top ten"),
    )
    caption = (
        "Means over all ordered pairs of languages and positions of the answers: how often the answer's next token is "
        "the most probable, its probability, median rank and the entropy of the distribution; how many of the ten most "
        "probable tokens are keywords of the target, of the source, of several languages, and English words (a token "
        "may be of several)."
    )
    return Table("lens", "What each layer would say", caption, columns, tuple(rows))


def _generation(generation: pd.DataFrame) -> Table:
    """Of the answers the model wrote, how many are in the target language, the source, another."""
    rows = []
    for method, group in generation.groupby("method", sort=False):
        right, source = group["found"] == group["target"], group["found"] == group["source"]
        undecided = group["found"] == "undecided"
        counts = [
            group.loc[which, "answers"].sum() for which in (right, source, ~right & ~source & ~undecided, undecided)
        ]
        wrong = group[~right & ~undecided].groupby("found")["answers"].sum()
        worst = domain_label(str(wrong.idxmax())) if len(wrong) else "none"
        rows.append(Row("", "", "spot", (str(method).capitalize(), *(Number(int(n)) for n in counts), worst)))
    columns = (
        Column("judged_by", "Judged by"),
        Column("target", "Target", "count"),
        Column("source", "Source", "count"),
        Column("other", "Another", "count"),
        Column("undecided", "Undecided", "count"),
        Column("most_often_instead", "Most often instead"),
    )
    caption = (
        "Answers that the model wrote itself, by the language they are in, judged by keywords that one language alone "
        "has and by parsing; the reference rows judge the parallel code itself, which shows what judging can't tell."
    )
    return Table("lens_generation", "In which language the model answers", caption, columns, tuple(rows))
