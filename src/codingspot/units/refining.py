"""Orders of units that take more passes: pruned in rounds, or by what zeroing them does to the losses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Bool, Float64, Int64
from torch import Tensor

from codingspot.ablation import WeightEditor
from codingspot.corpus import PackedTokens
from codingspot.extras import optional_packages
from codingspot.models import OutputHead, Units
from codingspot.spot import TrainingInput, WholeUnits
from codingspot.units.contrast import together
from codingspot.units.ranking import UnitSettings, rank

_BATCH_TOKENS = 4096
_FOLDS = 5


def in_rounds(
    given: TrainingInput,
    units: Units,
    settings: UnitSettings,
    order: Int64[Tensor, " n"],
    eligible: Bool[Tensor, " units"],
    *,
    parameters: int,
    rounds: int,
) -> Int64[Tensor, " n"]:
    """The order in which units are chosen where each round scores the model without those chosen before.

    1. The first of ``order`` are chosen until they have their share of ``parameters``, one of ``rounds``.
    2. With these zeroed, all others are scored again, and the best of them are chosen until the next share is full.

    Those not chosen follow, in the last round's order. Selective pruning does so (arXiv 2403.01267). Weights are put
    back bit for bit.
    """
    inside = units.inside(given.scope)
    with WeightEditor(given.loaded) as editor:
        for part in range(1, rounds):
            chosen = WholeUnits(units.kind, order, units.sizes[order]).within(parameters * part // rounds).numbers
            editor.apply(units.positions(chosen))
            ranked = rank(replace(given, measured={}), units, settings, inside)
            left = eligible.clone()
            left[chosen] = False
            order = torch.cat([chosen, ranked.order(left, worst_first=given.worst_first)])
    return order


def by_effect(
    given: TrainingInput, units: Units, settings: UnitSettings, numbers: Int64[Tensor, " n"], *, tokens: int
) -> Float64[Tensor, " n"]:
    """What zeroing each of some units by itself does to the loss of code, less what it does to that of general text.

    In nats a token, on the first ``tokens`` tokens of each domain; languages and general domains as the settings put
    them together. Weights are put back bit for bit.
    """
    return effects_of_sets(given, units, settings, [number[None] for number in numbers], tokens)


def by_masks(
    given: TrainingInput,
    units: Units,
    settings: UnitSettings,
    numbers: Int64[Tensor, " n"],
    *,
    tokens: int,
    masks: int,
    share: float,
    seed: int,
) -> Float64[Tensor, " n"]:
    """The same, estimated from ``masks`` random sets of units that are zeroed together, by the Lasso.

    Compressed sensing (arXiv 2603.03335): few units matter, so that fewer sets than units tell which. Each set has a
    ``share`` of the units, and every unit is in about as many sets as any other. The penalty is chosen by
    cross-validation.
    """
    with optional_packages():
        from sklearn.linear_model import LassoCV

    generator = np.random.default_rng(seed)
    size = max(1, round(share * len(numbers)))
    turns = np.concatenate([generator.permutation(len(numbers)) for _ in range(-(-masks * size // len(numbers)))])
    sets = [np.unique(turns[start : start + size]) for start in range(0, masks * size, size)]
    inside = np.zeros((masks, len(numbers)))
    for row, chosen in zip(inside, sets, strict=True):
        row[chosen] = 1
    effects = effects_of_sets(given, units, settings, [numbers[torch.from_numpy(chosen)] for chosen in sets], tokens)
    fitted = LassoCV(cv=min(_FOLDS, masks), random_state=seed).fit(inside, effects.numpy())
    return torch.from_numpy(fitted.coef_).double()


def effects_of_sets(
    given: TrainingInput,
    units: Units,
    settings: UnitSettings,
    sets: Sequence[Int64[Tensor, " _"]],
    tokens: int,
) -> Float64[Tensor, " sets"]:
    """What zeroing each set of units does to the loss of code, less what it does to that of general text.

    Without general text, or a contrast, to the loss of code alone.
    """
    head = OutputHead(given.loaded.model)
    sides = [{name: text.first(tokens) for name, text in texts.items()} for texts in (given.code, given.general)]
    before = [_losses(head, texts, settings) for texts in sides]
    rises = []
    with WeightEditor(given.loaded) as editor:
        for numbers in sets:
            editor.apply(units.positions(numbers))
            rises.append([_losses(head, texts, settings) - old for texts, old in zip(sides, before, strict=True)])
    code = together(torch.stack([rise[0] for rise in rises], 1), settings.languages_together)
    if not given.general or settings.contrast == "none":
        return code
    return code - together(torch.stack([rise[1] for rise in rises], 1), settings.general_together)


@torch.no_grad()
def _losses(head: OutputHead, texts: Mapping[str, PackedTokens], settings: UnitSettings) -> Float64[Tensor, " domains"]:
    """Mean loss of each domain."""
    found = []
    for text in texts.values():
        rows = max(1, (settings.batch_tokens or _BATCH_TOKENS) // text.input_ids.shape[1])
        total = sum(float(head.text_loss(batch)) for batch in torch.split(text.input_ids, rows))
        found.append(total / text.predicted_tokens)
    return torch.tensor(found, dtype=torch.float64)
