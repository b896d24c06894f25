"""The two corpora of a study: what is scored, and the held-out documents whose perplexity is evaluated."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from codingspot.corpus import Choice, Corpus, Domain, Source, open_corpus
from codingspot.corpus.worlds import WORLDS
from codingspot.errors import CorpusError
from codingspot.study.corpus_section import CorpusSection

if TYPE_CHECKING:  # loading transformers takes seconds
    from transformers import PreTrainedTokenizerBase

_SOURCES = "a folder, a file, a Hub id, or testbed, the testbed's small world"
_WORLD_DOCUMENTS = 700  # of a world, which has no end, where all texts are asked for


def study_corpora(section: CorpusSection) -> tuple[Corpus, Corpus]:
    """The scoring corpus and the evaluation corpus; they have the same domains and share no text.

    Raises:
        CorpusError: no source is named or it is unreadable, what is asked for isn't in it, or a domain has too few
            texts to keep some for evaluation.
    """
    kept = section.evaluation_documents
    whole = _whole(section, kept)
    parts = [(domain, _drawn(domain, section, kept)) for domain in whole.domains]
    scoring = Corpus(whole.name, tuple(replace(domain, texts=tuple(texts[kept:])) for domain, texts in parts))
    evaluation = tuple(replace(domain, texts=tuple(texts[:kept])) for domain, texts in parts)
    return scoring, Corpus(f"{whole.name}-evaluation", evaluation)


def scoring_corpus(section: CorpusSection, tokenizer: PreTrainedTokenizerBase, token_budget: int) -> Corpus:
    """The corpus where perplexity isn't evaluated: all texts for scoring, ``documents`` at most, none kept back.

    Where all are asked for, a source is read until each domain has ``token_budget`` tokens of ``tokenizer``: no more
    are scored, and data sets on the Hub may have millions of texts.

    Raises:
        CorpusError: as :func:`study_corpora`, but for texts to keep.
    """
    limit = {} if section.documents else {"tokenizer": tokenizer, "token_budget": token_budget}
    whole = _whole(section, 0, **limit)
    return replace(
        whole, domains=tuple(replace(domain, texts=tuple(_drawn(domain, section, 0))) for domain in whole.domains)
    )


def require_source(section: CorpusSection, model: str = "the model") -> str | Source | tuple[str | Source, ...]:
    """The corpus's source.

    Raises:
        CorpusError: none is named.
    """
    if section.source is None:
        raise CorpusError(f"no corpus is named for {model}; name one (corpus.source or --corpus): {_SOURCES}")
    return section.source


def _whole(section: CorpusSection, kept: int, **limit: Any) -> Corpus:
    source = require_source(section)
    wanted = section.documents + kept if section.documents else None
    if isinstance(source, str) and source in WORLDS:
        # Repeated programs are dropped, so more are made than are wanted.
        world = WORLDS[source](2 * (wanted or _WORLD_DOCUMENTS + kept), section.seed)
        return Choice(section.languages, section.general, section.held_out, section.target).of(world)
    listed = source if isinstance(source, tuple) else (source,)
    return open_corpus(
        [each if isinstance(each, Source) else Source(each, text_field=section.text_field) for each in listed],
        languages=section.languages,
        general=section.general,
        held_out=section.held_out,
        target=section.target,
        variant=section.variant,
        purified=section.purified,
        documents=wanted,
        seed=section.seed,
        **limit,
    )


def _drawn(domain: Domain, section: CorpusSection, kept: int) -> list[str]:
    """The domain's distinct texts in the order of the seed; the first ``kept`` are for perplexity."""
    texts = list(dict.fromkeys(domain.texts))
    random.Random(section.seed).shuffle(texts)
    if len(texts) <= kept:
        raise CorpusError(
            f"domain {domain.name!r} has {len(texts)} distinct texts, and {kept} are kept for perplexity; "
            "add text or lower evaluation_documents"
        )
    return texts[: kept + section.documents] if section.documents else texts
