"""The registry of task families, their evaluation items, and the mixture of all English text."""

import random
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from codingspot.errors import EvaluationError
from codingspot.testbed.english import arithmetic, events, knowledge, misconceptions, roles
from codingspot.testbed.english.general import general_text
from codingspot.testbed.english.items import Item


@dataclass(frozen=True)
class Family:
    """A task family: how its items and its training passages are made, and the accuracy of a guess."""

    name: str
    sample: Callable[[random.Random, bool], Item]
    training_text: Callable[[random.Random], str]
    chance: float


FAMILIES = {
    family.name: family
    for family in (
        Family("arithmetic", arithmetic.sample, arithmetic.training_text, arithmetic.CHANCE),
        Family("events", events.sample, events.training_text, events.CHANCE),
        Family("knowledge", knowledge.sample, knowledge.training_text, knowledge.CHANCE),
        Family("misconceptions", misconceptions.sample, misconceptions.training_text, misconceptions.CHANCE),
        Family("roles", roles.sample, roles.training_text, roles.CHANCE),
    )
}

# Shares of documents. Arithmetic is the heaviest family: it needs most data.
MIXTURE: dict[Callable[[random.Random], str], float] = {
    general_text: 0.35,
    arithmetic.training_text: 0.25,
    events.training_text: 0.10,
    knowledge.training_text: 0.10,
    misconceptions.training_text: 0.10,
    roles.training_text: 0.10,
}

# So many draws without a new item mean that the family has no more: it would otherwise be searched for ever.
_DRAWS_WITHOUT_NEW = 2000


def items(family: str, count: int, seed: int) -> list[dict[str, Any]]:
    """`count` distinct held-out items of a family, as JSON-ready mappings; the same for the same seed.

    Raises EvaluationError when the family is unknown or has fewer items.
    """
    if family not in FAMILIES:
        raise EvaluationError(f"no task family {family!r}; choose one of {', '.join(FAMILIES)}")
    rng = random.Random(f"{family}-{seed}")
    found: dict[str, Item] = {}
    misses = 0
    while len(found) < count and misses < _DRAWS_WITHOUT_NEW:
        item = FAMILIES[family].sample(rng, True)
        misses = misses + 1 if item.key in found else 0
        found.setdefault(item.key, item)
    if len(found) < count:
        raise EvaluationError(f"the family {family!r} has fewer than {count} held-out items; ask for {len(found)}")
    return [asdict(item) for item in found.values()]


def english_document(rng: random.Random, weights: Sequence[float] = tuple(MIXTURE.values())) -> str:
    """A document of English: general text, or a training passage of a task family, by ``weights`` (as `MIXTURE`)."""
    return rng.choices(list(MIXTURE), weights=weights)[0](rng)
