"""Every unit's score on each domain, and its key: how much more it does on code than on general text."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial

import torch
from jaxtyping import Bool, Float64, Int64
from torch import Tensor

from codingspot.corpus import PackedTokens
from codingspot.models import Units, unique_parameters
from codingspot.spot import TrainingInput
from codingspot.units.contrast import Contrast, General, Languages, Normalise, contrasted, normalised, together
from codingspot.units.moments import Moments, measure
from codingspot.units.scores import UNIT_SCORES, UnitDomain, column_squares, require_unit


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
        StudyError: such units don't have what the score is made of.
        ModelError: attention is asked for, and a layer has no probabilities of it.
    """
    require_unit(settings.score, units.kind)
    read = partial(_moments, given, units, settings, draws)
    reader = UnitReader(given, units, read)
    code, general = (
        normalised(reader.scores(settings.score, texts), settings.normalise, inside)
        for texts in (given.code, given.general)
    )
    on_code = together(code, settings.languages_together)
    on_general = torch.full_like(on_code, torch.nan)
    if len(general):
        on_general = together(general, settings.general_together)
    keys = contrasted(on_code, on_general, settings.contrast, settings.smoothing, inside)
    return Ranked(on_code, on_general, keys)


class UnitReader:
    """Scores of units on the text of ``given``, from what ``moments`` gives of a domain by its name and its text."""

    def __init__(
        self, given: TrainingInput, units: Units, moments: Callable[[str, PackedTokens], Moments | None]
    ) -> None:
        self._given, self._units, self._moments = given, units, moments
        self._weights = unique_parameters(given.loaded.model)
        self._written = cache(lambda name: column_squares(units, self._weights[name], name))

    def scores(self, score: str, texts: Mapping[str, PackedTokens]) -> Float64[Tensor, "domains units"]:
        """A score of every unit on every domain."""
        rows = [UNIT_SCORES[score](self._domain(name, tokens)) for name, tokens in texts.items()]
        return torch.stack(rows) if rows else torch.empty(0, len(self._units), dtype=torch.float64)

    def _domain(self, name: str, tokens: PackedTokens) -> UnitDomain:
        def magnitude(parameter: str) -> Tensor:
            store = self._given.scores
            size, shape = store.layout.sizes[parameter], store.layout.shape(parameter)
            return store.magnitude(name, parameter, 0, size).view(shape)

        moments = self._moments(name, tokens)
        return UnitDomain(self._units, moments, self._weights.__getitem__, magnitude, self._written)


def read_once(
    given: TrainingInput,
    units: Units,
    name: str,
    tokens: PackedTokens,
    statistics: tuple[str, ...],
    *,
    token_budget: int | None,
    batch_tokens: int | None,
    draws: int = 1,
) -> Moments:
    """Sums over a domain's text up to the budget, read when they are first asked for, also for other spots."""
    read = tokens.first(token_budget)
    key = (name, units.kind, statistics, read.tokens, draws)
    if key not in given.measured:
        given.stage(f"reading units on {name}")
        model = given.loaded.model
        given.measured[key] = measure(model, units, read, statistics, draws=draws, batch_tokens=batch_tokens)
    found: Moments = given.measured[key]
    return found


def _moments(
    given: TrainingInput,
    units: Units,
    settings: UnitSettings,
    draws: Sequence[int] | None,
    name: str,
    tokens: PackedTokens,
) -> Moments | None:
    """What a score needs of a domain's text, or of some draws of it."""
    statistics = UNIT_SCORES.traits(settings.score).statistics
    if not statistics:
        return None
    found = read_once(
        given,
        units,
        name,
        tokens,
        statistics,
        token_budget=settings.token_budget,
        batch_tokens=settings.batch_tokens,
        draws=draws_read(given, settings),
    )
    return found if draws is None else found.of_draws(draws)
