"""The testbed's parallel corpus: the same program in each of its languages."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace

from codingspot.corpus.parallel import ParallelCorpus
from codingspot.testbed.programs import LANGUAGES, Program, render, render_one_line, sample_program
from codingspot.testbed.programs.sampling import PARAMETERS

_NAME = "transform_input"
_ATTEMPTS = 50


def parallel_programs(
    rows: int, seed: int, languages: Sequence[str] = tuple(sorted(LANGUAGES)), *, one_line: bool = False
) -> ParallelCorpus:
    """``rows`` programs, all different, each in every one of ``languages``; fewer where there are no more.

    All functions have the same name, and the same parameter for the same type, so that only what a program does tells
    it from another. With ``one_line`` they are single operations on one line, as in the few-shot translation passages
    of training, with names of their own as there; programs that some language can't write on one line are left out.

    Raises:
        CorpusError: fewer than two languages or rows.
    """
    rng = random.Random(f"parallel/{seed}")
    programs: dict[str, Program] = {}
    for _ in range(_ATTEMPTS * max(rows, 1)):
        if len(programs) == rows:
            break
        program = sample_program(rng, steps=1) if one_line else sample_program(rng)
        if program.key in programs:
            continue
        if not one_line:
            programs[program.key] = replace(program, name=_NAME, parameter=PARAMETERS[program.takes][0])
        elif all(render_one_line(program, language) for language in languages):
            programs[program.key] = program
    write = render_one_line if one_line else render
    texts = {language: tuple(write(program, language) or "" for program in programs.values()) for language in languages}
    return ParallelCorpus("testbed", texts)
