"""Worlds: texts that are made rather than read, by the name that stands where a source may, and what goes with them.

A world is registered by a function from a number of texts a domain and a seed to its corpus.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol

from codingspot.corpus.corpus import Corpus
from codingspot.corpus.parallel import ParallelCorpus
from codingspot.registry import Registry


class Parallel(Protocol):
    """Makes parallel code."""

    def __call__(
        self, languages: Sequence[str] | None, *, rows: int | None, seed: int, one_line: bool
    ) -> ParallelCorpus:
        """Programs in ``languages``, all that there are by default.

        Raises:
            CorpusError: a language isn't there.
        """


@dataclass(frozen=True)
class WorldTraits:
    """What goes with a world.

    Attributes:
        parallel: its parallel code; None where it has none.
        study: what a study of a model that learned it holds where it doesn't say, section by section.
        tasks: folder of its tasks' YAML files.
        held_out: the domains that its corpus holds out.
    """

    parallel: Parallel | None = None
    study: Callable[[], Mapping[str, Mapping[str, Any]]] = dict
    tasks: Path | None = None
    held_out: tuple[str, ...] = field(default=())


WORLDS: Final[Registry[Callable[[int, int], Corpus], WorldTraits]] = Registry(
    "world", WorldTraits(), own={"testbed": "codingspot.testbed.entry:testbed"}
)
"""Worlds by name."""
