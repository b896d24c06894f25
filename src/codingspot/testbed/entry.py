"""The testbed's world, by which it enters the rest of the program."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from codingspot.corpus import Corpus
from codingspot.corpus.languages import canonical_language
from codingspot.corpus.parallel import ParallelCorpus
from codingspot.corpus.worlds import WORLDS, WorldTraits
from codingspot.errors import CorpusError
from codingspot.models import TESTBED
from codingspot.testbed.defaults import study_defaults
from codingspot.testbed.parallel import parallel_programs
from codingspot.testbed.programs import LANGUAGES
from codingspot.testbed.world import HELD_OUT_LANGUAGE, world_corpus

_PARALLEL_ROWS = 200


def _parallel(languages: Sequence[str] | None, *, rows: int | None, seed: int, one_line: bool) -> ParallelCorpus:
    wanted = [canonical_language(language) or language for language in languages or sorted(LANGUAGES)]
    unknown = [language for language in wanted if language not in LANGUAGES]
    if unknown:
        raise CorpusError(f"the testbed has no {unknown[0]}; it has {', '.join(sorted(LANGUAGES))}")
    return parallel_programs(rows or _PARALLEL_ROWS, seed, tuple(wanted), one_line=one_line)


def _study() -> Mapping[str, Mapping[str, Any]]:
    return study_defaults(TESTBED)


@WORLDS.register(
    TESTBED,
    traits=WorldTraits(_parallel, _study, Path(__file__).parent / "tasks", (HELD_OUT_LANGUAGE,)),
)
def testbed(documents: int, seed: int) -> Corpus:
    """The small polyglot world."""
    return world_corpus(documents, seed)
