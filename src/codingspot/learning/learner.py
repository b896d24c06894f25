"""Learning masks for any split of the domains into those to remove and those to keep."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import torch
from jaxtyping import Int64
from torch import Tensor

from codingspot.corpus import PackedTokens
from codingspot.errors import SelectionError
from codingspot.importance import ScoreStore
from codingspot.learning.mask import LearnSettings, learn_mask
from codingspot.models import LoadedModel, OutputHead
from codingspot.spot import Spot, TrainedSpot, find_spot

Measure = Callable[[], Mapping[str, float]]
"""Figures by name of the model's present weights, such as the loss of each domain, or the rate of each task."""

_BATCH = 16


@dataclass(frozen=True)
class Split:
    """The domains a mask is to remove and those it is to keep; the others take no part in learning it.

    Raises:
        SelectionError: a side is empty, or a domain is on both.
    """

    removed: tuple[str, ...]
    kept: tuple[str, ...]

    def __post_init__(self) -> None:
        if not self.removed or not self.kept:
            raise SelectionError("a split needs a domain to remove and one to keep; give at least one of each")
        both = sorted(set(self.removed) & set(self.kept))
        if both:
            raise SelectionError(f"a split both removes and keeps {both[0]!r}; take it from one of the two")

    def part(self, name: str) -> str:
        """``removed``, ``kept`` or, for any other name, ``neither``."""
        return "removed" if name in self.removed else "kept" if name in self.kept else "neither"


@dataclass(frozen=True)
class Cost:
    """What learning a mask took: steps, tokens run through the model (validation included), and seconds."""

    steps: int
    tokens: int
    seconds: float


@dataclass(frozen=True)
class Learner:
    """Learns masks of one model: scores and text of every domain, where the shortlist comes from, and the settings.

    ``measure`` gives the figures that a question reports of each ablated model. The shortlist is the best
    ``shortlist_percent`` percent of all parameters by ``recipe`` in ``scope``, over the scores of the split's domains.
    """

    loaded: LoadedModel
    store: ScoreStore
    texts: Mapping[str, PackedTokens]
    measure: Measure
    settings: LearnSettings = field(default_factory=LearnSettings)
    scope: str = "blocks"
    recipe: str = "set_difference"
    shortlist_percent: float = 5.0

    @property
    def split(self) -> Split:
        """Every scored language to be removed, every scored general domain to be kept."""
        return Split(self.store.names("code"), self.store.names("general"))

    def shortlist(self, split: Split, *, excluded: Int64[Tensor, " n"] | None = None) -> Spot:
        """The best parameters by the recipe for this split; those ``excluded`` are passed over, their places filled.

        Raises:
            SelectionError: the scope has too few parameters.
            ArtefactError: a domain of the split was not scored.
        """
        return find_spot(
            self.store.of(split.removed, split.kept),
            recipe=self.recipe,
            scope=self.scope,
            max_k_percent=self.shortlist_percent,
            without=excluded,
        )

    def learn(
        self, split: Split, *, excluded: Int64[Tensor, " n"] | None = None, seed: int | None = None
    ) -> tuple[TrainedSpot, Cost]:
        """A mask that removes one side of the split and keeps the other, and what it took.

        Raises:
            SelectionError: a domain has no text here; otherwise as :meth:`shortlist` and :func:`learn_mask`.
        """
        missing = sorted({*split.removed, *split.kept} - set(self.texts))
        if missing:
            raise SelectionError(f"there is no text of {missing[0]!r} to learn from; give it, or leave the domain out")
        started = time.perf_counter()
        settings = self.settings if seed is None else replace(self.settings, seed=seed)
        code, general = ({name: self.texts[name] for name in side} for side in (split.removed, split.kept))
        mask = learn_mask(self.loaded, code, general, self.shortlist(split, excluded=excluded), settings)
        return mask, self._cost(mask, time.perf_counter() - started)

    def _cost(self, mask: TrainedSpot, seconds: float) -> Cost:
        length = next(iter(self.texts.values())).input_ids.shape[1]
        training = int((mask.curve["part"] == "training").sum())
        sequences = training * self.settings.sequences
        sequences += (len(mask.curve) - training) * self.settings.validation_sequences
        return Cost(training, 2 * sequences * length, seconds)


def domain_losses(loaded: LoadedModel, texts: Mapping[str, PackedTokens]) -> Measure:
    """A measure: the mean loss of each domain in nats a token. The text should be none that was learned from.

    The loss is infinite where the model's output is not a number.
    """

    @torch.no_grad()
    def measure() -> dict[str, float]:
        head = OutputHead(loaded.model)
        found = {}
        for name, tokens in texts.items():
            batches = torch.split(tokens.input_ids, _BATCH)
            total = sum(float(head.text_loss(batch)) for batch in batches)
            found[name] = math.inf if math.isnan(total) else total / tokens.predicted_tokens
        return found

    return measure
