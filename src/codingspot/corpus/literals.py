"""Literals that the grammars misread, written so that they read them right.

A here-document ends where its delimiter says, whatever stands between, and several may begin on one line; the
grammars know only part of such rules, and then take text for comments. So the rules of the languages are followed
here, and before the grammar reads a text, each such literal is masked: what stands in it goes, its bytes and lines
stay, so that every position in the masked text is one in the text itself.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import NamedTuple

_VISIBLE = re.compile(rb"[^ \t\r\n]")
_SLASHED = re.compile(rb"//|/\*")


def masked(source: bytes, language: str) -> bytes:
    """``source`` for its grammar to read: as long, with the same comments, and no literal to misread.

    - Bash: here-documents become redirections from a file and blank lines; ``#`` within a word is masked.
    - C#: the messages of ``#error`` and ``#warning``, the formats of interpolated values.
    - Java: text blocks, but for the code in them.
    - PHP: here-documents become strings, which keep the code between their braces; text between tags and after
      ``__halt_compiler();`` is masked.
    - Ruby: here-documents that begin within an interpolation become strings and blank lines.
    - C, C++, C#, Java, Python: what else ends a line there, such as a lone carriage return, becomes a newline.
    """
    mask, line_end = _MASKS.get(language), _OTHER_LINE_ENDS.get(language)
    source = source if mask is None else mask(source)
    return source if line_end is None else line_end.sub(lambda end: b"\n".ljust(len(end[0])), source)


def _hidden(text: bytes) -> bytes:
    return _VISIBLE.sub(b"x", text)


def _blank(text: bytes) -> bytes:
    return _VISIBLE.sub(b" ", text)


def _redirection(text: bytes) -> bytes:
    return b"<".ljust(len(text) - 1) + b"x"


def _hash_hidden(text: bytes) -> bytes:
    return text.replace(b"#", b"x")


def _trimming(text: bytes) -> bytes:
    return text.replace(b"#", b"%")


def _string(text: bytes) -> bytes:
    return b'"' + _hidden(text[1:-1]) + b'"'


def _outside_code(parts: re.Pattern[bytes], text: bytes) -> bytes:
    return parts.sub(lambda part: part["code"] or _hidden(part[0]), text)


class _HereDocument(NamedTuple):
    delimiter: bytes
    indents: bytes  # what may stand before the delimiter that ends it
    raw: bool = True  # a backslash before a newline joins no lines


def _end_of_body(source: bytes, start: int, document: _HereDocument, depth: int = 0) -> int:
    """Where the body that begins at ``start``, with its last line, ends: before the newline, or at the end of the text.

    Down to ``depth``, a line in whose interpolations Ruby's here-documents begin is followed by their bodies.
    """
    position, joined = start, b""
    while position < len(source):
        newline = source.find(b"\n", position)
        end = len(source) if newline < 0 else newline
        line = joined + source[position:end].removesuffix(b"\r")
        if line.lstrip(document.indents) == document.delimiter or end == len(source):
            return end
        continues = not document.raw and (len(line) - len(line.rstrip(b"\\"))) % 2
        joined = line[:-1] if continues else b""
        position = end + 1
        interpolation = line.find(b"#{") if depth else -1
        for inner in _RUBY_INNER.finditer(line, interpolation) if interpolation >= 0 else ():
            position = _end_of_body(source, position, _of_ruby(inner), depth - 1) + 1
    return len(source)


class _Mask:
    """A text of which some parts are replaced by others as long."""

    def __init__(self, source: bytes) -> None:
        self.text = bytearray(source)

    def put(self, start: int, end: int, how: Callable[[bytes], bytes]) -> None:
        self.text[start:end] = how(bytes(self.text[start:end]))


# Here-documents, and what can make the grammar take `#` within a word for a comment.
_BASH_MISREAD = re.compile(rb"(?<!<)<<(?!<)|\\\r?\n\#|\$'[^']*\\|[?*+@!]\([^)\n]*\#|\$\{[^}\n\#]+\#[^}\n]*[]\\]")
_BASH_TOKEN = re.compile(
    rb"""
    (?: [^\\'"`(){}$<>\#\n?*+@!ce] | (?<=\w)[ce] | [ce](?!ase\b|sac\b) )+
    | (?P<escape> \\\r?\n | \\. ) | (?P<ansi> \$'(?:\\.|[^'\\])*' ) | (?P<single> '[^']*' )
    | (?P<double> " ) | (?P<backquote> ` )
    | (?P<whole> \$?\(\((?:[^()]|\((?:[^()]|\([^()]*\))*\))*\)\) | \$\[[^]\n]*\] | \$\# )  # arithmetic
    | (?P<glob> [?*+@!]\((?:[^()\n]|\([^()\n]*\))*\) )
    | (?P<expansion> \$[{(] ) | (?P<process> [<>]\( ) | (?P<open> \( ) | (?P<close> [)}] )
    | (?P<case> case[ \t]+\S+[ \t]+in\b ) | (?P<esac> esac\b )
    | <<< | (?P<document> <<(?P<tabs>-?)[ \t]*(?P<word>(?:\\.|\$?'[^']*'|\$?"(?:\\.|[^"\\])*"|[^\s;&|<>()'"\\])+) )
    | (?P<comment> \# ) | (?P<newline> \n ) | .
    """,
    re.DOTALL | re.VERBOSE,
)
_BASH_QUOTING = re.compile(rb"""\\(.)|\$?'([^']*)'|\$?"((?:\\.|[^"\\])*)\"""", re.DOTALL)
_BASH_WORD_ENDS = b" \t\n;&|()<>"
_BASH_CLOSED_BY = {b"(": b")", b"$(": b")", b"<(": b")", b">(": b")", b"${": b"}"}
# What is more than text in double quotes, and in braces outside them.
_BASH_IN_QUOTES = frozenset({None, "escape", "double", "backquote", "whole", "expansion", "close"})
_BASH_IN_BRACES = _BASH_IN_QUOTES | {"single", "ansi"}


def _bash(source: bytes) -> bytes:
    if not _BASH_MISREAD.search(source):
        return source
    mask = _Mask(source)
    pending: list[_HereDocument] = []
    inside: list[bytes] = []  # what is open; in `case`, `)` closes nothing
    position = 0
    in_word = False
    while token := _BASH_TOKEN.match(source, position):
        kind, text = token.lastgroup, token[0]
        start, position = token.span()
        within = inside[-1] if inside else b""
        in_quotes = within == b'"' or inside[-2:] == [b'"', b"${"]
        if (in_quotes and kind not in _BASH_IN_QUOTES) or (within == b"${" and kind not in _BASH_IN_BRACES):
            kind, position = None, start + 1
        ends_word = source[position - 1] in _BASH_WORD_ENDS
        if kind == "newline":
            for document in pending:
                end = _end_of_body(source, position, document)
                mask.put(position, end, _blank)
                position = min(end + 1, len(source))
            pending.clear()
        elif kind == "comment" and not in_word:
            newline = source.find(b"\n", start)
            position = len(source) if newline < 0 else newline
            continue
        elif kind == "document":
            word = token["word"]
            delimiter = _BASH_QUOTING.sub(lambda part: part[part.lastindex or 0], word)
            pending.append(_HereDocument(delimiter, b"\t" if token["tabs"] else b"", raw=delimiter != word))
            mask.put(start, position, _redirection)
        elif kind == "ansi":
            mask.put(start + 2, position - 1, _hidden)
        elif kind in ("double", "backquote") and within == text:
            inside.pop()
        elif kind in ("double", "backquote", "expansion", "process", "open"):
            inside.append(text)
            ends_word = True
        elif kind == "close" and text == _BASH_CLOSED_BY.get(within):
            ends_word = inside.pop() == b"("
        elif kind == "case":
            inside.append(text)
        elif kind == "esac" and within.startswith(b"case"):
            inside.pop()
        elif kind in ("escape", "whole", "glob"):
            ends_word = text in (b"\\\n", b"\\\r\n") and not in_word
        if kind == "escape" and within == b"${" and not text.endswith(b"\n"):
            mask.put(start, position, _hidden)
        elif kind != "document" and source.find(b"#", start, position) >= 0 and source[start - 1 : start + 1] != b"{#":
            mask.put(start, position, _trimming if within == b"${" else _hash_hidden)
        in_word = not ends_word
    return bytes(mask.text)


_CSHARP_TEXT = re.compile(
    rb"""
    ^[ \t]*\#[ \t]*(?:error|warning)\b(?P<message>[^\r\n]*)
    | //[^\n]* | /\*.*?\*/ | @"(?:""|[^"])*" | \$*"{3,}.*?"{3,} | (?<!\$)"(?:\\.|[^"\\\n])*" | '(?:\\.|[^'\\\n])+'
    | \$"(?P<interpolated>(?:\\.|\{\{|\}\}|\{[^{}"\n]*\}|[^"\\{}\n])*)"
    """,
    re.DOTALL | re.MULTILINE | re.VERBOSE,
)
_CSHARP_FORMAT = re.compile(rb"(?<!\{)\{[^{}:\n]*:(?P<format>[^{}\n]*)\}")


def _csharp(source: bytes) -> bytes:
    if not _SLASHED.search(source):
        return source
    mask = _Mask(source)
    for token in _CSHARP_TEXT.finditer(source):
        if token["message"]:
            mask.put(*token.span("message"), _hidden)
        elif token["interpolated"]:
            for hole in _CSHARP_FORMAT.finditer(source, *token.span("interpolated")):
                mask.put(*hole.span("format"), _hidden)
    return bytes(mask.text)


_JAVA_TEXT = re.compile(
    rb"""
    //[^\n]* | /\*.*?\*/ | '(?:\\.|[^'\\\n])+'
    | \"""(?P<block>(?:\\.|[^\\])*?)\""" | "(?:\\.|[^"\\\n])*"
    """,
    re.DOTALL | re.VERBOSE,
)
_JAVA_EMBEDDED = re.compile(rb"(?P<code>\\\{[^{}]*\})|\\.|[^\s]", re.DOTALL)


def _java(source: bytes) -> bytes:
    if b'"""' not in source or not _SLASHED.search(source):
        return source
    mask = _Mask(source)
    for token in _JAVA_TEXT.finditer(source):
        if token["block"]:
            mask.put(*token.span("block"), lambda block: _outside_code(_JAVA_EMBEDDED, block))
    return bytes(mask.text)


_PHP_TEXT = re.compile(
    rb"""
    '(?:\\.|[^'\\])*' | "(?:\\.|[^"\\])*" | `(?:\\.|[^`\\])*` | /\*.*?\*/ | (?://|\#(?!\[))(?:(?!\?>)[^\n])*
    | <<<[ \t]*(?P<quote>["']?)(?P<name>[^\W\d]\w*)(?P=quote)\r?\n(?P<body>.*?)(?<=\n)[ \t]*(?P=name)(?![\w\x80-\xff])
    | \b__halt_compiler\s*\(\s*\)\s*(?:;|\?>)(?P<data>.*)
    | \?>(?P<markup>.*?)(?:<\?(?:php\b|=)|\Z)
    """,
    re.DOTALL | re.VERBOSE,
)
_PHP_TAG = re.compile(rb"<\?(?:php\b|=)")
_PHP_BRACES = re.compile(
    rb"""\\.|(?P<code>\{\$(?:[^{}"']|"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|\{[^{}"']*\})*\})|[^\s]""",
    re.DOTALL,
)


def _php(source: bytes) -> bytes:
    if not re.search(rb"<<<|\?>|__halt_compiler", source):
        return source
    mask = _Mask(source)
    opening = _PHP_TAG.search(source)
    for token in _PHP_TEXT.finditer(source, opening.end() if opening else 0):
        if token["name"]:
            mask.put(*token.span(), _string if token["quote"] == b"'" else _php_string)
        for part in ("data", "markup"):
            if token[part]:
                mask.put(*token.span(part), _hidden if part == "markup" else _blank)
    return bytes(mask.text)


def _php_string(document: bytes) -> bytes:
    return b'"' + _outside_code(_PHP_BRACES, document)[1:-1] + b'"'


_RUBY_INNER = re.compile(rb"""<<(?P<indent>[~-]?)(?P<quote>["'`]?)(?P<name>[^\W\d]\w*)(?P=quote)""")
_RUBY_DEPTH = 8
_RUBY_INTERPOLATED = re.compile(rb"#\{[^\n]*<<[^\n]*")


def _of_ruby(opening: re.Match[bytes]) -> _HereDocument:
    return _HereDocument(opening["name"], b" \t" if opening["indent"] else b"")


def _ruby(source: bytes) -> bytes:
    mask = _Mask(source)
    position = 0
    endless: set[bytes] = set()
    while line := _RUBY_INTERPOLATED.search(source, position):
        position = line.end() + 1
        for opening in _RUBY_INNER.finditer(source, *line.span()):
            if opening["name"] in endless:
                continue
            end = _end_of_body(source, position, _of_ruby(opening), _RUBY_DEPTH)
            if not source[position:end].endswith(opening["name"]):
                endless.add(opening["name"])  # it shifts bits
                continue
            mask.put(*opening.span(), _string)
            mask.put(position, end, _blank)
            position = min(end + 1, len(source))
    return bytes(mask.text)


_MASKS: Mapping[str, Callable[[bytes], bytes]] = {
    "bash": _bash,
    "csharp": _csharp,
    "java": _java,
    "php": _php,
    "ruby": _ruby,
}

_CARRIAGE_RETURN = re.compile(rb"\r(?!\n)")
_OTHER_LINE_ENDS: Mapping[str, re.Pattern[bytes]] = {
    **dict.fromkeys(("c", "cpp", "java", "python"), _CARRIAGE_RETURN),
    "csharp": re.compile("\r(?!\n)|\u0085|\u2028|\u2029".encode()),
}
