"""The polyglot world: what the testbed model reads, and the corpus its parameters are scored on.

A training document is one of: a documented program, pure code, a Python call with its result, a few-shot translation
passage, or English. Scoring and perplexity use pure code and general English only, from seeds that training never
uses.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from codingspot.corpus.corpus import Corpus, Domain
from codingspot.corpus.schemas import ENGLISH
from codingspot.testbed import english, programs

HELD_OUT_LANGUAGE = "python"


@dataclass(frozen=True)
class Mixture:
    """Shares of the training documents.

    ``code`` is the share of documents that hold programs. Among those, ``kinds`` gives the weights of documented
    programs, pure code, a Python call with its result, translation passages, and sessions of several calls; Python is
    drawn ``python_weight`` times as often as any other language of ``languages``. ``english`` weighs general text,
    arithmetic, events, knowledge, misconceptions and roles.
    """

    code: float
    kinds: tuple[float, float, float, float, float]
    english: tuple[float, float, float, float, float, float]
    languages: tuple[str, ...] = tuple(sorted(programs.LANGUAGES))
    python_weight: float = 4.0

    def document(self, rng: random.Random) -> str:
        """Draw one training document."""
        if rng.random() >= self.code:
            return english.english_document(rng, self.english)
        kind = rng.choices(("documented", "pure", "call", "translation", "session"), self.kinds)[0]
        if kind == "translation" and len(self.languages) > 1:
            return programs.translation_passage(rng, self.languages)
        if kind in ("call", "session") and HELD_OUT_LANGUAGE in self.languages:
            show = programs.call_example if kind == "call" else programs.call_session
            return show(programs.sample_program(rng), rng)
        weights = [self.python_weight if name == HELD_OUT_LANGUAGE else 1.0 for name in self.languages]
        language = rng.choices(self.languages, weights)[0]
        render = programs.render if kind == "pure" else programs.render_documented
        return "\n\n".join(render(programs.sample_program(rng), language) for _ in range(rng.randint(1, 2)))


BROAD = Mixture(code=0.55, kinds=(0.60, 0.14, 0.18, 0.08, 0.0), english=(0.35, 0.25, 0.10, 0.10, 0.10, 0.10))
"""Everything the world has: what a program is, what the families ask."""

REASONING = Mixture(code=0.60, kinds=(0.28, 0.06, 0.0, 0.06, 0.60), english=(0.24, 0.12, 0.05, 0.05, 0.06, 0.48))
"""More of what is learnt last: running a program, and who did what to whom."""

ROUTED = Mixture(code=0.5, kinds=(0.78, 0.17, 0.0, 0.05, 0.0), english=(0.14, 0.28, 0.07, 0.07, 0.07, 0.37))
"""What the routed model is measured by: writing programs, and the families, those learnt last most often."""

ROUTED_LATE = replace(ROUTED, english=(0.10, 0.34, 0.04, 0.16, 0.04, 0.32))
"""The same with less of what is soon known, events and misconceptions, and more arithmetic and knowledge."""

ROUTED_ROLES = replace(ROUTED, english=(0.10, 0.14, 0.03, 0.08, 0.03, 0.62))
"""The same with most of the general text on what is learnt last of all: who did what to whom."""


def training_documents(seed: int, shard: str, mixture: Mixture) -> Iterator[str]:
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


def english_families(count: int, seed: int) -> tuple[Domain, ...]:
    """General text and each of the five task families as a domain of its own, ``count`` documents each."""
    texts = {"general_text": english.general_text, **{n: f.training_text for n, f in english.FAMILIES.items()}}
    domains = []
    for name, sample in texts.items():
        rng = random.Random(f"english/{name}/{seed}")
        domains.append(Domain(name, "general", tuple(sample(rng) for _ in range(count))))
    return tuple(domains)


def world_corpus(documents: int, seed: int, languages: Sequence[str] = tuple(sorted(programs.LANGUAGES))) -> Corpus:
    """The corpus of the testbed: pure code in each language and English, ``documents`` texts each.

    Python is marked as held out: it takes no part in scoring.
    """
    code = [
        Domain(name, "code", pure_code(name, documents, seed), held_out=name == HELD_OUT_LANGUAGE) for name in languages
    ]
    return Corpus("testbed", (*code, Domain(ENGLISH, "general", general_english(documents, seed))))
