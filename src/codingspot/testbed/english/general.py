"""General English: documents of many kinds, none of which is a passage of a task family."""

import random
from collections.abc import Callable

from codingspot.testbed.english import papers, signs, stories

KINDS: dict[Callable[[random.Random], str], int] = {
    stories.story: 6,
    stories.description: 2,
    stories.dialogue: 2,
    stories.letter: 3,
    stories.quotation: 1,
    papers.receipt: 2,
    papers.shopping: 2,
    papers.recipe: 1,
    papers.addresses: 1,
    papers.plan: 1,
    papers.directions: 1,
    papers.table: 1,
    papers.weather: 1,
    papers.rules: 1,
    signs.dictionary: 3,
    signs.typing_lesson: 2,
    signs.number_lesson: 3,
    signs.word_lesson: 2,
    signs.chat: 2,
    signs.catalogue: 1,
    signs.sums: 1,
    signs.chess: 1,
}


def general_text(rng: random.Random) -> str:
    """A document of general English, of a kind drawn by weight."""
    return rng.choices(list(KINDS), weights=list(KINDS.values()))[0](rng)
