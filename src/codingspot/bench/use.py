"""Which units of the subset that coding was routed to are used, by what removing them does to the loss of code.

1. A unit (a neuron or query head) is removed by zeroing what it writes. Its *effect* is the mean absolute change of the
   loss of a token without it, over programs that no method reads, Python among them.
2. The units of least effect are then removed together, a hundredth of the subset more at a time, and the loss of other
   programs is compared, sequence by sequence, with that of the whole model. *Unused* are the most of them without which
   it surely changes by less than 0.01 nats a token, 1% of perplexity (the paired 95% interval lies within). One by one
   few units change a loss beyond noise, and the sum of many that don't is no noise: so they are judged together.
3. Whether other units stood in for these is told apart: the change without them in models that lack a random half of
   the rest of the subset.

This is an effect that is measured, not a score, and no ranking takes part in it. What was measured stands beside a
model (``use.json``, made by ``benchmarks/unit_use.py``), with the fingerprint of its weights.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence, Set
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float64, Int64
from pydantic import ConfigDict
from torch import Tensor

from codingspot.corpus import Domain, pack
from codingspot.errors import ArtefactError
from codingspot.models import LoadedModel, UnitKind, find_units
from codingspot.models.inputs import observed_inputs
from codingspot.outputs import write_model
from codingspot.records import Count, Record, read_model
from codingspot.testbed.routing import LayerUnits, Subset
from codingspot.testbed.world import pure_code

if TYPE_CHECKING:  # it takes seconds to load
    from transformers import PreTrainedModel

_FILE = "use.json"
_AGAIN = "measure it again with benchmarks/unit_use.py"
_SEED = 1_000_003  # of programs that neither training nor a method reads
_NEGLIGIBLE = 0.01
"""Nats a token; the subset as a whole is worth 8."""
_STEPS = 100
_ENOUGH = 0.1
"""Nats a token by which code's loss has risen when no more units are removed together."""

Unit = tuple[UnitKind, int, int]
"""Kind, layer and index of a unit."""


class Change(Record):
    """What removing some units together does to the loss of code.

    Attributes:
        units: how many, those of least effect.
        change: of the mean loss, nats a token.
        low: end of its 95% interval over sequences (Student's t).
        high: the other.
    """

    model_config = ConfigDict(extra="forbid")

    units: Count
    change: float
    low: float
    high: float

    @property
    def negligible(self) -> bool:
        """Whether the loss surely changes by less than 0.01 nats a token, in either direction."""
        return max(-self.low, self.high) < _NEGLIGIBLE


class SubsetUse(Record):
    """What was measured of a routed model's subset.

    Attributes:
        fingerprint: of the model's weights.
        effects: of each unit, in the order of :func:`members`: mean absolute change of a token's loss, in nats.
        together: of the units of least effect removed from the whole model, more and more of them.
        without_halves: of the unused ones, removed from models that lack a random half of the other units.
    """

    model_config = ConfigDict(extra="forbid")

    fingerprint: str
    effects: tuple[float, ...]
    together: tuple[Change, ...]
    without_halves: tuple[Change, ...] = ()

    @property
    def unused(self) -> int:
        """How many units can be removed together with negligible change."""
        return max((change.units for change in self.together if change.negligible), default=0)

    def used(self, subset: Subset, unused: int | None = None) -> Subset:
        """The subset without its ``unused`` units, those of least effect; of key-value groups those of a used head.

        Raises:
            ArtefactError: another subset was measured.
        """
        if len(self.effects) != len(members(subset)):
            raise ArtefactError(f"{_FILE} is of another subset; {_AGAIN}")
        used = set(_least_first(subset, self.effects)[self.unused if unused is None else unused :])
        return subset.model_copy(update={"layers": tuple(_part(used, *each) for each in enumerate(subset.layers))})

    def save(self, folder: Path, *, force: bool = False) -> None:
        """Write it beside its model; ``force`` replaces what was measured before.

        Raises:
            OutputError: something else has the file's name, or an earlier measurement and not ``force``.
        """
        write_model(folder / _FILE, self, force=force)

    @classmethod
    def load(cls, folder: Path, fingerprint: str) -> SubsetUse | None:
        """What was measured of the model in ``folder``, whose weights have that fingerprint; None if nothing was.

        Raises:
            ArtefactError: it was measured of other weights, or the file is corrupt.
        """
        if not (folder / _FILE).exists():
            return None
        found = read_model(folder / _FILE, cls, what="the use of a routed subset", way_out=_AGAIN)
        if found.fingerprint != fingerprint:
            raise ArtefactError(f"{folder / _FILE} is of other weights; {_AGAIN}")
        return found


def members(subset: Subset) -> list[Unit]:
    """Neurons, layer by layer, then query heads."""
    layers = list(enumerate(subset.layers))
    neurons: list[Unit] = [("neuron", layer, index) for layer, units in layers for index in units.neurons]
    return neurons + [("head", layer, index) for layer, units in layers for index in units.heads]


def held_out_code(
    loaded: LoadedModel, languages: Sequence[str], *, tokens: int, sequence_length: int
) -> tuple[Int64[Tensor, "sequences length"], Int64[Tensor, "more length"]]:
    """Programs for effects, so many tokens a language, and eight times as many others for changes of the mean loss."""
    sequences = max(1, tokens // sequence_length)
    parts = []
    for name in languages:
        domain = Domain(name, "code", pure_code(name, tokens // 4, _SEED))
        budget = 9 * sequences * sequence_length
        packed = pack(domain, loaded.tokenizer, sequence_length=sequence_length, token_budget=budget)
        parts.append(packed.input_ids)
    return torch.cat([each[:sequences] for each in parts]), torch.cat([each[sequences:] for each in parts])


def measure_use(
    loaded: LoadedModel,
    subset: Subset,
    code: Int64[Tensor, "sequences length"],
    other: Int64[Tensor, "more length"],
    *,
    halves: int = 3,
    seed: int = 0,
    on_unit: Callable[[int, int], None] = lambda _done, _total: None,
) -> SubsetUse:
    """Effects on ``code`` of every unit of the subset, and changes of the loss of ``other`` without many of them.

    ``halves`` random ones are drawn by ``seed``; ``on_unit`` hears how many units of how many are done.
    """
    units = members(subset)
    losses = _Losses(loaded.model, code)
    before = losses.without(set())
    effects = []
    for done, unit in enumerate(units):
        on_unit(done, len(units))
        effects.append(_rounded((losses.without_one(unit) - before).abs().mean()))
    order, losses = _least_first(subset, effects), _Losses(loaded.model, other)
    use = SubsetUse(fingerprint=loaded.fingerprint, effects=tuple(effects), together=tuple(_together(losses, order)))
    unused, rest = set(order[: use.unused]), order[use.unused :]
    generator, found = np.random.default_rng(seed), []
    for _ in range(halves):
        gone = {rest[place] for place in generator.permutation(len(rest))[: len(rest) // 2]}
        found.append(_change(losses.without(gone), losses.without(gone | unused), len(unused)))
    return use.model_copy(update={"without_halves": tuple(found)})


def _together(losses: _Losses, order: Sequence[Unit]) -> Iterator[Change]:
    whole = losses.without(set())
    for step in range(1, _STEPS):
        gone = order[: max(1, round(step / _STEPS * len(order)))]
        found = _change(whole, losses.without(set(gone)), len(gone))
        yield found
        if found.change > _ENOUGH:
            return


def _change(before: Tensor, after: Tensor, units: int) -> Change:
    from scipy.stats import t

    change = (after - before).mean(1)
    mean, margin = change.mean(), t.isf(0.025, len(change) - 1) * change.std() / len(change) ** 0.5
    return Change(units=units, change=_rounded(mean), low=_rounded(mean - margin), high=_rounded(mean + margin))


class _Losses:
    """Losses of every token of some text, float64 [sequences, length - 1], where some units write nothing."""

    def __init__(self, model: PreTrainedModel, text: Int64[Tensor, "sequences length"]) -> None:
        self._model, self._text = model, text
        self._places = dict(_places(model))
        self._entering: tuple[Tensor, ...] = ()

    @torch.inference_mode()
    def without(self, gone: Set[Unit]) -> Float64[Tensor, "sequences predicted"]:
        """Without the units ``gone``; what then enters each layer is kept."""
        with self._silenced(gone):
            found = self._model(input_ids=self._text, use_cache=False, output_hidden_states=True)
        self._entering = found.hidden_states
        return self._of(found.logits)

    @torch.inference_mode()
    def without_one(self, unit: Unit) -> Float64[Tensor, "sequences predicted"]:
        """Without one unit of the whole model, where :meth:`without` none was asked last: read from its layer on."""
        body: Any = self._model.base_model
        layers, layer = body.layers, unit[1]
        with self._silenced({unit}):
            body.layers = layers[layer:]
            try:
                return self._of(self._model(inputs_embeds=self._entering[layer], use_cache=False).logits)
            finally:
                body.layers = layers

    def _silenced(self, gone: Set[Unit]) -> AbstractContextManager[None]:
        kept: dict[str, Tensor] = {}
        for kind, layer, index in gone:
            name, width, size = self._places[kind, layer]
            kept.setdefault(name, torch.ones(width))[index * size : (index + 1) * size] = 0
        return observed_inputs(self._model, kept, lambda name, _expert, inputs: inputs * kept[name])

    def _of(self, logits: Tensor) -> Float64[Tensor, "sequences predicted"]:
        targets = self._text[:, 1:]
        losses = F.cross_entropy(logits[:, :-1].flatten(0, 1), targets.flatten(), reduction="none")
        return losses.view(targets.shape).double()


def _places(model: PreTrainedModel) -> Iterator[tuple[tuple[UnitKind, int], tuple[str, int, int]]]:
    """By kind and layer the matrix that units write through, its inputs, and those of one unit."""
    kinds: tuple[UnitKind, ...] = ("neuron", "head")
    for kind in kinds:
        for site in find_units(model, kind).sites:
            for name, axis in site.writes.items():
                width = model.get_parameter(name).shape[axis]
                yield (kind, site.layer), (name, width, width // site.units)


def _least_first(subset: Subset, effects: Sequence[float]) -> list[Unit]:
    return [unit for _, unit in sorted(zip(effects, members(subset), strict=True), key=lambda each: each[0])]


def _part(used: Set[Unit], number: int, layer: LayerUnits) -> LayerUnits:
    heads = tuple(index for index in layer.heads if ("head", number, index) in used)
    shared = len(layer.heads) // max(1, len(layer.key_value_heads))
    return LayerUnits(
        neurons=tuple(index for index in layer.neurons if ("neuron", number, index) in used),
        heads=heads,
        key_value_heads=tuple(sorted({head // shared for head in heads})),
    )


def _rounded(value: Any) -> float:
    return float(f"{float(value):.3g}")
