"""Items of the task families, and the split that keeps evaluation items out of training text."""

import hashlib
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

HELD_OUT_SHARE = 16


@dataclass(frozen=True)
class Item:
    """One evaluation item. `key` names what it is made of, whatever the order of choices."""

    key: str


ItemT = TypeVar("ItemT", bound=Item)


def is_held_out(split_key: str) -> bool:
    """Whether the combination belongs to evaluation: SHA-256 of its key modulo 16 is 0."""
    return int.from_bytes(hashlib.sha256(split_key.encode()).digest()[-4:], "big") % HELD_OUT_SHARE == 0


def draw_in_split(draw: Callable[[random.Random], tuple[str, ItemT]], rng: random.Random, held_out: bool) -> ItemT:
    """Draw (split key, item) pairs until one falls in the wanted split, and return its item."""
    while True:
        split_key, item = draw(rng)
        if is_held_out(split_key) == held_out:
            return item


def shuffled(rng: random.Random, right: str, wrong: list[str]) -> tuple[tuple[str, ...], int]:
    """The choices in random order, and the place of the right one."""
    label = rng.randrange(len(wrong) + 1)
    return (*wrong[:label], right, *wrong[label:]), label
