"""What a program is apart from its comments: the shape of its syntax tree."""

from typing import Any

from tree_sitter import Node

from codingspot.corpus.grammars import parse

COMMENTS = {
    "comment",
    "line_comment",
    "block_comment",
    "html_comment",
    "hash_bang_line",
    "shebang",
    "shebang_directive",
}
Shape = tuple[Any, ...]


def shape(text: str, language: str) -> Shape:
    """The tree of types and tokens without comments, or () where the text doesn't parse."""
    root = parse(text.encode(), language)[0].root_node
    return () if root.has_error else _shape(root)


def _shape(node: Node) -> Shape:
    children = [child for child in node.children if child.type not in COMMENTS]
    return (node.type, *(map(_shape, children))) if node.children else (node.type, node.text)


def leaves(text: str, language: str) -> list[Node]:
    """The tokens in order."""

    def walk(node: Node) -> list[Node]:
        return [leaf for child in node.children for leaf in walk(child)] if node.children else [node]

    return walk(parse(text.encode(), language)[0].root_node)
