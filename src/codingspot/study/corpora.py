"""The two corpora of a study: what is scored, and the held-out documents whose perplexity is evaluated."""

from __future__ import annotations

import random
from dataclasses import replace

from codingspot.corpus import Corpus, Domain, Source, open_corpus
from codingspot.corpus.languages import canonical_language
from codingspot.errors import CorpusError
from codingspot.models import TESTBED
from codingspot.study.config import CorpusSection
from codingspot.testbed.programs import LANGUAGES
from codingspot.testbed.world import ENGLISH, world_corpus


def study_corpora(section: CorpusSection) -> tuple[Corpus, Corpus]:
    """The scoring corpus and the evaluation corpus; they have the same domains and share no text.

    Raises:
        CorpusError: a source is unreadable, or a domain has too few texts to keep some for evaluation.
    """
    whole = _whole(section)
    parts = [_split(domain, section) for domain in whole.domains]
    scoring = Corpus(whole.name, tuple(scored for scored, _ in parts))
    return scoring, Corpus(f"{whole.name}-evaluation", tuple(kept for _, kept in parts))


def _whole(section: CorpusSection) -> Corpus:
    wanted = section.documents + section.evaluation_documents
    if section.source == TESTBED:
        return _testbed(section, wanted)
    listed = section.source if isinstance(section.source, tuple) else (section.source,)
    return open_corpus(
        [each if isinstance(each, Source) else Source(each, text_field=section.text_field) for each in listed],
        languages=section.languages,
        general=section.general,
        held_out=section.held_out,
        variant=section.variant,
        purified=section.purified,
        documents=wanted,
        seed=section.seed,
    )


def _testbed(section: CorpusSection, documents: int) -> Corpus:
    languages, held_out = (_testbed_names(section, key) for key in ("languages", "held_out"))
    if section.general != (ENGLISH,):
        raise CorpusError(f"the testbed's general text is {ENGLISH} alone; leave corpus.general out")
    # Repeated programs are dropped, so more are made than are wanted.
    world = world_corpus(2 * documents, section.seed, languages)
    return replace(world, domains=tuple(replace(domain, held_out=domain.name in held_out) for domain in world.domains))


def _testbed_names(section: CorpusSection, key: str) -> tuple[str, ...]:
    wanted = {canonical_language(name) or name for name in getattr(section, key)}
    unknown = sorted(wanted - set(LANGUAGES))
    if unknown:
        raise CorpusError(f"the testbed has no {unknown[0]}; corpus.{key} takes {', '.join(sorted(LANGUAGES))}")
    return tuple(sorted(wanted))


def _split(domain: Domain, section: CorpusSection) -> tuple[Domain, Domain]:
    texts = list(dict.fromkeys(domain.texts))
    random.Random(section.seed).shuffle(texts)
    kept = section.evaluation_documents
    if len(texts) <= kept:
        raise CorpusError(
            f"domain {domain.name!r} has {len(texts)} distinct texts, and {kept} are kept for perplexity; "
            "add text or lower corpus.evaluation_documents"
        )
    scored = texts[kept : kept + section.documents]
    return replace(domain, texts=tuple(scored)), replace(domain, texts=tuple(texts[:kept]))
