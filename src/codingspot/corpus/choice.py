"""Which domains of a corpus are used, and as what: one rule for every kind of source."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace

from codingspot.corpus.corpus import Corpus, Domain
from codingspot.corpus.languages import canonical_language
from codingspot.errors import CorpusError


@dataclass(frozen=True)
class Choice:
    """What is asked of a corpus; None where nothing is asked, and its source's own word holds.

    Attributes:
        languages: of the domains of code, those that are used; None: all.
        general: domains that are general text, besides those of which their source says so.
        held_out: the domains that are held out, and no others; None: those that the source holds out.
        target: the domains of the ability that is sought, whose kind is ``code`` whatever they are; all others are
            general text then. None: the programming languages.
    """

    languages: Collection[str] | None = None
    general: Collection[str] | None = None
    held_out: Collection[str] | None = None
    target: Collection[str] | None = None

    def of(self, corpus: Corpus) -> Corpus:
        """``corpus`` with what was asked for. Names of languages may be spelt in any way.

        Raises:
            CorpusError: a name that is asked for is no domain of ``corpus``; the message lists those there are.
        """
        _require(corpus.name, corpus.domains, (*(self.languages or ()), *(self.general or ())))
        chosen = tuple(found for domain in corpus.domains if self._uses(found := self._marked(domain)))
        _require(corpus.name, chosen, (*(self.held_out or ()), *(self.target or ())))
        return replace(corpus, domains=tuple(map(self._sought, chosen)))

    def _marked(self, domain: Domain) -> Domain:
        return replace(
            domain,
            kind="general" if named(domain.name, self.general) else domain.kind,
            held_out=domain.held_out if self.held_out is None else named(domain.name, self.held_out),
        )

    def _sought(self, domain: Domain) -> Domain:
        if self.target is None:
            return domain
        return replace(domain, kind="code" if named(domain.name, self.target) else "general")

    def _uses(self, domain: Domain) -> bool:
        return domain.kind == "general" or self.languages is None or named(domain.name, self.languages)


def _require(corpus: str, domains: Collection[Domain], asked: Collection[str]) -> None:
    names = [domain.name for domain in domains]
    for name in asked:
        if not named(name, names):
            raise CorpusError(f"{corpus} has no domain {name!r}; it has {', '.join(sorted(names)) or 'none'}")


def canonical(name: str) -> str:
    """The canonical name of a language however it is spelt; of any other domain its own."""
    return canonical_language(name) or name


def named(name: str, names: Iterable[str] | None) -> bool:
    """Whether a domain is among ``names``, however languages are spelt."""
    return canonical(name) in map(canonical, names or ())
