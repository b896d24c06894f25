"""The parameters a recipe chooses from, and their scores, read from a store a run at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float32
from torch import Tensor

from codingspot.errors import SelectionError
from codingspot.importance import ScoreStore
from codingspot.models import SCOPES, ParameterLayout, role_of
from codingspot.models.ranks import ALONE, Ranks
from codingspot.spot.selection import KeyChunk, KeySource

_RUN = 1 << 19


@dataclass(frozen=True)
class Run:
    """Consecutive parameters of one tensor: those from ``start`` to ``stop`` of the flattened tensor ``name``.

    ``position`` is that of the first of them among all the model's parameters.
    """

    store: ScoreStore
    name: str
    start: int
    stop: int
    position: int

    def magnitude(self, domain: str) -> Float32[Tensor, " n"]:
        """Magnitudes of the scores for one domain."""
        return self.store.magnitude(domain, self.name, self.start, self.stop)

    def magnitudes(self, domains: Sequence[str]) -> Float32[Tensor, "domains n"]:
        """Magnitudes of the scores for several domains."""
        return torch.stack([self.magnitude(domain) for domain in domains])


Keys = Callable[[Run], tuple[Float32[Tensor, " n"], Bool[Tensor, " n"] | None]]
"""What a recipe comes to: for any run of parameters their keys, higher is better, and which of them are eligible
(None where all are)."""


@dataclass(frozen=True)
class Candidates:
    """The parameters in scope, the domains they are judged by, and how many are wanted.

    ``names`` are the tensors in scope; ``code`` and ``general`` the domains; ``wanted`` the number to select. Each of
    several ``ranks`` passes over a part of the parameters, one rank's after the other's.
    """

    store: ScoreStore
    names: tuple[str, ...]
    code: tuple[str, ...]
    general: tuple[str, ...]
    wanted: int
    ranks: Ranks = ALONE

    @property
    def total(self) -> int:
        """How many parameters are in scope."""
        sizes = self.store.layout.sizes
        return sum(sizes[name] for name in self.names)

    def by_tensor(self) -> dict[str, Candidates]:
        """The same, tensor by tensor: all the parameters of each are wanted. Empty tensors are passed over."""
        sizes = self.store.layout.sizes
        return {name: replace(self, names=(name,), wanted=sizes[name]) for name in self.names if sizes[name]}

    def source(self, keys: Keys) -> KeySource:
        """Passes over the keys of this rank's parameters."""

        def run_pass() -> Iterator[KeyChunk]:
            for run in self.runs():
                values, eligible = keys(run)
                yield KeyChunk(run.name, run.position, values, eligible)

        return run_pass

    def magnitudes(self, domain: str) -> KeySource:
        """Passes over one domain's magnitudes."""
        return self.source(lambda run: (run.magnitude(domain), None))

    def runs(self) -> Iterator[Run]:
        """One pass over this rank's parameters in scope, in order of position."""
        own = range(*(self.total * rank // self.ranks.count for rank in (self.ranks.own, self.ranks.own + 1)))
        before = 0
        for name in self.names:
            size, first = self.store.layout.sizes[name], self.store.layout.slice(name).start
            for start in range(0, size, _RUN):
                if before + start in own:
                    yield Run(self.store, name, start, min(size, start + _RUN), first + start)
            before += size

    def sum(self, value: Callable[[Run], Tensor]) -> Tensor:
        """The sum of what ``value`` gives of every run in scope, all ranks' in order of position."""
        return self.ranks.in_order(value(run) for run in self.runs())


def candidates(
    store: ScoreStore, scope: str, wanted: int, *, languages: Sequence[str] | None = None, ranks: Ranks = ALONE
) -> Candidates:
    """The parameters of ``store`` in ``scope``, judged by all its code domains or by those named in ``languages``.

    Raises:
        SelectionError: the store has no code domain, or the scope has fewer parameters than wanted.
        ArtefactError: the store has no domain of a name in ``languages``.
        StudyError: the scope is unknown.
    """
    code = store.names("code") if languages is None else tuple(store.domain(name).name for name in languages)
    if not code:
        raise SelectionError(f"score store {store.folder} has no code domain; score a corpus that has one")
    found = Candidates(store, names_in(store.layout, scope), code, store.names("general"), wanted, ranks)
    if found.total < wanted:
        raise SelectionError(
            f"scope {scope!r} has {found.total} parameters, fewer than the {wanted} that k asks for out of all "
            f"{store.layout.total}; lower k or widen the scope"
        )
    return found


def names_in(layout: ParameterLayout, scope: str) -> tuple[str, ...]:
    """The tensors of a layout in a scope.

    Raises:
        StudyError: the scope is unknown.
    """
    is_in = SCOPES[scope]
    return tuple(name for name in layout.names if is_in(role_of(name)))
