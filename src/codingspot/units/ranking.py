"""Every unit's score on each domain, and its key: how much more it does on code than on general text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import torch
from jaxtyping import Bool, Float64, Int64
from torch import Tensor

from codingspot.corpus import PackedTokens
from codingspot.models import Units, unique_parameters
from codingspot.spot import TrainingInput
from codingspot.units.contrast import Contrast, General, Languages, Normalise, contrasted, normalised, together
from codingspot.units.moments import Moments, measure
from codingspot.units.scores import UNIT_SCORES, UnitDomain, column_squares


@dataclass(frozen=True)
class UnitSettings:
    """How units are scored and code is set against general text: parameters of the recipe ``units``."""

    score: str
    contrast: Contrast
    smoothing: float
    normalise: Normalise
    languages_together: Languages
    general_together: General
    token_budget: int | None
    batch_tokens: int | None


@dataclass(frozen=True)
class Ranked:
    """Of every unit its score on code and on general text (NaN where there is none), and its key: higher is better."""

    code: Float64[Tensor, " units"]
    general: Float64[Tensor, " units"]
    keys: Float64[Tensor, " units"]

    def order(self, eligible: Bool[Tensor, " units"], *, worst_first: bool) -> Int64[Tensor, " n"]:
        """The numbers of the eligible units, best first; ties go by the number."""
        keys = self.keys.neg() if worst_first else self.keys
        order = torch.argsort(keys.masked_fill(~eligible, -torch.inf), descending=True, stable=True)
        return order[: int(eligible.sum())]


def draws_read(given: TrainingInput, settings: UnitSettings) -> int:
    """In how many disjoint draws the text of ``given`` is read: no more than a domain has sequences.

    1 where nothing is read.
    """
    if not UNIT_SCORES.traits(settings.score).statistics:
        return 1
    texts = [*given.code.values(), *given.general.values()]
    return min(given.draws, *(len(text.first(settings.token_budget).input_ids) for text in texts))


def rank(
    given: TrainingInput,
    units: Units,
    settings: UnitSettings,
    inside: Bool[Tensor, " units"],
    draws: Sequence[int] | None = None,
) -> Ranked:
    """Score units on the text of ``given`` with the model's weights as they are; ``inside`` the scope are its means.

    With ``draws``, on those of its disjoint draws alone (:func:`draws_read`). The text is read once for all of them.

    Raises:
        NonFiniteError: an activation or gradient is not a number.
        SelectionError: scores of weights are needed and none were made.
    """
    reader = _Reader(given, units, settings, draws)
    code, general = (
        normalised(reader.scores(texts), settings.normalise, inside) for texts in (given.code, given.general)
    )
    on_code = together(code, settings.languages_together)
    on_general = torch.full_like(on_code, torch.nan)
    if len(general):
        on_general = together(general, settings.general_together)
    keys = contrasted(on_code, on_general, settings.contrast, settings.smoothing, inside)
    return Ranked(on_code, on_general, keys)


class _Reader:
    """Reads each domain once for a statistic, also for other spots of the same text."""

    def __init__(self, given: TrainingInput, units: Units, settings: UnitSettings, draws: Sequence[int] | None) -> None:
        self._given, self._units, self._settings, self._draws = given, units, settings, draws
        self._weights = unique_parameters(given.loaded.model)
        self._written = cache(lambda name: column_squares(units, self._weights[name], name))

    def scores(self, texts: Mapping[str, PackedTokens]) -> Float64[Tensor, "domains units"]:
        """The score of every unit on every domain."""
        rows = [UNIT_SCORES[self._settings.score](self._domain(name, tokens)) for name, tokens in texts.items()]
        return torch.stack(rows) if rows else torch.empty(0, len(self._units), dtype=torch.float64)

    def _domain(self, name: str, tokens: PackedTokens) -> UnitDomain:
        def magnitude(parameter: str) -> Tensor:
            store = self._given.scores
            size, shape = store.layout.sizes[parameter], store.layout.shape(parameter)
            return store.magnitude(name, parameter, 0, size).view(shape)

        moments = self._moments(name, tokens)
        return UnitDomain(self._units, moments, self._weights.__getitem__, magnitude, self._written)

    def _moments(self, name: str, tokens: PackedTokens) -> Moments | None:
        statistics = UNIT_SCORES.traits(self._settings.score).statistics
        if not statistics:
            return None
        read = tokens.first(self._settings.token_budget)
        draws = draws_read(self._given, self._settings)
        key = (name, self._units.kind, statistics, read.tokens, draws)
        if key not in self._given.measured:
            model, at_once = self._given.loaded.model, self._settings.batch_tokens
            self._given.measured[key] = measure(model, self._units, read, statistics, draws=draws, batch_tokens=at_once)
        found: Moments = self._given.measured[key]
        return found if self._draws is None else found.of_draws(self._draws)
