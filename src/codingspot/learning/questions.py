"""What a learned mask means: questions that could show that it is no place, each answered by a tidy table.

A mask that is learned can break an ability from outside, so that it works says little about where the ability is.

- :func:`uniqueness`: is there a second mask with the first one's weights excluded, and a third?
- :func:`arbitrary_splits`: does a mask as good exist for any division of the domains?
- :func:`stability`: do masks from other seeds choose the same weights?
- :func:`held_out_in_turn`: does a mask learned without a language remove it too?

Every weight that is ablated is set to zero, one mask at a time; weights come back bit for bit.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import pandas as pd
import torch
from jaxtyping import Int64
from torch import Tensor

from codingspot.ablation import WeightEditor
from codingspot.errors import SelectionError
from codingspot.learning.learner import Cost, Learner, Split
from codingspot.spot import Spot, overlap

Excluded = Literal["mask", "shortlist"]


@dataclass(frozen=True)
class Answer:
    """What a question found.

    ``table`` has one row a mask, dose and figure: the question's own columns (one of them names the mask), then
    ``k_percent``, ``parameters`` (how many are ablated), ``measure`` (the figure's name), ``part`` (whether the mask
    was learned to remove or to keep the domain of that name, or neither), ``original`` and ``value`` (the figure before
    and after), ``steps``, ``tokens`` and ``seconds`` (what learning took). ``spots`` has the masks by name, ``overlap``
    every pair of them (:func:`codingspot.spot.overlap.overlap`).
    """

    table: pd.DataFrame
    spots: Mapping[str, Spot]
    overlap: pd.DataFrame


@dataclass(frozen=True)
class _Found:
    """A mask of one name, what it was learned for, and the columns that a question adds."""

    name: str
    spot: Spot
    split: Split
    cost: Cost
    columns: Mapping[str, object]


def uniqueness(learner: Learner, *, masks: int = 3, excluded: Excluded = "mask") -> Answer:
    """Learn a mask, then another that may use none of its weights, and so on.

    With ``excluded`` "mask" the weights of the masks before are excluded, at their largest dose; with "shortlist" all
    that those masks could have chosen, so that each comes from a shortlist of its own. Weights excluded are left as
    they are. Own column: ``mask``, from 1. Masks that all work mean that none is the place.

    Raises:
        SelectionError: there are fewer than one mask to learn, or the scope has too few parameters left.
    """
    if masks < 1:
        raise SelectionError(f"uniqueness was asked for {masks} masks; ask for at least one")

    def found() -> Iterator[_Found]:
        taken = torch.empty(0, dtype=torch.int64)
        for number in range(1, masks + 1):
            mask, cost = learner.learn(learner.split, excluded=taken)
            yield _Found(str(number), mask.spot, learner.split, cost, {"mask": number, "excluded": len(taken)})
            own = mask.spot if excluded == "mask" else learner.shortlist(learner.split, excluded=taken)
            taken = torch.cat([taken, own.positions])

    return _answer(learner, found())


def arbitrary_splits(learner: Learner, splits: Mapping[str, Split]) -> Answer:
    """Learn a mask for each named split of the domains, such as :func:`shuffled_splits`. Own column: ``split``.

    Masks for arbitrary splits that separate as well as that of code from general text mean that the separation is the
    method's, not the model's.
    """

    def found() -> Iterator[_Found]:
        for name, split in splits.items():
            mask, cost = learner.learn(split)
            yield _Found(name, mask.spot, split, cost, {"split": name})

    return _answer(learner, found())


def shuffled_splits(domains: Sequence[str], *, removed: int, draws: int = 3, seed: int = 0) -> dict[str, Split]:
    """Random splits of ``domains``: ``removed`` of them are to be removed, the others kept.

    Raises:
        SelectionError: a side would be empty.
    """
    if not 0 < removed < len(domains):
        raise SelectionError(f"{removed} of {len(domains)} domains can't be removed; leave at least one on either side")
    splits = {}
    for draw in range(draws):
        order = np.random.default_rng([seed, draw]).permutation(list(domains)).tolist()
        splits[f"shuffled-{draw}"] = Split(tuple(sorted(order[:removed])), tuple(sorted(order[removed:])))
    return splits


def each_against_others(domains: Sequence[str]) -> dict[str, Split]:
    """For each domain the split that removes it alone and keeps all the others, by its name.

    Raises:
        SelectionError: there are fewer than two domains.
    """
    return {name: Split((name,), tuple(other for other in domains if other != name)) for name in domains}


def stability(learner: Learner, *, seeds: Iterable[int] = range(5)) -> Answer:
    """Learn the same mask from several seeds of the batches. Own column: ``seed``.

    ``overlap`` compares the masks with one another and with ``shortlist``, the cheaper recipe's own best, where each
    began. Chance is a random choice from the shortlist, as all of them choose from it. The table has a further mask,
    ``core``, without cost: the weights that the masks of all seeds chose at that dose.
    """
    shortlist = learner.shortlist(learner.split)

    def found() -> Iterator[_Found]:
        for seed in seeds:
            mask, cost = learner.learn(learner.split, seed=seed)
            yield _Found(str(seed), mask.spot, learner.split, cost, {"seed": str(seed)})

    answer = _answer(learner, found())
    cores = {k: _common([spot.top(k).positions for spot in answer.spots.values()]) for k in learner.settings.doses}
    original = learner.measure()
    rows = [
        {"seed": "core", **row}
        for k, core in cores.items()
        for row in _rows(learner, core, k, original, learner.split, Cost(0, 0, 0.0))
    ]
    compared = {**answer.spots, "shortlist": shortlist.top(learner.settings.doses[-1])}
    return Answer(
        pd.concat([answer.table, pd.DataFrame(rows)], ignore_index=True),
        answer.spots,
        overlap({name: _among(spot, len(shortlist)) for name, spot in compared.items()}, learner.settings.doses),
    )


def held_out_in_turn(learner: Learner, *, languages: Sequence[str] | None = None) -> Answer:
    """Learn a mask without each language (all that were scored, or those given). Own column: ``held_out``.

    A language that goes with the others, though nothing was learned from it, shares what was removed with them.

    Raises:
        SelectionError: fewer than two languages were scored.
    """
    code = learner.split.removed

    def found() -> Iterator[_Found]:
        for language in code if languages is None else languages:
            split = Split(tuple(name for name in code if name != language), learner.split.kept)
            mask, cost = learner.learn(split)
            yield _Found(language, mask.spot, split, cost, {"held_out": language})

    return _answer(learner, found())


def rises(table: pd.DataFrame) -> pd.DataFrame:
    """An answer's table in brief: how much the figures of the domains to remove and to keep rose, on average.

    One row a mask and dose, with the columns ``removed`` and ``kept``: means of value - original over the domains of
    each part. Figures of neither part, such as tasks, are left out.
    """
    learned = table[table["part"] != "neither"]
    about = ["k_percent", "parameters", "measure", "part", "original", "value", "steps", "tokens", "seconds"]
    own = [column for column in table.columns if column not in about]
    means = learned.assign(rise=learned["value"] - learned["original"]).groupby(
        [*own, "k_percent", "parameters", "part"], sort=False
    )["rise"]
    return means.mean().unstack("part")[["removed", "kept"]].reset_index().rename_axis(columns=None)


def _answer(learner: Learner, masks: Iterable[_Found]) -> Answer:
    """Measure every mask at every dose, each as soon as it is learned."""
    original = learner.measure()
    rows: list[dict[str, object]] = []
    spots: dict[str, Spot] = {}
    for found in masks:
        spots[found.name] = found.spot
        for k in learner.settings.doses:
            positions = found.spot.top(k).positions
            rows += [
                {**found.columns, **row} for row in _rows(learner, positions, k, original, found.split, found.cost)
            ]
    return Answer(pd.DataFrame(rows), spots, overlap(spots, learner.settings.doses))


def _rows(
    learner: Learner,
    positions: Int64[Tensor, " n"],
    k_percent: float,
    original: Mapping[str, float],
    split: Split,
    cost: Cost,
) -> Iterator[dict[str, object]]:
    with WeightEditor(learner.loaded) as editor:
        editor.apply(positions)
        measured = learner.measure()
    for name, value in measured.items():
        yield {
            "k_percent": k_percent,
            "parameters": len(positions),
            "measure": name,
            "part": split.part(name),
            "original": original[name],
            "value": value,
            "steps": cost.steps,
            "tokens": cost.tokens,
            "seconds": cost.seconds,
        }


def _common(selections: Sequence[Int64[Tensor, " _"]]) -> Int64[Tensor, " m"]:
    """The positions that all selections have, in the order of the first."""
    first = selections[0]
    return first[torch.stack([torch.isin(first, other) for other in selections]).all(dim=0)]


def _among(spot: Spot, population: int) -> Spot:
    """The spot as one chosen from so many parameters, which is what its overlap by chance depends on."""
    return replace(spot, metadata={**spot.metadata, "scope_parameters": population})
