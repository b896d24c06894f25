"""Pure code: source text without comments, documentation and sentences between its lines.

1. Mask the literals that the grammar of its language misreads (:mod:`codingspot.corpus.literals`), and parse.
2. Find comments and documentation (:mod:`codingspot.corpus.comments`) and, where the text does not parse or its
   language takes any words, the lines that read as sentences (:mod:`codingspot.corpus.prose`).
3. Cut them out so that no tokens merge (:mod:`codingspot.corpus.removal`).
4. Where the tree had errors, what is cut can change how the rest parses: repeat until nothing is found.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from itertools import chain, islice

from codingspot.corpus.comments import comment_spans
from codingspot.corpus.grammars import parse
from codingspot.corpus.languages import language_named
from codingspot.corpus.literals import masked
from codingspot.corpus.prose import prose_spans
from codingspot.corpus.removal import remove

# The specifications of these languages make a comment with a newline in it end a statement.
_NEWLINE_ENDS_STATEMENT = frozenset({"go", "javascript", "typescript"})
_TEXTS_A_TASK = 64
_TASKS_A_WORKER = 4


def purify(text: str, language: str) -> str:
    """The program in ``text`` alone: what :func:`~codingspot.corpus.comments.comment_spans` and
    :func:`~codingspot.corpus.prose.prose_spans` find is gone, every other token stays as it was written.

    Text that parses gives text that parses to the same tree without its comments and documentation (but for sentences
    in Bash and Ruby, which parse); strings, here-documents and preprocessor lines stay. ``purify`` of its own result
    changes nothing. Text in which nothing is found is returned unchanged.

    Raises:
        CorpusError: the language is unknown or has no grammar.
    """
    name = language_named(language).name
    source = text.encode()
    while True:
        readable = masked(source, name)
        tree, grammar = parse(readable, name)
        spans = comment_spans(tree, grammar, readable, name) + prose_spans(tree, grammar, readable, name)
        if not spans:
            return source.decode()
        source = remove(source, spans, newline_ends_statement=name in _NEWLINE_ENDS_STATEMENT)
        if not tree.root_node.has_error and not _depends_on_whole_text(source, name):
            return source.decode()


def _depends_on_whole_text(source: bytes, language: str) -> bool:
    """Whether what is cut can change how the rest is read: between PHP's tags, and after a directive of C or C++."""
    return language == "php" or (language in ("c", "cpp") and b"#" in source)


def purify_all(documents: Iterable[tuple[str, str | None]], workers: int = 1) -> Iterator[str]:
    """:func:`purify` of (text, language) pairs, in their order, over ``workers`` processes.

    A text whose language is None comes back as it is. Input is read only as far ahead as keeps the workers busy. The
    results don't depend on ``workers``.

    Raises:
        CorpusError: as :func:`purify`.
    """
    documents = iter(documents)
    first = list(islice(documents, _TEXTS_A_TASK if workers > 1 else 0))
    documents = chain(first, documents)
    if len(first) < _TEXTS_A_TASK:  # not worth a process
        yield from map(_purify_pair, documents)
        return
    methods = multiprocessing.get_all_start_methods()
    context = multiprocessing.get_context("forkserver" if "forkserver" in methods else "spawn")
    with ProcessPoolExecutor(workers, mp_context=context) as pool:
        while tasks := list(islice(documents, _TEXTS_A_TASK * _TASKS_A_WORKER * workers)):
            yield from pool.map(_purify_pair, tasks, chunksize=_TEXTS_A_TASK)


def _purify_pair(document: tuple[str, str | None]) -> str:
    text, language = document
    return text if language is None else purify(text, language)
