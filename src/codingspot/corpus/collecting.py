"""Filling domains: what is admitted is purified, repeats go, and a domain that is full takes no more."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field

from codingspot.corpus.admission import Reason, admit
from codingspot.corpus.corpus import Domain, DomainKind
from codingspot.corpus.purification import purify_all
from codingspot.corpus.schemas import Candidate
from codingspot.corpus.sources import Texts
from codingspot.errors import CorpusError

Progress = Callable[[str, int], None]
"""Called with a domain and how many texts it has."""


@dataclass(frozen=True)
class Limits:
    """When a domain is full: it has so many texts, or so many tokens as ``count_tokens`` counts them."""

    documents: int | None = None
    tokens: int | None = None
    count_tokens: Callable[[str], int] | None = None


@dataclass
class _Filling:
    kind: DomainKind
    texts: dict[str, None] = field(default_factory=dict)
    tokens: int = 0
    dropped: Counter[str] = field(default_factory=Counter)


class Collector:
    """Domains being filled. The outcome doesn't depend on ``workers``."""

    def __init__(self, limits: Limits, *, workers: int = 1, progress: Progress | None = None) -> None:
        self._limits = limits
        self._workers = workers
        self._progress = progress
        self._domains: dict[str, _Filling] = {}
        self._homeless: Counter[str] = Counter()

    def collect(self, texts: Texts, *, purify: bool) -> None:
        """Take all of ``texts``, or as many as it takes until all of their domains are full; ``purify`` the code.

        Raises:
            CorpusError: two texts of one domain are of different kinds, or a text's language can't be purified.
        """
        waiting: deque[Candidate] = deque()
        if self._complete(texts):
            return
        for text in purify_all(self._admitted(texts.candidates, waiting, purify), self._workers):
            candidate = waiting.popleft()
            if self._put(candidate, text) and self._complete(texts):
                return

    def domains(self, held_out: Collection[str]) -> tuple[Domain, ...]:
        """The domains that have a text, code before general, sorted by name; those in ``held_out`` held out."""
        filled = sorted((filling.kind, name) for name, filling in self._domains.items() if filling.texts)
        return tuple(
            Domain(name, kind, tuple(self._domains[name].texts), name in held_out, self._dropped_of(name))
            for kind, name in filled
        )

    def dropped(self) -> dict[str, int]:
        """What was left out of no domain or of one without a text, by reason."""
        without = [self._domains[name].dropped for name in self._domains if not self._domains[name].texts]
        return dict(sorted(sum(without, start=self._homeless.copy()).items()))

    def tokens(self) -> dict[str, int]:
        """How many tokens each domain has, where they were counted."""
        return {name: filling.tokens for name, filling in sorted(self._domains.items()) if filling.tokens}

    def _dropped_of(self, domain: str) -> dict[str, int]:
        return dict(sorted(self._domains[domain].dropped.items()))

    def _admitted(
        self, candidates: Iterator[Candidate], waiting: deque[Candidate], purify: bool
    ) -> Iterator[tuple[str, str | None]]:
        """Each candidate's text and language; it is appended to ``waiting``, a refused one with its reason."""
        for candidate in candidates:
            if candidate.domain is not None and self._full(candidate.domain):
                continue
            text = candidate.text if isinstance(candidate.text, Reason) else admit(candidate.text, candidate.kind)
            waiting.append(candidate._replace(text=text))
            language = candidate.domain if purify and candidate.kind == "code" else None
            yield ("", None) if isinstance(text, Reason) else (text, language)

    def _put(self, candidate: Candidate, text: str) -> bool:
        """Take one candidate or count why not; whether it was taken."""
        if candidate.domain is None:
            reason = candidate.text if isinstance(candidate.text, Reason) else Reason.OTHER_LANGUAGE
            self._homeless[reason.value] += 1
            return False
        filling = self._domains.setdefault(candidate.domain, _Filling(candidate.kind))
        if filling.kind != candidate.kind:
            raise CorpusError(f"domain {candidate.domain!r} has both code and general text; give one another name")
        if self._full(candidate.domain):
            return False
        fault = candidate.text if isinstance(candidate.text, Reason) else self._fault(filling, text)
        if fault is not None:
            filling.dropped[fault.value] += 1
            return False
        filling.texts[text] = None
        if self._limits.count_tokens is not None:
            filling.tokens += self._limits.count_tokens(text)
        if self._progress is not None:
            self._progress(candidate.domain, len(filling.texts))
        return True

    def _fault(self, filling: _Filling, text: str) -> Reason | None:
        if not text.strip():
            return Reason.EMPTY
        return Reason.DUPLICATE if text in filling.texts else None

    def _full(self, domain: str) -> bool:
        filling = self._domains.get(domain)
        if filling is None:
            return False
        limits = self._limits
        return (limits.documents is not None and len(filling.texts) >= limits.documents) or (
            limits.tokens is not None and filling.tokens >= limits.tokens
        )

    def _complete(self, texts: Texts) -> bool:
        return texts.domains is not None and all(map(self._full, texts.domains))
