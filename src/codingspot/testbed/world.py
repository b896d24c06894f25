"""The polyglot world: what the testbed model reads, and the corpus its parameters are scored on.

A training document is one of: a documented program, pure code, a Python call with its result, a few-shot translation
passage, or English. Scoring and perplexity use pure code and general English only, from seeds that training never
uses.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from codingspot.corpus.corpus import Corpus, Domain
from codingspot.testbed import english, programs

HELD_OUT_LANGUAGE = "python"
ENGLISH = "english"


@dataclass(frozen=True)
class Mixture:
    """Shares of the training documents.

    ``code`` is the share of documents that hold programs. Among those, ``kinds`` gives the weights of documented
    programs, pure code, calls with results and translation passages; Python is drawn ``python_weight`` times as often
    as any other language of ``languages``.
    """

    code: float = 0.55
    languages: tuple[str, ...] = tuple(sorted(programs.LANGUAGES))
    python_weight: float = 4.0
    kinds: tuple[float, float, float, float] = (0.60, 0.14, 0.18, 0.08)

    def document(self, rng: random.Random) -> str:
        """Draw one training document."""
        if rng.random() >= self.code:
            return english.english_document(rng)
        kind = rng.choices(("documented", "pure", "call", "translation"), self.kinds)[0]
        if kind == "translation" and len(self.languages) > 1:
            return programs.translation_passage(rng, self.languages)
        if kind == "call" and HELD_OUT_LANGUAGE in self.languages:
            return programs.call_example(programs.sample_program(rng), rng)
        weights = [self.python_weight if name == HELD_OUT_LANGUAGE else 1.0 for name in self.languages]
        language = rng.choices(self.languages, weights)[0]
        render = programs.render if kind == "pure" else programs.render_documented
        return "\n\n".join(render(programs.sample_program(rng), language) for _ in range(rng.randint(1, 2)))


def training_documents(seed: int, shard: int, mixture: Mixture) -> Iterator[str]:
    """Endless training documents of one shard; the same seed, shard and mixture always give the same ones."""
    rng = random.Random(f"training/{seed}/{shard}")
    while True:
        yield mixture.document(rng)


def pure_code(language: str, count: int, seed: int) -> tuple[str, ...]:
    """``count`` programs in ``language`` without any comment."""
    rng = random.Random(f"code/{language}/{seed}")
    return tuple(programs.render(programs.sample_program(rng), language) for _ in range(count))


def general_english(count: int, seed: int) -> tuple[str, ...]:
    """``count`` documents of English: general text and passages of the five task families."""
    rng = random.Random(f"english/{seed}")
    return tuple(english.english_document(rng) for _ in range(count))


def world_corpus(documents: int, seed: int, languages: Sequence[str] = tuple(sorted(programs.LANGUAGES))) -> Corpus:
    """The corpus of the testbed: pure code in each language and English, ``documents`` texts each.

    Python is marked as held out: it takes no part in scoring.
    """
    code = [
        Domain(name, "code", pure_code(name, documents, seed), held_out=name == HELD_OUT_LANGUAGE)
        for name in languages
    ]
    return Corpus("testbed", (*code, Domain(ENGLISH, "general", general_english(documents, seed))))
