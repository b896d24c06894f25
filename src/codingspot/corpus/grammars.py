"""Parsing source code with tree-sitter, one grammar package a language."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from importlib import import_module

from tree_sitter import Language, Node, Parser, Query, QueryCursor, Tree

from codingspot.corpus.languages import PURIFIABLE, language_named
from codingspot.errors import CorpusError

_PHP_TAG = re.compile(rb"<\?(?:php\b|=)")


@cache
def grammar(language: str, dialect: str = "language") -> Language:
    """The tree-sitter grammar of a language; ``dialect`` names one of several in the same package.

    Raises:
        CorpusError: the language is unknown or has no grammar, or its package isn't installed.
    """
    module = language_named(language).grammar
    if module is None:
        raise CorpusError(f"{language} can't be purified, for want of a grammar; use some of {', '.join(PURIFIABLE)}")
    try:
        package = import_module(module)
    except ImportError:
        raise CorpusError(f"the grammar of {language} is missing; pip install {module.replace('_', '-')}") from None
    return Language(getattr(package, dialect)())


def captures(tree: Tree, language: Language, pattern: str) -> Mapping[str, list[Node]]:
    """The nodes that the query ``pattern`` captures in ``tree``, by capture name."""
    return QueryCursor(_compiled(language, pattern)).captures(tree.root_node)


@cache
def _compiled(language: Language, pattern: str) -> Query:
    return Query(language, pattern)


def parse(source: bytes, language: str) -> tuple[Tree, Language]:
    """Parse ``source``; return its tree and the grammar that made it.

    PHP without an opening tag is read as bare PHP. TypeScript that has errors is read as TSX if that has none.
    """
    if language == "php" and not _PHP_TAG.search(source):
        return _parse(source, grammar(language, "language_php_only"))
    if language == "php":
        return _parse(source, grammar(language, "language_php"))
    if language != "typescript":
        return _parse(source, grammar(language))
    plain = _parse(source, grammar(language, "language_typescript"))
    if not plain[0].root_node.has_error:
        return plain
    with_markup = _parse(source, grammar(language, "language_tsx"))
    return plain if with_markup[0].root_node.has_error else with_markup


def _parse(source: bytes, language: Language) -> tuple[Tree, Language]:
    return Parser(language).parse(source), language
