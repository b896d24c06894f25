"""Editing weights in place, and undoing it bit for bit."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from types import TracebackType
from typing import Any

import torch
from jaxtyping import Int64
from torch import Tensor, nn

from codingspot.ablation.edits import EDITS, Edit, Site
from codingspot.errors import ArtefactError
from codingspot.models import LoadedModel, ParameterLayout, fingerprint, unique_parameters
from codingspot.spot import Spot


class WeightEditor:
    """Edits a model's weights in place, and puts every one back.

    What is applied replaces what was applied before. Where it only adds to it - the same edit at positions that begin
    with those before, as a spot's growing prefixes do - no more than the added weights are touched. The memory taken
    is that of the original values edited, and for edits that ask for whole tensors (mean, noise, resample) of those. An
    edit of the rest (keep_only) edits every weight but the spot's, and is made anew at each dose.
    As a context manager it restores at the end, whatever happened.

    A :class:`LoadedModel`'s fingerprint is used where it is given; otherwise the weights are fingerprinted once, at the
    first spot that knows the weights it was found in, unless ``check_fingerprint`` is False.
    """

    def __init__(self, model: nn.Module | LoadedModel, *, check_fingerprint: bool = True) -> None:
        self._loaded = model if isinstance(model, LoadedModel) else None
        self._model: nn.Module = model.model if isinstance(model, LoadedModel) else model
        self._check = check_fingerprint
        self._fingerprint: str | None = None
        self._parameters = unique_parameters(self._model)
        self._layout = ParameterLayout.of(self._model)
        self._device = next(iter(self._parameters.values())).device
        self._positions = torch.empty(0, dtype=torch.int64)
        self._edit: tuple[str, dict[str, Any]] | None = None
        self._saved: list[tuple[str, Tensor, Tensor]] = []
        self._originals: dict[str, Tensor] = {}

    @property
    def edited(self) -> int:
        """How many parameters are edited at the moment."""
        return sum(len(original) for _, _, original in self._saved)

    def apply(self, spot: Spot | Int64[Tensor, " n"], edit: str = "zero", **parameters: Any) -> None:
        """Edit the spot's parameters, or those at the positions given, instead of any edited before.

        An edit of the rest edits all others.

        Raises:
            FingerprintError: the spot was found in other weights.
            ArtefactError: the spot is of a model with other parameters, or a position is outside the model.
            StudyError: the edit is unknown, or a parameter is not one of its own.
        """
        settings = (edit, EDITS.check(edit, parameters))
        function = EDITS.bind(edit, parameters)
        if isinstance(spot, Spot):
            self._require_same_model(spot)
        positions = (spot.positions if isinstance(spot, Spot) else spot).cpu()
        rest = EDITS.traits(edit, parameters).of_the_rest
        kept = len(self._positions)
        if rest or settings != self._edit or not torch.equal(positions[:kept], self._positions):
            self.restore()
            kept = 0
        try:
            if rest:
                self._edit_rest(positions, function)
            else:
                self._add(positions[kept:], function)
        except BaseException:  # an interrupt too must not leave an edit half done
            self.restore()
            raise
        self._positions = positions.clone()
        self._edit = settings

    @torch.no_grad()
    def restore(self) -> None:
        """Put every edited weight back, bit for bit."""
        while self._saved:
            name, offsets, original = self._saved[-1]
            flat = self._parameters[name].view(-1)
            if offsets.dtype == torch.bool:
                flat[offsets] = original
            else:
                flat.index_copy_(0, offsets, original)
            self._saved.pop()
        self._originals.clear()
        self._positions = torch.empty(0, dtype=torch.int64)
        self._edit = None

    def __enter__(self) -> WeightEditor:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.restore()

    @torch.no_grad()
    def _add(self, positions: Int64[Tensor, " n"], function: Edit) -> None:
        # Millions of positions are put in order where the weights are: a GPU does so many times as fast.
        for name, located in self._layout.locate(positions.to(self._device)).items():
            flat = self._parameters[name].view(-1)
            offsets = located.offsets.to(flat.device)
            original = flat.index_select(0, offsets)
            self._saved.append((name, offsets, original))
            site = Site(name, offsets + self._layout.slice(name).start, partial(self._original, name))
            flat.index_copy_(0, offsets, function(original, site).to(flat.dtype))

    @torch.no_grad()
    def _edit_rest(self, positions: Int64[Tensor, " n"], function: Edit) -> None:
        spot = self._layout.locate(positions)
        for name, parameter in self._parameters.items():
            flat = parameter.view(-1)
            outside = torch.ones(len(flat), dtype=torch.bool, device=flat.device)
            if name in spot:
                outside[spot[name].offsets.to(flat.device)] = False
            offsets = outside.nonzero().squeeze(1)
            original = flat[offsets]
            site = Site(name, offsets + self._layout.slice(name).start, partial(self._original, name))
            new = function(original, site).to(flat.dtype)
            self._saved.append((name, outside, original))
            flat[outside] = new
            self._originals.pop(name, None)  # one tensor's copy at a time

    def _original(self, name: str) -> Tensor:
        """A tensor, flattened, as it was before any edit; kept until the weights are restored."""
        if name not in self._originals:
            whole = self._parameters[name].detach().reshape(-1).clone()
            for saved, offsets, values in reversed(self._saved):
                if saved == name:
                    whole[offsets] = values
            self._originals[name] = whole
        return self._originals[name]

    def _require_same_model(self, spot: Spot) -> None:
        if spot.layout != self._layout:
            raise ArtefactError("the spot is of a model with other parameters; load the model it was found in")
        if not self._check or spot.fingerprint is None:
            return
        if self._fingerprint is None:
            self.restore()  # the fingerprint is that of the original weights
            self._fingerprint = self._loaded.fingerprint if self._loaded else fingerprint(self._model)
        spot.check_model(self._fingerprint)


@contextmanager
def edited(
    model: nn.Module | LoadedModel, spot: Spot | Int64[Tensor, " n"], edit: str = "zero", **parameters: Any
) -> Iterator[WeightEditor]:
    """The model is edited inside the block; at its end every weight is what it was, bit for bit.

    Raises:
        FingerprintError: the spot was found in other weights.
        ArtefactError: the spot is of a model with other parameters, or a position is outside the model.
        StudyError: the edit is unknown, or a parameter is not one of its own.
    """
    with WeightEditor(model) as editor:
        editor.apply(spot, edit, **parameters)
        yield editor
