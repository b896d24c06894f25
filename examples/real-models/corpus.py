"""The text of the studies of real models: nine languages are scored, Python and HumanEval held out, with general text.

    python corpus.py DATA OUT

``DATA`` holds the public files ``mt-mbpp/parallel_functions.jsonl.gz`` (MBPP's test functions in many languages),
``humaneval/test.jsonl.gz``, ``gsm8k/train.jsonl.gz``, ``gsm8k/test.jsonl.gz``, ``english/wiki_demo.txt`` (an article a
line) and ``english/wikitext2_valid.txt``. HumanEval and MBPP share problems, so that what is found in the translations
of one is not independent of the other's problems; no Python is in what is scored.
"""

from __future__ import annotations

import gzip
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from codingspot.corpus import Corpus, Domain, open_corpus

SCORED = ("bash", "cpp", "csharp", "go", "java", "javascript", "ruby", "rust", "typescript")
LONGEST = 2_000  # characters of a piece of an article


def rows(path: Path) -> list[dict[str, str]]:
    """Rows of a compressed file of JSON lines."""
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def paragraphs(path: Path) -> list[str]:
    """Lines of a text that are long enough to be no heading."""
    return [line.strip() for line in path.read_text(encoding="utf-8").splitlines() if len(line.strip()) > 200]


def pieces(article: str) -> Iterator[str]:
    """An article in whole sentences, of ``LONGEST`` characters or little more."""
    piece = ""
    for sentence in re.split(r"(?<=[.!?]) +", article):
        piece = f"{piece} {sentence}".strip()
        if len(piece) >= LONGEST:
            yield piece
            piece = ""
    if len(piece) > 200:
        yield piece


def main(data: Path, out: Path) -> None:
    """Build the corpus and save it."""
    code = open_corpus(
        data / "mt-mbpp" / "parallel_functions.jsonl.gz", languages=(*SCORED, "python"), held_out=("python",)
    )
    solutions = [row["prompt"] + row["canonical_solution"] for row in rows(data / "humaneval" / "test.jsonl.gz")]
    problems = [row["question"] for part in ("train", "test") for row in rows(data / "gsm8k" / f"{part}.jsonl.gz")]
    articles = paragraphs(data / "english" / "wiki_demo.txt")
    corpus = Corpus(
        "real-models",
        (
            *code.domains,
            Domain("humaneval", "code", tuple(solutions), held_out=True),
            Domain("gsm8k", "general", tuple(problems)),
            Domain("wikipedia", "general", tuple(piece for article in articles for piece in pieces(article))),
            Domain("wikitext", "general", tuple(paragraphs(data / "english" / "wikitext2_valid.txt")), held_out=True),
        ),
    )
    corpus.save(out)
    for domain in corpus.domains:
        print(
            f"{domain.name:<12}{domain.kind:<9}{'held out' if domain.held_out else 'scored':<10}{len(domain.texts):>6}"
        )


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
