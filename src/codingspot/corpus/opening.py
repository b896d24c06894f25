"""One door to every corpus: a name, or several, in; domains of pure code and general text out."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from codingspot.corpus.choice import Choice, canonical
from codingspot.corpus.collecting import Collector, Limits, Progress
from codingspot.corpus.corpus import Corpus
from codingspot.corpus.languages import STUDIED, canonical_language, language_named
from codingspot.corpus.purification import purify
from codingspot.corpus.schemas import ENGLISH, Candidate, Reading, Variant
from codingspot.corpus.sources import Source, Texts, texts_of
from codingspot.errors import CorpusError
from codingspot.tokenization import encode

if TYPE_CHECKING:  # loading transformers takes seconds
    from transformers import PreTrainedTokenizerBase

SourceLike = str | Path | Source


def open_corpus(
    sources: SourceLike | Sequence[SourceLike],
    *,
    name: str | None = None,
    languages: Collection[str] | None = None,
    general: Collection[str] | None = None,
    held_out: Collection[str] | None = None,
    target: Collection[str] | None = None,
    variant: Variant = "paper",
    purified: bool = True,
    documents: int | None = None,
    token_budget: int | None = None,
    tokenizer: PreTrainedTokenizerBase | None = None,
    seed: int | None = 0,
    workers: int = 1,
    progress: Progress | None = None,
) -> Corpus:
    """The corpus that ``sources`` hold together.

    Every source is a Hub id, a path or a :class:`~codingspot.corpus.sources.Source`; a folder written by
    :meth:`Corpus.save` is loaded with all its texts. Whatever the sources are, the domains of code are ``languages``,
    those named in ``general`` are general text, besides those of which a source says so, and those in ``held_out`` are
    held out and no others; with a ``target``, its domains are what is sought in the place of code, and the others are
    general text (:class:`~codingspot.corpus.choice.Choice`). Not given: all languages of a saved corpus, and
    :data:`~codingspot.corpus.languages.STUDIED` of other sources; ``english`` is general where a source doesn't say;
    held out is what a saved corpus holds out. Languages have canonical names, however they are spelt here or there.

    Texts that can't be used are left out (:func:`~codingspot.corpus.admission.admit`), code is purified
    (:func:`~codingspot.corpus.purification.purify`) unless ``purified`` is false or the ``variant`` is
    ``released-code``, and exact repeats of a text within its domain go. A domain takes ``documents`` texts at most, and
    no more once it has ``token_budget`` tokens of ``tokenizer``; which ones is drawn by ``seed``, or the first if that
    is None. What was left out is counted by reason, in ``Domain.dropped`` and, where it never had a domain, in
    ``Corpus.made``. Nothing depends on ``workers``.

    Raises:
        CorpusError: a source can't be read, nothing is left of it all, a language can't be purified, or a name in
            ``languages``, ``general``, ``held_out`` or ``target`` is no domain.
    """
    listed = [sources] if isinstance(sources, SourceLike) else list(sources)
    asked = [each if isinstance(each, Source) else Source(str(each)) for each in listed]
    if (token_budget is None) != (tokenizer is None):
        raise CorpusError("a token budget needs the tokenizer that counts, and the tokenizer a budget; give both")
    if len(asked) == 1 and Corpus.is_saved(Path(asked[0].path)):
        return Choice(languages, general, held_out, target).of(Corpus.load(Path(asked[0].path)))

    # A source that names its domain asks for it.
    used = None if languages is None else (*languages, *(source.domain for source in asked if source.domain))
    choice = Choice(used, general, held_out, target)
    wanted = _languages(STUDIED if languages is None else languages, general or ())
    as_general = frozenset(map(canonical, (ENGLISH, *(general or ()))))
    pure = purified and variant == "paper"
    for language in (name for name in wanted if pure and name not in as_general):
        purify("", language)  # refuses one without a grammar before anything is read
    collector = Collector(
        Limits(documents, token_budget, None if tokenizer is None else _counter(tokenizer)),
        workers=workers,
        progress=progress,
    )
    reading = Reading(wanted, as_general, variant)
    already_held_out: set[str] = set()
    origins = []
    for source in asked:
        origins.append({key: value for key, value in asdict(source).items() if value is not None})
        if Corpus.is_saved(Path(source.path)):
            saved = Corpus.load(Path(source.path))
            already_held_out |= {domain.name for domain in saved.domains if domain.held_out}
            collector.collect(_marked(_saved_texts(saved), general), purify=False)
        else:
            texts = texts_of(source, reading, seed)
            collector.collect(_marked(texts, general), purify=pure)
            if texts.revision is not None:
                origins[-1]["revision"] = texts.revision

    title = name or "+".join(_title(source) for source in asked)
    domains = collector.domains(already_held_out)
    if not domains:
        reasons = ", ".join(f"{reason}: {count}" for reason, count in collector.dropped().items())
        raise CorpusError(f"{title} holds no text of {', '.join(wanted)} ({reasons or 'it is empty'}); ask for others")
    made = {
        "sources": origins,
        "languages": list(wanted),
        "variant": variant,
        "purified": pure,
        "documents": documents,
        "token_budget": token_budget,
        "tokenizer": None if tokenizer is None else tokenizer.name_or_path,
        "tokens": collector.tokens(),
        "seed": seed,
        "dropped": collector.dropped(),
    }
    return choice.of(Corpus(title, domains, made))


def _title(source: Source) -> str:
    """The last part of the path that is no pattern, without ending."""
    parts = [part for part in Path(source.path).parts if not set(part) & set("*?[")]
    return parts[-1].split(".")[0] or parts[-1] if parts else source.path


def _saved_texts(corpus: Corpus) -> Texts:
    candidates = (Candidate(domain.name, domain.kind, text) for domain in corpus.domains for text in domain.texts)
    return Texts(candidates, frozenset(domain.name for domain in corpus.domains))


def _languages(asked: Collection[str], general: Collection[str]) -> tuple[str, ...]:
    """The languages that are read: those asked for, as code or as general text."""
    also = [name for name in general if canonical_language(name)]
    return tuple(dict.fromkeys(language_named(name).name for name in (*asked, *also)))


def _marked(texts: Texts, general: Collection[str] | None) -> Texts:
    """The texts, those of domains asked for as general text being it, whatever their source takes them for."""
    if general is None:
        return texts
    names = frozenset(map(canonical, general))
    candidates = (
        each._replace(kind="general") if each.domain and canonical(each.domain) in names else each
        for each in texts.candidates
    )
    return texts._replace(candidates=candidates)


def _counter(tokenizer: PreTrainedTokenizerBase) -> Callable[[str], int]:
    return lambda text: len(encode(tokenizer, [text], special_tokens=False)[0])
