"""An analysis in few numbers: by domain, as a whole, and two models side by side."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import pandas as pd

from codingspot.tables import records
from codingspot.views import Found
from codingspot.views.neurons.ablation import diagonal_and_rest
from codingspot.views.neurons.tables import WHOLE

_AMOUNTS: Final = ("tasks", "items", "control_seeds")


def _mean_ratio(ratios: pd.Series[float]) -> float:
    """Geometric mean; not a number where there is none."""
    return float(np.exp(np.log(ratios).mean()))


def domain_summary(analysis: Found) -> pd.DataFrame:
    """One row a domain, for the selection that was silenced.

    Neurons and exclusive ones; the mean layer of both; geometric mean perplexity ratios of the domain itself (``own``)
    and of all others, while its neurons are silent and while random ones are (``random_own``, ``random_others``).
    """
    chosen = str(analysis.inputs["settings"]["selection"])
    layers = analysis["neurons_layers"]
    layers = layers[layers["selection"] == chosen]
    rows = []
    for domain, group in layers.groupby("domain", sort=False):
        edits = analysis["neurons_ablation"][analysis["neurons_ablation"]["ablated"] == domain]
        ratios = []
        for control in ("", "random"):
            of = edits[edits["control"] == control]
            own = of["evaluated"] == domain
            ratios += [_mean_ratio(of.loc[own, "ratio"]), _mean_ratio(of.loc[~own, "ratio"])]
        specific, exclusive = int(group["specific"].sum()), int(group["exclusive"].sum())
        depths = [
            float((group["layer"] * group[kind]).sum() / total) if total else math.nan
            for kind, total in (("specific", specific), ("exclusive", exclusive))
        ]
        rows.append((domain, specific, exclusive, *depths, *ratios))
    columns = ["domain", "neurons", "exclusive", "mean_layer", "mean_exclusive_layer"]
    return pd.DataFrame(rows, columns=[*columns, "own", "others", "random_own", "random_others"])


def summary(analysis: Found) -> dict[str, Any]:
    """The analysis as plain data: layers, domains, the means of the ablation matrix, rates of tasks, the sweep."""
    chosen = str(analysis.inputs["settings"]["selection"])
    layers = analysis["neurons_layers"]
    layers = layers[layers["selection"] == chosen]
    by_layer = {
        str(domain): [int(count) for count in group.sort_values("layer")["specific"]]
        for domain, group in layers.groupby("domain", sort=False)
    }
    return {
        "model": analysis.inputs["model"],
        "selection": chosen,
        "neurons_per_layer": by_layer,
        "domains": records(domain_summary(analysis)),
        "ablation": records(diagonal_and_rest(analysis["neurons_ablation"])),
        "tasks": records(analysis["neurons_tasks"]),
        "sweep": records(sweep_summary(analysis)),
    }


def told(analysis: Found, others: Sequence[Found]) -> dict[str, Any]:
    """The analysis as plain data, and other models' beside it where there are some."""
    beside = {"compare": records(compare([analysis, *others]))} if others else {}
    return {**summary(analysis), **beside}


def compare(analyses: Sequence[Found]) -> pd.DataFrame:
    """Models side by side, one row each: how shared languages' neurons are, where they lie, what silencing them does.

    ``depth`` and ``exclusive_depth`` are mean layers over the number of layers less one, so that models of different
    depth compare; ``specific_sharing`` and ``active_sharing`` are mean Jaccard indices over pairs of domains.
    """
    rows = []
    for analysis in analyses:
        chosen = str(analysis.inputs["settings"]["selection"])
        by_domain = domain_summary(analysis)
        pairs = analysis["neurons_sharing"]
        pairs = pairs[(pairs["selection"] == chosen) & (pairs["layer"] == WHOLE)]
        deepest = max(int(analysis["neurons_layers"]["layer"].max()), 1)
        rows.append(
            (
                analysis.inputs["model"],
                int(by_domain["neurons"].sum()),
                float(by_domain["exclusive"].sum() / by_domain["neurons"].sum()),
                float(by_domain["mean_layer"].mean()) / deepest,
                float(by_domain["mean_exclusive_layer"].mean()) / deepest,
                float(pairs["specific"].mean()),
                float(pairs["active"].mean()),
                _mean_ratio(by_domain["own"]),
                _mean_ratio(by_domain["others"]),
                _mean_ratio(by_domain["random_own"]),
            )
        )
    columns = ["model", "neurons", "exclusive_share", "depth", "exclusive_depth", "specific_sharing", "active_sharing"]
    return pd.DataFrame(rows, columns=[*columns, "own", "others", "random_own"])


def differing_inputs(analyses: Sequence[Found]) -> list[str]:
    """What, besides the model, not all of ``analyses`` were made with alike: texts and settings, in words.

    Settings that only say how much is evaluated (tasks, items, draws of random neurons) don't count.
    """
    texts = {"corpus_fingerprint": "texts counted", "held_out_fingerprint": "held-out texts"}
    found = [words for key, words in texts.items() if _differ([each.inputs[key] for each in analyses])]
    settings = [each.inputs["settings"] for each in analyses]
    names = [name for name in settings[0] if name not in _AMOUNTS]
    return found + [name.replace("_", " ") for name in names if _differ([each.get(name) for each in settings])]


def _differ(values: Sequence[Any]) -> bool:
    return any(value != values[0] for value in values)


def sweep_summary(analysis: Found) -> pd.DataFrame:
    """How firm the sets are, for the selection that was silenced: one row a quantile, then one an amount of text.

    ``varied`` (quantile or text), ``quantile``, ``share`` of the tokens counted, ``selected`` (neurons of all domains),
    and over domains the mean (``jaccard``) and the ``lowest`` Jaccard index with the sets of all text.
    """
    chosen = str(analysis.inputs["settings"]["selection"])
    rows = analysis["neurons_sweep"][analysis["neurons_sweep"]["selection"] == chosen]
    by_setting = rows.assign(step=rows.groupby(["varied", "domain"], sort=False).cumcount())
    table = by_setting.groupby(["varied", "step"], sort=False, as_index=False).agg(
        quantile=("quantile", "first"),
        tokens=("tokens", "sum"),
        selected=("selected", "sum"),
        jaccard=("jaccard", "mean"),
        lowest=("jaccard", "min"),
    )
    table["share"] = table["tokens"] / table["tokens"].max()
    return table[["varied", "quantile", "share", "selected", "jaccard", "lowest"]]
