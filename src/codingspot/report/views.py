"""The three other views on the page: neurons, alignment, the logit lens, and how they agree with the spots."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd
from markupsafe import Markup

from codingspot.report.labels import domain_label
from codingspot.report.lens_table import example_table
from codingspot.report.run_files import Run


@dataclass(frozen=True)
class View:
    """One section: how to read it, what it shows, and HTML of its own."""

    name: str
    title: str
    reading: str
    pictures: tuple[str, ...]
    tables: tuple[str, ...]
    html: Markup = Markup()  # noqa: RUF009 - immutable


def views(run: Run) -> tuple[View, ...]:
    """The sections that the run has tables for."""
    there = run.further
    found = []
    if "neurons_layers" in there:
        found.append(
            View(
                "neurons",
                "Neurons",
                "A neuron is specific to a language where it is active on few others (lowest entropy of its activation "
                "probability, LAPE). The claim is worth something only if silencing a language's neurons harms that "
                "language more than others, and more than random neurons that are active as often.",
                ("neuron_layers", "neuron_ablation", "neuron_sharing"),
                ("neurons", "neuron_sweep"),
            )
        )
    if "alignment" in there:
        found.append(
            View(
                "alignment",
                "Alignment",
                "Two languages are aligned in a layer as far as a program is closer to its own translation than to any "
                "other program (MEXA). Pairs of texts that are identical, or repeat, would score by their spelling "
                "alone and are left out.",
                ("alignment",),
                ("alignment",),
            )
        )
    if "lens_targets" in there:
        example = there.get("lens_example")
        shown = Markup("") if example is None or not len(example) else _example(example)
        found.append(
            View(
                "lens",
                "Logit lens",
                "What each layer would say next while the model translates code: its hidden state goes through the "
                "model's own final norm and output head. Words that appear before the answer does show in whose terms "
                "the layer works.",
                ("lens",),
                ("lens", *(("lens_generation",) if len(there.get("lens_generation", ())) else ())),
                shown,
            )
        )
    if "across_profiles" in there:
        found.append(
            View(
                "across",
                "Across the views",
                "Whether parameters, neurons and representations point to the same place: profiles over depth, how "
                "much of a spot lies in the neurons' own parameters, and what zeroing the one without the other does.",
                ("profiles",),
                tuple(name for name in ("across_spots", "across_ablation", "across_pairs") if name in there),
            )
        )
    return tuple(found)


def _example(example: pd.DataFrame) -> Markup:
    first = example.iloc[0]
    return Markup(
        "<details open><summary>One answer, {} to {}, layer by layer</summary><p>Above: the answer, token by token. "
        "Below: the token that each layer would give there, the last layer first; darker cells are more probable, "
        "outlined ones right. Hold the pointer over a cell for its ten most probable tokens. Layer 0 is the token "
        "embeddings.</p>{}</details>"
    ).format(domain_label(first["source"]), domain_label(first["target"]), example_table(example))
