"""Few-shot passages of code translation: the same function in two languages, one line each."""

from __future__ import annotations

import random
from collections.abc import Sequence

from codingspot.testbed.programs.engine import render_one_line
from codingspot.testbed.programs.languages import LANGUAGES
from codingspot.testbed.programs.sampling import sample_program


def translation_passage(rng: random.Random, languages: Sequence[str] | None = None, pairs: int = 4) -> str:
    """A passage of ``pairs`` single operations (never held out), each in a source and a target language.

    Each is two lines, "Python: <program>" and "Java: <program>", with an empty line between one and the next.

    Args:
        rng: the source of randomness.
        languages: the languages to draw source and target from, in random order; all when not given.
        pairs: how many programs.
    """
    source, target = rng.sample(list(languages or LANGUAGES), 2)
    shots: list[str] = []
    seen: set[str] = set()
    while len(shots) < pairs:
        program = sample_program(rng, steps=1)
        lines = [render_one_line(program, language) for language in (source, target)]
        if program.key in seen or None in lines:
            continue
        seen.add(program.key)
        titles = [LANGUAGES[language].title for language in (source, target)]
        shots.append("\n".join(f"{title}: {line}" for title, line in zip(titles, lines, strict=True)))
    return "\n\n".join(shots)
