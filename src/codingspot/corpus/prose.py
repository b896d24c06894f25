"""Sentences among lines of code: text about a program, left between its lines."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from tree_sitter import Language, Tree

from codingspot.corpus.grammars import captures
from codingspot.corpus.removal import Span

WORDS_PARSE: frozenset[str] = frozenset({"bash", "ruby"})
"""Languages in which a sentence is a command or a chain of calls, so that it parses."""

_LITERAL = re.compile(r"""\"[^"\n]*"|(?<!\w)'[^'\n]*'(?!\w)""")
_MARKER = re.compile(r"^(?:[-*+•>#]+\s+|\d+[.)]\s+)?[*_]*")
_WORD = re.compile(r"[(`*_]*[A-Za-z]+(?:['’-][A-Za-z]+)*[)`*_]*[.,:;!?]*[)`*_]*")
_SENTENCE_END = re.compile(r"[.:!?][)`*_]*$")
# Words of English that are neither keywords nor common names in the languages.
# fmt: off
_FUNCTION_WORDS = frozenset({
    "the", "an", "to", "that", "which", "you", "we", "your", "our", "its", "they", "their", "these", "those", "are",
    "was", "were", "be", "been", "will", "would", "can", "could", "should", "must", "has", "have", "may", "might",
    "here", "there", "how", "when", "because", "following", "also", "such", "some", "into", "than",
})
# fmt: on
_FEWEST_WORDS = 4
_WORD_SHARE = 0.75

_MULTILINE: Mapping[str, str] = {
    "bash": "[(string) (raw_string) (ansi_c_string) (heredoc_body)] @text",
    "cpp": "(raw_string_literal) @text",
    "csharp": "[(verbatim_string_literal) (raw_string_literal) (interpolated_string_expression)] @text",
    "go": "(raw_string_literal) @text",
    "java": "(string_literal) @text",
    "javascript": "[(template_string) (jsx_text)] @text",
    "julia": "[(string_literal) (prefixed_string_literal)] @text",
    "php": "[(string) (encapsed_string) (heredoc) (nowdoc)] @text",
    "python": "(string) @text",
    "ruby": "[(string) (heredoc_body)] @text",
    "rust": "[(string_literal) (raw_string_literal)] @text",
    "typescript": "(template_string) @text",
}


def prose_spans(tree: Tree, grammar: Language, source: bytes, language: str) -> list[Span]:
    """The lines of ``source`` that read as sentences, where they can't be code.

    A line goes if all of this holds:

    - the text doesn't parse without errors, or the language is Bash or Ruby, in which a sentence parses;
    - the line lies in no string of several lines and no here-document;
    - it reads as a sentence (:func:`reads_as_sentence`); in Bash and Ruby, unless the line before it went, it must
      begin with a capital letter and end as a sentence does.
    """
    strict = language in WORDS_PARSE
    if not strict and not tree.root_node.has_error:
        return []
    spans: list[Span] = []
    literal_lines: set[int] | None = None
    start = 0
    went = False
    for number, line in enumerate(source.split(b"\n")):
        text = line.decode(errors="replace").strip()
        candidate = reads_as_sentence(text, complete=strict and not went)
        if candidate and literal_lines is None:
            literal_lines = set(_lines_in_literals(tree, grammar, source, language))
        went = candidate and number not in (literal_lines or ())
        if went:
            spans.append(Span(start, start + len(line)))
        start += len(line) + 1
    return spans


def reads_as_sentence(line: str, *, complete: bool = False) -> bool:
    """Whether a line reads as English and not as code.

    After a list marker or number, it has at least four words, and three quarters or more of what is between its
    blanks are words (letters, with an apostrophe, hyphen, backtick, parenthesis or punctuation mark at most; a
    quoted string is no word); and it either begins with a capital letter and ends in a full stop, colon, question or
    exclamation mark, or has a word of English that is no keyword ("the", "which", "should"). ``complete`` asks
    for the former.
    """
    if line.count(" ") < _FEWEST_WORDS - 1:
        return False
    line = _MARKER.sub("", _LITERAL.sub('"', line), count=1)
    parts = line.split()
    words = [part for part in parts if _WORD.fullmatch(part)]
    if len(words) < _FEWEST_WORDS or len(words) < _WORD_SHARE * len(parts):
        return False
    if line[0].isupper() and _SENTENCE_END.search(line):
        return True
    return not complete and any(word.strip("(`*_).,:;!?").lower() in _FUNCTION_WORDS for word in words)


def _lines_in_literals(tree: Tree, grammar: Language, source: bytes, language: str) -> Iterator[int]:
    pattern = _MULTILINE.get(language)
    if pattern is None:
        return
    for node in captures(tree, grammar, pattern).get("text", ()):
        # An apostrophe opens a string only in the eyes of a parser that meets one in a sentence.
        apostrophe = (
            source[node.start_byte : node.start_byte + 1] == b"'"
            and source[max(node.start_byte - 1, 0) : node.start_byte].isalpha()
        )
        if node.end_point.row > node.start_point.row and not apostrophe:
            yield from range(node.start_point.row, node.end_point.row + 1)
