"""Whole units of a model (neurons, attention heads, key-value groups, layers) and the weights of each.

A unit's weights are those that it alone writes through: a neuron's rows of gate and up and its column of down; a head's
rows of q, and of k and v where it shares them with no other, and its columns of o; a group's heads with the key and
value they share; a layer's block matrices. Biases of those rows belong to it, the bias of down or o to no unit; nor do
rows of q and k that a norm over all heads follows, which makes them matter to one another. So with a unit's weights at
zero, its activation (what down or o is multiplied by) is as good as zero, and no other is touched.

They are found by roles and structure (:mod:`codingspot.models.structure`), whatever the architecture.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from math import prod
from typing import TYPE_CHECKING, Any, Literal, get_args

import torch
from jaxtyping import Bool, Float64, Int64
from torch import Tensor

from codingspot.errors import ModelError, StudyError
from codingspot.models.layout import ParameterLayout
from codingspot.models.roles import SCOPES, Kind, role_of
from codingspot.models.structure import Structure, describe

if TYPE_CHECKING:  # it takes seconds to load
    from transformers import PreTrainedModel

UnitKind = Literal["neuron", "head", "group", "layer"]


@dataclass(frozen=True)
class Slab:
    """What units have of one parameter: ``length`` consecutive indices along ``axis``, from ``starts[unit]`` on.

    ``expert_axis`` is that of fused experts, each of which has its own units.
    """

    name: str
    axis: int
    starts: Int64[Tensor, " width"]
    length: int
    expert_axis: int | None = None

    @property
    def indices(self) -> Int64[Tensor, "width length"]:
        """Indices along the axis, a row a unit."""
        return self.starts[:, None] + torch.arange(self.length)


@dataclass(frozen=True)
class UnitSite:
    """Units that are alike: the neurons of one MLP (of all its fused experts), the heads of one attention, a layer.

    Attributes:
        layer: number of the layer.
        experts: fused experts, each with ``width`` units; 1 elsewhere.
        width: units an expert.
        slabs: what they have of each parameter.
        writes: the matrices they write through, name to the axis of inputs, which are theirs in order, as many of each.
    """

    layer: int
    experts: int
    width: int
    slabs: tuple[Slab, ...]
    writes: Mapping[str, int]

    @property
    def units(self) -> int:
        """Units of all experts."""
        return self.experts * self.width


@dataclass(frozen=True, eq=False)
class Units:
    """A model's units of one kind in one order: by layer, expert and index. A unit's number is its place in it."""

    kind: UnitKind
    layout: ParameterLayout
    sites: tuple[UnitSite, ...]

    def __len__(self) -> int:
        return self._offsets[-1]

    @cached_property
    def _offsets(self) -> tuple[int, ...]:
        return (0, *accumulate(site.units for site in self.sites))

    def slice(self, site: int) -> slice:
        """The numbers of one site's units."""
        return slice(self._offsets[site], self._offsets[site + 1])

    @cached_property
    def layers(self) -> Int64[Tensor, " units"]:
        """Layer of every unit."""
        return torch.cat([torch.full((site.units,), site.layer) for site in self.sites])

    @cached_property
    def experts(self) -> Int64[Tensor, " units"]:
        """Expert of every unit, counted through a layer's sites; 0 where there are none."""
        first: dict[int, int] = {}
        found = []
        for site in self.sites:
            start = first.get(site.layer, 0)
            first[site.layer] = start + site.experts
            found.append(torch.arange(start, start + site.experts).repeat_interleave(site.width))
        return torch.cat(found)

    @cached_property
    def indices(self) -> Int64[Tensor, " units"]:
        """Index of every unit in its MLP, expert or attention."""
        return torch.cat([torch.arange(site.width).repeat(site.experts) for site in self.sites])

    @cached_property
    def sizes(self) -> Int64[Tensor, " units"]:
        """Weights of every unit."""
        return torch.cat([torch.full((site.units,), self._size(site)) for site in self.sites])

    def positions(self, numbers: Int64[Tensor, " n"]) -> Int64[Tensor, " weights"]:
        """Positions of the weights of some units, in the model's :class:`ParameterLayout`, unit after unit."""
        sizes = self.sizes[numbers]
        starts = sizes.cumsum(0) - sizes
        found = torch.empty(int(sizes.sum()), dtype=torch.int64)
        for index, site in enumerate(self.sites):
            span = self.slice(index)
            places = ((numbers >= span.start) & (numbers < span.stop)).nonzero().squeeze(1)
            if len(places):
                where = starts[places, None] + torch.arange(self._size(site))
                found[where] = self._of_site(site, numbers[places] - span.start)
        return found

    def input_axis(self, name: str) -> int:
        """The axis of the inputs of a matrix that units write through."""
        return next(site.writes[name] for site in self.sites if name in site.writes)

    def sums(self, values: Callable[[str], Tensor]) -> Float64[Tensor, " units"]:
        """For every unit, the sum over its weights of ``values(name of the parameter)``, which has its shape."""
        read: dict[str, Float64[Tensor, "experts axis"]] = {}
        found = []
        for site in self.sites:
            total = torch.zeros(site.experts, site.width, dtype=torch.float64)
            for slab in site.slabs:
                key = f"{slab.name} {slab.axis}"
                if key not in read:
                    read = {**{k: v for k, v in read.items() if k.startswith(slab.name)}, key: _along(slab, values)}
                total += read[key][:, slab.indices].sum(-1)
            found.append(total.flatten())
        return torch.cat(found)

    def spread(self, values: Float64[Tensor, " units"]) -> dict[str, Tensor]:
        """By name of a parameter the value of the unit that each weight belongs to, NaN where it belongs to none.

        Tensors have as many axes as the parameter, of length 1 where units don't differ: they broadcast to its shape.
        """
        found: dict[str, Tensor] = {}
        for number, site in enumerate(self.sites):
            own = values[self.slice(number)].view(site.experts, site.width, 1)
            for slab in site.slabs:
                shape = self.layout.shape(slab.name)
                index: list[Any] = [0] * len(shape)
                index[slab.axis] = slab.indices
                if slab.expert_axis is not None:
                    index[slab.expert_axis] = torch.arange(site.experts)[:, None, None]
                if slab.name not in found:
                    axes = [size if axis in (slab.axis, slab.expert_axis) else 1 for axis, size in enumerate(shape)]
                    found[slab.name] = torch.full(axes, torch.nan, dtype=torch.float64)
                found[slab.name][tuple(index)] = own if slab.expert_axis is not None else own[0]
        return found

    def inside(self, scope: str) -> Bool[Tensor, " units"]:
        """Which units have all their weights in a scope.

        Raises:
            StudyError: the scope is unknown.
        """
        is_in = SCOPES[scope]
        held = [all(is_in(role_of(slab.name)) for slab in site.slabs) for site in self.sites]
        return torch.tensor(held).repeat_interleave(torch.tensor([site.units for site in self.sites]))

    def _size(self, site: UnitSite) -> int:
        shapes = [self.layout.shape(slab.name) for slab in site.slabs]
        each = [prod(s) // s[slab.axis] * slab.length for s, slab in zip(shapes, site.slabs, strict=True)]
        return sum(each) // site.experts

    def _of_site(self, site: UnitSite, inside: Int64[Tensor, " n"]) -> Int64[Tensor, "n size"]:
        parts = []
        for slab in site.slabs:
            shape = self.layout.shape(slab.name)
            strides = [prod(shape[axis + 1 :]) for axis in range(len(shape))]
            along = slab.indices[inside % site.width] * strides[slab.axis]
            if slab.expert_axis is not None:
                along = along + (inside // site.width * strides[slab.expert_axis])[:, None]
            rest = torch.zeros(1, dtype=torch.int64)
            for axis in set(range(len(shape))) - {slab.axis, slab.expert_axis}:
                rest = (rest[:, None] + torch.arange(shape[axis]) * strides[axis]).flatten()
            parts.append((along[:, :, None] + rest).flatten(1) + self.layout.slice(slab.name).start)
        return torch.cat(parts, dim=1)


def find_units(model: PreTrainedModel, kind: UnitKind) -> Units:
    """The units of one kind; the weights may be on the meta device.

    Raises:
        StudyError: there is no such kind.
        ModelError: the model has none, or its layout isn't understood; the message names the matrix.
    """
    if kind not in get_args(UnitKind):
        raise StudyError(f"unknown unit {kind!r}; use one of {', '.join(get_args(UnitKind))}")
    structures = {name: one for name, one in _in_order(model) if one.role.layer is not None}
    if kind == "layer":
        sites = list(_layers(structures))
    else:
        written: Kind = "down" if kind == "neuron" else "o"
        sites = [
            _neurons(name, structures) if kind == "neuron" else _heads(name, structures, kind)
            for name, one in structures.items()
            if one.role.kind == written and one.input_axis is not None
        ]
    if not sites:
        raise ModelError(
            f"no {kind} was found in {type(model).__name__}: no layer has a projection whose name is known "
            "(see 'codingspot roles')"
        )
    return Units(kind, ParameterLayout.of(model), tuple(sorted(sites, key=lambda site: site.layer)))


def _in_order(model: PreTrainedModel) -> Iterator[tuple[str, Structure]]:
    """Unique parameters as the model lists them: MLPs of one layer then come as their modules do."""
    structures = describe(model)
    yield from ((name, structures[name]) for name, _ in model.named_parameters())


def _home(name: str, one: Structure) -> str:
    """The MLP or attention module: that which holds fused experts, or the projections' modules."""
    owner = name.rpartition(".")[0]
    return owner if one.expert_axis is not None else owner.rpartition(".")[0]


def _beside(name: str, structures: dict[str, Structure]) -> dict[str, Structure]:
    """The parameters of the same MLP or attention."""
    home, block = _home(name, structures[name]), structures[name].role.block
    return {n: one for n, one in structures.items() if one.role.block == block and _home(n, one) == home}


def _neurons(down: str, structures: dict[str, Structure]) -> UnitSite:
    matrix = structures[down]
    width = matrix.shape[_axis(matrix.input_axis)]
    experts = 1 if matrix.expert_axis is None else matrix.shape[matrix.expert_axis]
    slabs = []
    for name, one in _beside(down, structures).items():
        kind = one.role.kind
        axis = one.input_axis if kind == "down" else one.output_axis
        if kind not in ("gate", "up", "gate_up", "down") or axis is None:
            continue
        spans = [(part.start, part.stop) for part in one.parts] if kind == "gate_up" else [(0, one.shape[axis])]
        if not spans or any(stop - start != width for start, stop in spans):
            raise ModelError(
                f"the neurons of {name} can't be told apart: {list(one.shape)} doesn't divide into the {width} inputs "
                f"of {down}; choose other units"
            )
        slabs += [Slab(name, axis, start + torch.arange(width), 1, one.expert_axis) for start, _ in spans]
    if len(slabs) < 2:
        raise ModelError(f"what {down} is multiplied by can't be told: nothing beside it feeds it; choose other units")
    return UnitSite(matrix.role.layer or 0, experts, width, tuple(slabs), {down: _axis(matrix.input_axis)})


def _heads(o: str, structures: dict[str, Structure], kind: Literal["head", "group"]) -> UnitSite:
    starts: dict[tuple[str, Kind], dict[int, tuple[int, int]]] = {}
    axes: dict[str, int] = {}
    for name, one in _beside(o, structures).items():
        axes[name] = _axis(one.parts_axis) if one.parts else -1
        for part in one.parts:
            if part.head is not None:
                starts.setdefault((name, part.kind), {})[part.head] = (part.start, part.stop - part.start)
    heads = len(starts.get((o, "o"), ()))
    groups = next((len(found) for (_, part), found in starts.items() if part == "k"), 0)
    asked = any(part == "q" for _, part in starts)
    if not (heads and groups and asked) or heads % groups:
        raise ModelError(f"the attention heads of {o} can't be told apart; choose other units, such as neurons")
    count = heads if kind == "head" else groups
    normed = _normed_sizes(o, structures)
    slabs = []
    for (name, of_kind), found in starts.items():
        each, rest = divmod(len(found), count)
        if rest or not each:
            continue  # keys and values that heads share
        if of_kind in ("q", "k") and len(found) > 1 and sum(length for _, length in found.values()) in normed:
            continue
        slabs += [_slab(name, axes[name], [found[unit * each + j] for unit in range(count)]) for j in range(each)]
    return UnitSite(structures[o].role.layer or 0, 1, count, tuple(slabs), {o: _axis(structures[o].input_axis)})


def _normed_sizes(o: str, structures: dict[str, Structure]) -> set[int]:
    """Sizes of the norms inside an attention."""
    home = _home(o, structures[o])
    return {one.shape[0] for n, one in structures.items() if one.role.kind == "norm" and _home(n, one) == home}


def _slab(name: str, axis: int, spans: Sequence[tuple[int, int]]) -> Slab:
    return Slab(name, axis, torch.tensor([start for start, _ in spans]), spans[0][1])


def _layers(structures: dict[str, Structure]) -> Iterator[UnitSite]:
    members: dict[int, dict[str, Structure]] = {}
    for name, one in structures.items():
        if one.role.block in ("attention", "mlp") and one.role.layer is not None:
            members.setdefault(one.role.layer, {})[name] = one
    for layer, found in members.items():
        slabs = tuple(Slab(name, 0, torch.zeros(1, dtype=torch.int64), one.shape[0]) for name, one in found.items())
        written = {n: one.input_axis for n, one in found.items() if one.role.kind in ("o", "down")}
        writes = {n: axis for n, axis in written.items() if axis is not None}
        yield UnitSite(layer, 1, 1, slabs, writes)


def _axis(axis: int | None) -> int:
    assert axis is not None
    return axis


def _along(slab: Slab, values: Callable[[str], Tensor]) -> Float64[Tensor, "experts axis"]:
    """Sums of a parameter's values over all axes but those of experts and units."""
    whole = values(slab.name)
    kept = [slab.axis] if slab.expert_axis is None else [slab.expert_axis, slab.axis]
    others = [axis for axis in range(whole.dim()) if axis not in kept]
    summed = whole.sum(others, dtype=torch.float64) if others else whole.double()
    if slab.expert_axis is None:
        return summed[None]
    return summed if slab.expert_axis < slab.axis else summed.T
