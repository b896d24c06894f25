"""Throughput of purification, against parsing alone, on programs as they are and with a comment on every other line.

    python benchmarks/purification.py ../shared/data/mt-mbpp/parallel_functions.jsonl.gz

A line is one language; MB/s are of text that goes in, by the processor time of one core. The last lines give the
wall-clock time of the whole over one and several processes.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from codingspot.corpus import open_corpus
from codingspot.corpus.grammars import parse
from codingspot.corpus.languages import PURIFIABLE
from codingspot.corpus.purification import purify, purify_all

HASH_COMMENTS = ("bash", "julia", "python", "ruby")


def commented(text: str, language: str) -> str:
    """The text with a comment above every other line."""
    marker = "#" if language in HASH_COMMENTS else "//"
    lines = text.split("\n")
    return "\n".join(
        f"{marker} what the next line does\n{line}" if number % 2 else line for number, line in enumerate(lines)
    )


def megabytes_a_second(work: Callable[[str], object], texts: Sequence[str], repeats: int) -> float:
    """The median over ``repeats`` of the size of all texts by the processor time that ``work`` takes on them."""
    size = sum(len(text.encode()) for text in texts) / 1e6
    rates = []
    for _ in range(repeats):
        start = time.process_time()
        for text in texts:
            work(text)
        rates.append(size / (time.process_time() - start))
    return statistics.median(rates)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", type=Path, help="mt-mbpp, or another source of programs")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    arguments = parser.parse_args()

    corpus = open_corpus(arguments.rows, languages=PURIFIABLE, purified=False)
    print(f"{'language':<12}{'MB':>6}{'parse':>9}{'purify':>9}{'commented':>11}   (MB/s a core)")
    total = noisy_total = seconds = seconds_commented = 0.0
    for domain in corpus.code:
        name, texts = domain.name, domain.texts
        size = sum(len(text.encode()) for text in texts) / 1e6
        noisy = [commented(text, name) for text in texts]
        noisy_size = sum(len(text.encode()) for text in noisy) / 1e6
        parsing = megabytes_a_second(lambda text, name=name: parse(text.encode(), name), texts, arguments.repeats)
        pure = megabytes_a_second(lambda text, name=name: purify(text, name), texts, arguments.repeats)
        with_comments = megabytes_a_second(lambda text, name=name: purify(text, name), noisy, arguments.repeats)
        print(f"{name:<12}{size:>6.2f}{parsing:>9.2f}{pure:>9.2f}{with_comments:>11.2f}")
        total += size
        seconds += size / pure
        noisy_total += noisy_size
        seconds_commented += noisy_size / with_comments
    print(f"{'all':<12}{total:>6.2f}{'':>9}{total / seconds:>9.2f}{noisy_total / seconds_commented:>11.2f}")

    documents = [(text, domain.name) for domain in corpus.code for text in domain.texts] * 4
    alone: list[str] | None = None
    for workers in sorted({1, arguments.workers}):
        start = time.perf_counter()
        result = list(purify_all(documents, workers))
        elapsed = time.perf_counter() - start
        alone = alone or result
        same = "" if result == alone else ", DIFFERENT"
        print(f"{4 * total:.1f} MB over {workers} processes: {4 * total / elapsed:.2f} MB/s wall-clock{same}")


if __name__ == "__main__":
    main()
