"""Where the comments and documentation strings of a parsed text are, language by language."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping

from tree_sitter import Language, Node, Tree

from codingspot.corpus.grammars import captures
from codingspot.corpus.removal import Span

_SLASHES = "[(line_comment) (block_comment)] @comment"
_PREPROCESSED = "[(comment) (preproc_arg)] @comment"
_BROWSER = "[(comment) (html_comment)] @comment"
_JULIA_BODIES = ("source_file", "module_definition", "struct_definition", "function_definition")

_QUERIES: Mapping[str, str] = {
    "bash": "(comment) @comment",
    "c": _PREPROCESSED,
    "cpp": _PREPROCESSED,
    "csharp": "(comment) @comment",
    "go": "(comment) @comment",
    "java": _SLASHES,
    "javascript": _BROWSER,
    "julia": _SLASHES
    + "".join(f"({body} [(string_literal) (macrocall_expression)] @documentation)" for body in _JULIA_BODIES),
    "php": "(comment) @comment",
    "python": "(comment) @comment (expression_statement [(string) (concatenated_string)]) @documentation",
    "ruby": "[(comment) (uninterpreted)] @comment",
    "rust": _SLASHES + " [(attribute_item) (inner_attribute_item)] @documentation",
    "typescript": _BROWSER,
}
_SHEBANG = re.compile(rb"#!(?!\s*\[).*")  # `#![` opens an attribute in Rust


def comment_spans(tree: Tree, grammar: Language, source: bytes, language: str) -> list[Span]:
    """What a reader of the program doesn't need: comments, documentation, shebang lines, the data after the program.

    - Comments of every form, licence headers and directives in comments among them; in C and C++ also those that
      end a preprocessor line.
    - Python: every statement that is only a string without interpolation (PEP 257); ``pass`` stands in for a body
      that has nothing else.
    - Julia: a string alone on its lines before another statement of a file, module, struct or function; ``@doc``
      with its string, and with the name it documents where that is not a definition.
    - Rust: ``#[doc = ...]`` and ``#![doc = ...]``.
    - Ruby: ``__END__`` and what follows it.
    """
    found = captures(tree, grammar, _QUERIES[language])
    shebang = _SHEBANG.match(source)
    spans = [Span(0, shebang.end())] if shebang else []
    if language in ("c", "cpp"):
        spans += _preprocessed(found.get("comment", []), source)
        return spans
    for node in found.get("comment", ()):
        if node.type == "uninterpreted":
            spans.append(Span(source.rindex(b"__END__", 0, node.start_byte), node.end_byte))
        else:
            spans.append(Span(node.start_byte, node.end_byte))
    documentation = _DOCUMENTATION.get(language)
    if documentation is not None:
        for node in found.get("documentation", ()):
            spans += documentation(node)
    return spans


_DIRECTIVE_TOKEN = re.compile(
    rb"""
    R"(?P<tag>[^\s()\\]*)\(.*?\)(?P=tag)"       # a raw string of C++
    | "(?:\\.|[^"\\\n])*" | '(?:\\.|[^'\\\n])*'
    | (?P<comment> //(?:\\\r?\n|[^\n])* | /\*.*?\*/ )
    | (?P<end> \n ) | \\\r?\n
    | [^"'/\\\nR]+ | .
    """,
    re.DOTALL | re.VERBOSE,
)


def _preprocessed(nodes: list[Node], source: bytes) -> Iterator[Span]:
    """Comments where some stand on preprocessor lines, whose rest the grammar does not cut into tokens."""
    directive_end = 0
    for node in sorted(nodes, key=lambda node: node.start_byte):
        if node.start_byte < directive_end:
            continue
        if node.type == "comment":
            # Inside quotes of several characters the grammar sees comments that are none.
            if node.parent is None or node.parent.type != "char_literal":
                yield Span(node.start_byte, node.end_byte)
            continue
        for token in _DIRECTIVE_TOKEN.finditer(source, node.start_byte):
            directive_end = token.end()
            if token["end"]:
                break
            if token["comment"]:
                yield Span(*token.span())


def _python(statement: Node) -> Iterator[Span]:
    if not _is_documentation(statement):
        return
    body = statement.parent
    if body is None or body.type == "block":
        siblings = [] if body is None else [node for node in body.named_children if node.type != "comment"]
        if all(_is_documentation(node) for node in siblings):
            first = bool(siblings) and siblings[0] == statement
            yield Span(statement.start_byte, statement.end_byte, b"pass" if first else b"")
            return
    after, before = statement.next_sibling, statement.prev_sibling
    if after is not None and after.type == ";":
        yield Span(statement.start_byte, after.end_byte)
    elif before is not None and before.type == ";":
        yield Span(before.start_byte, statement.end_byte)
    else:
        yield Span(statement.start_byte, statement.end_byte)


def _is_documentation(statement: Node) -> bool:
    parts = [node for node in statement.children if node.type != "comment"]
    if statement.type != "expression_statement" or len(parts) != 1:
        return False
    strings = parts[0].named_children if parts[0].type == "concatenated_string" else parts
    return all(
        node.type in ("string", "comment") and all(part.type != "interpolation" for part in node.named_children)
        for node in strings
    )


_JULIA_DEFINITIONS = ("assignment", "const_statement", "macrocall_expression")


def _julia(node: Node) -> Iterator[Span]:
    if node.type == "string_literal":
        before, after = node.prev_sibling, node.next_named_sibling
        while after is not None and after.type in ("line_comment", "block_comment"):
            after = after.next_named_sibling
        interpolated = any(part.type == "string_interpolation" for part in node.named_children)
        alone = before is None or before.end_point.row < node.start_point.row
        if alone and not interpolated and after is not None and after.start_point.row > node.end_point.row:
            yield Span(node.start_byte, node.end_byte)
        return
    parts = node.named_children
    if len(parts) != 2 or parts[0].text != b"@doc" or parts[1].type != "macro_argument_list":
        return
    text, *documented = parts[1].named_children
    if text.type not in ("string_literal", "prefixed_string_literal"):
        return
    defines = documented and (documented[0].type in _JULIA_DEFINITIONS or documented[0].type.endswith("_definition"))
    yield Span(node.start_byte, documented[0].start_byte if defines else node.end_byte)


def _rust(item: Node) -> Iterator[Span]:
    attribute = item.named_children[0] if item.named_children else None
    if attribute is None or attribute.type != "attribute" or not attribute.children:
        return
    if attribute.children[0].text == b"doc" and any(child.type == "=" for child in attribute.children):
        yield Span(item.start_byte, item.end_byte)


_DOCUMENTATION: Mapping[str, Callable[[Node], Iterator[Span]]] = {
    "julia": _julia,
    "python": _python,
    "rust": _rust,
}
