"""Damage to files, drawn at random: bytes cut or flipped, values of JSON and YAML, columns, tensors."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import torch
from safetensors import safe_open
from safetensors.torch import save_file

_RAW = "RAW VALUE"
RAW_VALUES = ("NaN", "1e999", "9" * 5000, "[" * 3000 + "]" * 3000, '"\\ud800"', "-1", "1.5", "true", "null", "0")
OTHERS: tuple[Any, ...] = ([], {}, "", "x", "../x", [[]], {"x": None}, ["x", "x"])


@contextmanager
def damaged(path: Path, random: Random) -> Iterator[str]:
    """``path`` damaged within the block, and whole after it; says how."""
    whole = path.read_bytes()
    kinds = [cut, flip, *_OF_SUFFIX.get(path.suffix, ())]
    kind = random.choice(kinds)
    try:
        kind(path, random)
        yield f"{kind.__name__} of {path.name}"
    finally:
        path.write_bytes(whole)


def cut(path: Path, random: Random) -> None:
    whole = path.read_bytes()
    path.write_bytes(whole[: random.randrange(len(whole))])


def flip(path: Path, random: Random) -> None:
    data = bytearray(path.read_bytes())
    for _ in range(random.choice((1, 1, 8))):
        data[random.randrange(len(data))] = random.randrange(256)
    path.write_bytes(bytes(data))


def json_value(path: Path, random: Random) -> None:
    path.write_text(damaged_json(path.read_text(), random))


def json_line(path: Path, random: Random) -> None:
    lines = path.read_text().splitlines()
    place = random.randrange(len(lines))
    lines[place] = damaged_json(lines[place], random)
    path.write_text("\n".join(lines) + "\n")


def damaged_json(text: str, random: Random) -> str:
    """``text`` with one value, anywhere in it, replaced, dropped or repeated."""
    value = json.loads(text)
    places = list(_places({"": value}))
    holder, key = random.choice(places)
    root = places[0][0]
    how = random.choice(("raw", "raw", "other", "other", "drop", "repeat"))
    raw = random.choice(RAW_VALUES)
    if how == "drop" and holder is not root:
        del holder[key]
    elif how == "repeat" and isinstance(holder, list):
        holder.append(holder[key])
    else:
        holder[key] = _RAW if how == "raw" else random.choice(OTHERS)
    return json.dumps(root[""]).replace(f'"{_RAW}"', raw)


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    keys = list(value) if isinstance(value, dict) else list(range(len(value))) if isinstance(value, list) else []
    for key in keys:
        yield value, key
        yield from _places(value[key])


def column(path: Path, random: Random) -> None:
    """A column dropped, renamed, of another type, with missing or foreign values; rows repeated or gone."""
    table = pq.read_table(path)
    place = random.randrange(table.num_columns)
    name, values = table.column_names[place], table.column(place)
    foreign: dict[str, Callable[[], Any]] = {
        "drop": lambda: table.drop_columns([name]),
        "rename": lambda: table.rename_columns([f"{each}x" if each == name else each for each in table.column_names]),
        "repeat": lambda: pa.concat_tables([table, table.slice(0, 1)]),
        "empty": lambda: table.slice(0, 0),
        "fewer": lambda: table.slice(1),
        "text": lambda: _with(table, place, ["x"] * len(values)),
        "bracket": lambda: _with(table, place, ["["] * len(values)),
        "nothing": lambda: _with(table, place, [None] * len(values)),
        "missing": lambda: _with(table, place, [None, *values.to_pylist()[1:]], values.type),
        "nan": lambda: _with(table, place, [float("nan")] * len(values)),
        "infinite": lambda: _with(table, place, [float("inf")] * len(values)),
        "negative": lambda: _with(table, place, [-7] * len(values)),
        "large": lambda: _with(table, place, [2**62] * len(values)),
        "nested": lambda: _with(table, place, [["x"]] * len(values)),
        "truth": lambda: _with(table, place, [True] * len(values)),
    }
    pq.write_table(foreign[random.choice(sorted(foreign))](), path)


def _with(table: pa.Table, place: int, values: list[Any], type_: pa.DataType | None = None) -> pa.Table:
    return table.set_column(place, table.column_names[place], pa.array(values, type_))


def tensor(path: Path, random: Random) -> None:
    """A tensor of another shape or type, repeated, not a number, missing or beside another; metadata otherwise."""
    with safe_open(path, framework="pt") as file:
        tensors, metadata = {name: file.get_tensor(name) for name in file.keys()}, file.metadata()  # noqa: SIM118
    name = random.choice(sorted(tensors))
    value = tensors[name]
    changes: dict[str, Callable[[], torch.Tensor]] = {
        "row": lambda: value.reshape(1, -1),
        "column": lambda: value.reshape(-1, 1),
        "shorter": lambda: value.flatten()[:-1].clone(),
        "half": lambda: value.half(),
        "whole": lambda: value.int(),
        "double": lambda: value.double(),
        "same": lambda: value.flatten()[:1].expand(value.numel()).reshape(value.shape).clone(),
        "negative": lambda: value - 10**6,
        "far": lambda: value + 10**9,
        "nan": lambda: value * torch.tensor(float("nan")),
        "nothing": lambda: value.flatten()[:0].clone(),
    }
    how = random.choice([*sorted(changes), "drop", "add", *["metadata"] * 4])
    if how == "drop":
        del tensors[name]
    elif how == "add":
        tensors["another"] = torch.zeros(2)
    elif how in changes:
        tensors[name] = changes[how]()
    elif metadata:
        key = random.choice(sorted(metadata))
        metadata[key] = damaged_json(metadata[key], random) if metadata[key][:1] in "[{" else "x"
    save_file(tensors, path, metadata)


_OF_SUFFIX: dict[str, tuple[Callable[[Path, Random], None], ...]] = {
    ".json": (json_value, json_value, json_value, json_value),
    ".yaml": (json_value, json_value, json_value, json_value),  # JSON is YAML
    ".jsonl": (json_line, json_line),
    ".parquet": (column, column, column, column),
    ".safetensors": (tensor, tensor, tensor, tensor),
}
