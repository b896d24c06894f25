"""The domains of a study's corpus, as far as they are known without reading it."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path

from codingspot.corpus import Choice, Corpus, Domain, Source
from codingspot.corpus.choice import canonical, named
from codingspot.corpus.languages import STUDIED
from codingspot.corpus.rows import GENERAL_HUB_SETS
from codingspot.corpus.schemas import ENGLISH, Reading
from codingspot.corpus.sources import texts_of
from codingspot.corpus.worlds import WORLDS
from codingspot.study.corpus_section import CorpusSection

_TEXTS = 16  # of a domain, which tell how long its texts are


def known_domains(section: CorpusSection) -> tuple[Corpus, bool]:
    """The domains that a study reads, and whether the texts with them are some of their own, not stand-ins.

    A world and a saved corpus say which they are. Other files hold those that their folders and columns say they can
    hold. Data sets on the Hub aren't asked: they are taken to hold the languages of the study, or English.

    Raises:
        CorpusError: a name that the study asks for is no domain of a world or a saved corpus, or a file can't be read.
        ArtefactError: a saved corpus is corrupt.
    """
    choice = Choice(section.languages, section.general, section.held_out, section.target)
    listed = section.source if isinstance(section.source, tuple) else [section.source]
    named_here = [each for each in listed if each is not None]
    sources = [each if isinstance(each, Source) else Source(each, text_field=section.text_field) for each in named_here]
    own = _own(section, sources)
    if own is not None:
        return choice.of(own), True
    found = {each.name: each for source in sources or (None,) for each in _of(source, section)}
    if section.languages is not None:
        used = (*section.languages, *(source.domain for source in sources if source.domain))
        found = {name: each for name, each in found.items() if each.kind == "general" or named(name, used)}
    held_out = section.held_out and [name for name in section.held_out if named(name, found)]
    target = section.target and [name for name in section.target if named(name, found)]
    return Choice(held_out=held_out, target=target).of(Corpus("sources", tuple(found.values()))), False


def _own(section: CorpusSection, sources: list[Source]) -> Corpus | None:
    """The beginning of the one world or saved corpus that is the source of it all."""
    if len(sources) != 1:
        return None
    (path,) = (source.path for source in sources)
    if path in WORLDS:
        return WORLDS[path](_TEXTS, section.seed)
    return Corpus.glance(Path(path), _TEXTS) if Corpus.is_saved(Path(path)) else None


def _of(source: Source | None, section: CorpusSection) -> Iterator[Domain]:
    """A stand-in for every domain that a source can hold; of what a study without one would read."""
    languages = [canonical(name) for name in (STUDIED if section.languages is None else section.languages)]
    general = [canonical(name) for name in (ENGLISH, *(section.general or ()))]
    if source is not None and Corpus.is_saved(Path(source.path)):
        yield from Corpus.glance(Path(source.path), _TEXTS).domains
        return
    names: Collection[str] | None = None
    kind = None if source is None else source.kind
    if source is None:
        names = [*languages, *(section.general or (ENGLISH,))]
    elif Path(source.path).expanduser().exists() or set(source.path) & set("*?["):
        names = texts_of(source, Reading(languages, general, section.variant), seed=None).domains
    elif source.domain is not None:
        names = [source.domain]
    elif source.path.partition("@")[0] in GENERAL_HUB_SETS:
        names = [ENGLISH]
    for name in map(canonical, [*languages, *(section.general or ())] if names is None else sorted(names)):
        yield Domain(name, "general" if kind == "general" or name in general else kind or "code", ("-",))
