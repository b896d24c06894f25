"""The two corpora of a study: what is scored, and the held-out documents whose perplexity is evaluated."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

from codingspot.corpus import Corpus, Domain
from codingspot.corpus.sources import corpus_from_folder
from codingspot.errors import CorpusError
from codingspot.study.config import TESTBED, CorpusSection
from codingspot.testbed.world import world_corpus


def study_corpora(section: CorpusSection) -> tuple[Corpus, Corpus]:
    """The scoring corpus and the evaluation corpus; they have the same domains and share no text.

    Raises:
        CorpusError: the folder is unreadable, or a domain has too few texts to keep some for evaluation.
    """
    whole = _whole(section)
    parts = [_split(domain, section) for domain in whole.domains]
    scoring = Corpus(whole.name, tuple(scored for scored, _ in parts))
    return scoring, Corpus(f"{whole.name}-evaluation", tuple(kept for _, kept in parts))


def _whole(section: CorpusSection) -> Corpus:
    if section.source == TESTBED:
        # Repeated programs are dropped, so more are made than are wanted.
        return world_corpus(2 * (section.documents + section.evaluation_documents), section.seed)
    return corpus_from_folder(
        Path(section.source), text_field=section.text_field, general=section.general, held_out=section.held_out
    )


def _split(domain: Domain, section: CorpusSection) -> tuple[Domain, Domain]:
    texts = list(dict.fromkeys(domain.texts))
    random.Random(section.seed).shuffle(texts)
    kept = section.evaluation_documents
    if len(texts) <= kept:
        raise CorpusError(
            f"domain {domain.name!r} has {len(texts)} distinct texts, and {kept} are kept for perplexity; "
            "add text or lower corpus.evaluation_documents"
        )
    scored = texts[kept : kept + section.documents] if section.source == TESTBED else texts[kept:]
    return replace(domain, texts=tuple(scored)), replace(domain, texts=tuple(texts[:kept]))
