"""Relearning: how fast brief fine-tuning brings an ability back after a spot was removed.

An ability whose weights are gone must be learned anew; one that was only cut off comes back in a few steps, from little
text or from text of something else. What is fast is seen beside the controls: random weights removed until the
ability is hurt as much (:func:`dose_that_harms`), and the whole model fine-tuned on the same text.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from codingspot.ablation import WeightEditor
from codingspot.corpus import PackedTokens
from codingspot.errors import SelectionError, StudyError
from codingspot.importance.finetune import FineTune, fine_tuned
from codingspot.learning.learner import Measure
from codingspot.models import LoadedModel, unique_parameters
from codingspot.spot import Spot

ORIGINAL = "original"
"""The name, among the spots, of the model with nothing removed."""

_LEAST_HARM = 0.05


@dataclass(frozen=True)
class RelearnSettings:
    """How the ablated model is fine-tuned.

    Attributes:
        measured_at: steps after which the model is measured, increasing; it is always measured before the first.
        learning_rate: of AdamW, constant, without weight decay.
        sequences: of a step; all of a text are seen once, in a seeded order, before any is seen again.
        ablated: ``zero`` holds the removed weights at zero throughout, so that what comes back lies elsewhere; ``free``
            lets them be learned again from zero, like all others.
        seed: of the order of the text.
    """

    measured_at: tuple[int, ...] = (1, 2, 5, 10, 20, 50)
    learning_rate: float = 1e-4
    sequences: int = 8
    ablated: Literal["zero", "free"] = "zero"
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.measured_at or list(self.measured_at) != sorted(set(self.measured_at)) or self.measured_at[0] < 1:
            raise StudyError("relearning is measured at steps that increase, from 1 on; list each once")


def relearning(
    loaded: LoadedModel,
    spots: Mapping[str, Spot],
    texts: Mapping[str, PackedTokens],
    measure: Measure,
    settings: RelearnSettings | None = None,
) -> pd.DataFrame:
    """Zero each spot whole, fine-tune on each text, and measure on the way. Weights come back bit for bit.

    One row a spot, text, step and figure: ``spot`` (``original`` where nothing was removed), ``text``, ``ablated``
    (zero or free), ``parameters`` (how many were removed), ``step`` and ``tokens`` (done so far), ``measure``,
    ``original`` and ``harmed`` (the figure before and after the removal), ``value`` (now), ``recovered`` = (value -
    harmed) / (original - harmed), and ``seconds`` since the removal, measuring included. ``recovered`` is not defined
    where the removal changed the figure by less than 5% of what it was.

    Raises:
        StudyError: a spot is called ``original``.
        FingerprintError: a spot was found in other weights.
        NonFiniteError: a loss is not a number; lower the learning rate.
    """
    settings = settings or RelearnSettings()
    if ORIGINAL in spots:
        raise StudyError(f"a spot is called {ORIGINAL!r}, which is the model with nothing removed; rename it")
    original = dict(measure())
    rows: list[dict[str, object]] = []
    for name, spot in {ORIGINAL: None, **spots}.items():
        for text, tokens in texts.items():
            about = {"spot": name, "text": text, "ablated": settings.ablated}
            rows += [{**about, **row} for row in relearned(loaded, spot, tokens, measure, original, settings)]
    return pd.DataFrame(rows)


def dose_that_harms(
    loaded: LoadedModel, spot: Spot, measure: Measure, name: str, target: float, original: float | None = None
) -> Spot:
    """The smallest prefix of ``spot`` that brings the figure ``name`` to ``target`` or past it, found by bisection.

    With a long random control as ``spot``, it is a control that hurts an ability as much as the spot in question. The
    figure is taken to move one way as the prefix grows; the whole spot is the largest there is. ``original`` is the
    figure with nothing removed, where it is known.

    Raises:
        SelectionError: the whole spot doesn't bring the figure there.
        FingerprintError: the spot was found in other weights.
    """
    rising = target > (measure()[name] if original is None else original)

    def harms(count: int) -> bool:
        with WeightEditor(loaded) as editor:
            editor.apply(spot.prefix(count))
            value = measure()[name]
        return value >= target if rising else value <= target

    low, high = 0, len(spot)
    if not harms(high):
        raise SelectionError(f"all {high} parameters don't bring {name} to {target:.4g}; draw more of them")
    # 1% of the whole is as exact as a random control's harm is repeatable.
    while high - low > max(1, len(spot) // 100):
        middle = (low + high) // 2
        low, high = (low, middle) if harms(middle) else (middle, high)
    return spot.prefix(high)


def relearned(
    loaded: LoadedModel,
    spot: Spot | None,
    tokens: PackedTokens,
    measure: Measure,
    original: Mapping[str, float],
    settings: RelearnSettings,
) -> list[dict[str, object]]:
    """One removal of :func:`relearning` on one text: its rows, but for their names; ``original`` was measured before.

    Raises:
        FingerprintError: the spot was found in other weights.
        NonFiniteError: a loss is not a number; lower the learning rate.
    """
    started = time.perf_counter()
    harmed: dict[str, float] = {}
    rows: list[dict[str, object]] = []

    def record(step: int) -> None:
        for name, value in measure().items():
            rows.append(
                {
                    "parameters": 0 if spot is None else len(spot),
                    "step": step,
                    "tokens": step * settings.sequences * tokens.input_ids.shape[1],
                    "measure": name,
                    "original": original[name],
                    "harmed": harmed.setdefault(name, value),
                    "value": value,
                    "recovered": _recovered(value, harmed[name], original[name]),
                    "seconds": time.perf_counter() - started,
                }
            )

    finetune = FineTune(
        steps=settings.measured_at[-1],
        learning_rate=settings.learning_rate,
        sequences_per_step=settings.sequences,
        seed=settings.seed,
    )
    with WeightEditor(loaded) as editor:
        if spot is not None:
            editor.apply(spot)
        held = None if spot is None or settings.ablated == "free" else _Held(loaded, spot)

        def on_step(done: int) -> None:
            if held is not None:
                held.zero()
            if done in settings.measured_at:
                record(done)

        record(0)
        # The fine-tuning ends by putting back the ablated weights, the editor by putting back the original ones.
        with fine_tuned(loaded.model, tokens, finetune, on_step=on_step):
            pass
    return rows


class _Held:
    """Weights that are zeroed again after every step."""

    def __init__(self, loaded: LoadedModel, spot: Spot) -> None:
        parameters = {name: weight.detach().view(-1) for name, weight in unique_parameters(loaded.model).items()}
        self._places = [
            (parameters[name], offsets.to(parameters[name].device)) for name, offsets in spot.grouped().items()
        ]

    def zero(self) -> None:
        for flat, offsets in self._places:
            flat[offsets] = 0


def _recovered(value: float, harmed: float, original: float) -> float:
    if abs(original - harmed) < _LEAST_HARM * abs(original):
        return float(np.nan)
    return (value - harmed) / (original - harmed)
