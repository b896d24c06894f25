"""What the rows and columns of each parameter are: outputs or inputs, attention heads, parts of a fused matrix.

Attention heads divide the outputs of the query, key and value projections and the inputs of the output projection.
Fused matrices come in two layouts, told apart by their names: all queries, then all keys, then all values; or, for
``query_key_value``, one group after the other, each with its queries, its key and its value (groups are key-value
heads: one in multi-query, as many as heads in multi-head attention). Where a layout isn't known, nothing is said.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any

from torch import nn

from codingspot.models.layout import unique_parameters
from codingspot.models.roles import Kind, Role, role_of

if TYPE_CHECKING:  # it takes seconds to load
    import pandas as pd
    from transformers import PreTrainedModel

_ORDER: tuple[Kind, ...] = (
    "embedding",
    "position",
    "norm",
    "qkv",
    "q",
    "k",
    "v",
    "o",
    "router",
    "gate_up",
    "gate",
    "up",
    "down",
    "head",
    "other",
)
"""Kinds in the order in which a token meets them, more or less."""


@dataclass(frozen=True)
class Part:
    """Consecutive rows or columns, from ``start`` to ``stop``, of one kind and, in attention, of one head of it.

    Heads of kinds q and o are numbered alike; those of k and v are key-value heads, which are fewer where several
    query heads share one.
    """

    kind: Kind
    head: int | None
    start: int
    stop: int


@dataclass(frozen=True)
class Structure:
    """A parameter's role, its axes, and the parts that one of its axes is divided into.

    ``output_axis`` and ``input_axis`` are None where there is no such axis (a bias has no inputs). Linear weights are
    ``[outputs, inputs]``, GPT-2's Conv1D weights ``[inputs, outputs]``; an embedding's inputs are tokens.
    ``expert_axis`` is that of fused experts. ``parts`` lie along ``parts_axis`` and cover it; there are none where no
    head or fused kind divides the parameter.
    """

    role: Role
    shape: tuple[int, ...]
    output_axis: int | None
    input_axis: int | None
    expert_axis: int | None = None
    parts_axis: int | None = None
    parts: tuple[Part, ...] = ()

    @property
    def parameters(self) -> int:
        """How many numbers it holds."""
        return prod(self.shape)

    @property
    def heads(self) -> dict[Kind, int]:
        """How many attention heads of each kind its parts belong to."""
        found: dict[Kind, set[int]] = {}
        for part in self.parts:
            if part.head is not None:
                found.setdefault(part.kind, set()).add(part.head)
        return {kind: len(heads) for kind, heads in found.items()}


def is_conv1d(module: nn.Module) -> bool:
    """Whether it is a linear layer that keeps its weight as ``[inputs, outputs]``, as GPT-2's do."""
    from transformers.pytorch_utils import Conv1D

    return isinstance(module, Conv1D)


def describe(model: PreTrainedModel) -> dict[str, Structure]:
    """The structure of every unique parameter, by name; the weights may be on the meta device."""
    attention = _Attention.of(model.config.get_text_config())
    return {
        name: _structure(name, tuple(parameter.shape), model.get_submodule(name.rpartition(".")[0]), attention)
        for name, parameter in unique_parameters(model).items()
    }


def kinds_table(structures: Iterable[Structure]) -> pd.DataFrame:
    """One row a block and kind, in the order in which a token meets them.

    Columns: ``block``, ``kind``, ``tensors``, ``parameters``, ``share`` of all parameters, ``layers`` (how many have
    it) and ``heads``: their number, or such as ``"q 32, k 8, v 8"`` of a fused matrix (empty where no head divides it
    or layers differ).
    """
    import pandas as pd

    rows = [
        {
            "block": one.role.block,
            "kind": one.role.kind,
            "parameters": one.parameters,
            "layer": one.role.layer,
            "heads": _head_counts(one),
        }
        for one in structures
    ]
    frame = pd.DataFrame(rows)
    frame["order"] = [_ORDER.index(kind) for kind in frame["kind"]]
    grouped = frame.groupby(["order", "block", "kind"])
    table = grouped.agg(
        tensors=("parameters", "size"),
        parameters=("parameters", "sum"),
        layers=("layer", "nunique"),
        heads=("heads", lambda seen: next(iter(known)) if len(known := set(seen) - {""}) == 1 else ""),
    ).reset_index()
    table.insert(4, "share", table["parameters"] / table["parameters"].sum())
    return table.drop(columns="order")


def _head_counts(one: Structure) -> str:
    counts = one.heads
    if set(counts) == {one.role.kind}:
        return str(counts[one.role.kind])
    return ", ".join(f"{kind} {count}" for kind, count in counts.items())


@dataclass(frozen=True)
class _Attention:
    """Numbers of a model's attention; None where the configuration doesn't give one for all layers."""

    heads: int | None
    key_value_heads: int | None
    head_size: int | None

    @classmethod
    def of(cls, config: Any) -> _Attention:
        heads = _whole(config, "num_attention_heads")
        hidden = _whole(config, "hidden_size")
        size = _whole(config, "head_dim") or (hidden // heads if heads and hidden else None)
        return cls(heads, _whole(config, "num_key_value_heads"), size)

    def parts(self, kind: Kind, name: str, size: int, module: nn.Module) -> tuple[Part, ...]:
        """The parts of an axis of ``size`` of a parameter of kind q, k, v, o or qkv."""
        if kind == "qkv":
            return self._fused(name, size, module)
        count = self.heads if kind in ("q", "o") else self.key_value_heads or _quotient(size, self.head_size)
        unit = _quotient(size, count)
        return () if count is None or unit is None else tuple(_heads(kind, 0, count, unit))

    def _fused(self, name: str, size: int, module: nn.Module) -> tuple[Part, ...]:
        unit, heads = self.head_size, self.heads
        rows = _quotient(size, unit)
        if unit is None or heads is None or rows is None or (rows - heads) % 2 or rows <= heads:
            return ()
        groups = (rows - heads) // 2
        if ".query_key_value." in name or groups == 1:  # with one group the two layouts are the same
            return tuple(_grouped(groups, heads // groups, unit)) if heads % groups == 0 else ()
        in_blocks = ".Wqkv." in name or (".qkv_proj." in name and self.key_value_heads is not None)
        if not (in_blocks or is_conv1d(module)):
            return ()
        keys, values = heads * unit, (heads + groups) * unit
        return (
            *_heads("q", 0, heads, unit),
            *_heads("k", keys, groups, unit),
            *_heads("v", values, groups, unit),
        )


def _whole(config: Any, name: str) -> int | None:
    value = getattr(config, name, None)
    return value if isinstance(value, int) and value > 0 else None


def _quotient(size: int, divisor: int | None) -> int | None:
    return size // divisor if divisor and size % divisor == 0 else None


def _heads(kind: Kind, first: int, count: int, unit: int) -> Iterator[Part]:
    for head in range(count):
        yield Part(kind, head, first + head * unit, first + (head + 1) * unit)


def _grouped(groups: int, queries: int, unit: int) -> Iterator[Part]:
    for group in range(groups):
        start = group * (queries + 2) * unit
        for query in range(queries):
            yield Part("q", group * queries + query, start + query * unit, start + (query + 1) * unit)
        key = start + queries * unit
        yield Part("k", group, key, key + unit)
        yield Part("v", group, key + unit, key + 2 * unit)


def _structure(name: str, shape: tuple[int, ...], module: nn.Module, attention: _Attention) -> Structure:
    role = role_of(name)
    output, inputs, expert = _axes(shape, module)
    axis = inputs if role.kind == "o" else output
    if axis is None:
        return Structure(role, shape, output, inputs, expert)
    parts: tuple[Part, ...] = ()
    if role.block == "attention" and role.kind in ("q", "k", "v", "o", "qkv"):
        parts = attention.parts(role.kind, name, shape[axis], module)
    elif role.kind == "gate_up" and shape[axis] % 2 == 0 and getattr(module, "is_concatenated", True):
        half = shape[axis] // 2
        parts = (Part("gate", None, 0, half), Part("up", None, half, 2 * half))
    return Structure(role, shape, output, inputs, expert, axis if parts else None, parts)


def _axes(shape: tuple[int, ...], module: nn.Module) -> tuple[int | None, int | None, int | None]:
    """Axes of outputs, inputs and experts."""
    inputs_first = (
        is_conv1d(module) or isinstance(module, nn.Embedding) or bool(getattr(module, "is_transposed", False))
    )
    if len(shape) == 1:
        return 0, None, None
    if len(shape) == 2 and hasattr(module, "is_transposed"):
        return 1, None, 0  # the biases of fused experts
    if len(shape) == 2:
        return (1, 0, None) if inputs_first else (0, 1, None)
    if len(shape) == 3 and _fuses_experts(module):
        return (2, 1, 0) if inputs_first else (1, 2, 0)
    return None, None, None


def _fuses_experts(module: nn.Module) -> bool:
    return hasattr(module, "is_transposed") or "expert" in type(module).__name__.lower()
