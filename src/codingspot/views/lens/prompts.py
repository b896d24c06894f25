"""Few-shot prompts of code translation, from parallel code.

Each shot is two paragraphs, the text in the source language after its title and that in the target language after its
own; shots are parted by an empty line. The prompt ends at the target's title, and the answer follows.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from transformers import PreTrainedTokenizerBase

from codingspot.corpus.languages import LANGUAGES
from codingspot.corpus.parallel import ParallelCorpus
from codingspot.errors import CorpusError
from codingspot.tokenization import encode

STOP = "\n\n"


@dataclass(frozen=True)
class Translation:
    """One prompt with its answer, as text; ``given`` is what is to be translated."""

    source: str
    target: str
    row: int
    given: str
    prompt: str
    answer: str


@dataclass(frozen=True)
class TokenisedTranslation:
    """A prompt and its answer as tokens; those from ``start`` on are the answer's."""

    tokens: tuple[int, ...]
    start: int


def title(language: str) -> str:
    """How a language is written for readers."""
    return LANGUAGES[language].title if language in LANGUAGES else language


def fitting_rows(
    corpus: ParallelCorpus, tokenizer: PreTrainedTokenizerBase, *, shots: int, longest: int
) -> ParallelCorpus:
    """Rows of which any ``shots`` + 1 make a prompt and an answer of ``longest`` tokens at most; others are counted.

    A prompt has two texts a row, so each may take 1 / (2 shots + 2) of ``longest``, with its title.

    Raises:
        CorpusError: fewer rows than the shots and an item, or than two, are so short.
    """
    room = longest // (2 * (shots + 1))
    fits = [True] * corpus.rows
    for language, texts in corpus.texts.items():
        paragraphs = [f"{title(language)}: {text}{STOP}" for text in texts]
        for row, tokens in enumerate(encode(tokenizer, paragraphs)):
            fits[row] &= len(tokens) <= room
    kept = [row for row, short in enumerate(fits) if short]
    if len(kept) < max(shots + 1, 2):
        raise CorpusError(
            f"{max(shots + 1, 2)} rows are needed for {shots} shots and an item, but only {len(kept)} of the "
            f"{corpus.rows} rows of {corpus.name} are short enough within the model's {longest} tokens; use fewer shots"
        )
    if len(kept) == corpus.rows:
        return corpus
    columns = {language: tuple(texts[row] for row in kept) for language, texts in corpus.texts.items()}
    skipped = {**corpus.skipped, "too long for a prompt": corpus.rows - len(kept)}
    return ParallelCorpus(corpus.name, columns, skipped)


def translations(
    corpus: ParallelCorpus, source: str, target: str, *, items: int, shots: int, seed: int
) -> list[Translation]:
    """``items`` prompts from ``source`` to ``target`` with ``shots`` shots each; fewer where there are fewer rows.

    Rows and shots are drawn by ``seed`` alone, so that every pair of languages has the same ones.

    Raises:
        CorpusError: there are too few rows for the shots and an item.
    """
    if corpus.rows <= shots:
        raise CorpusError(
            f"{corpus.name} has {corpus.rows} rows, too few for {shots} shots and an item; use fewer shots"
        )
    generator = random.Random(f"translations/{seed}")
    rows = generator.sample(range(corpus.rows), min(items, corpus.rows))
    found = []
    for row in rows:
        others = generator.sample([other for other in range(corpus.rows) if other != row], shots)
        first, second = corpus.texts[source], corpus.texts[target]
        shown = [f"{title(source)}: {first[i]}\n{title(target)}: {second[i]}{STOP}" for i in others]
        prompt = "".join(shown) + f"{title(source)}: {first[row]}\n{title(target)}:"
        found.append(Translation(source, target, row, first[row], prompt, f" {second[row]}"))
    return found


def tokenise(translation: Translation, tokenizer: PreTrainedTokenizerBase) -> TokenisedTranslation:
    """Tokens of prompt and answer together; the answer begins after as many as the prompt alone has."""
    prompt, whole = encode(tokenizer, [translation.prompt, translation.prompt + translation.answer])
    return TokenisedTranslation(tuple(whole), min(len(prompt), len(whole) - 1))
