"""What names a piece of Python defines, uses and imports, from its syntax tree; nothing of it is run."""

from __future__ import annotations

import ast
import sys
from functools import lru_cache


def defined(source: str) -> frozenset[str]:
    """Names of the functions and classes that ``source`` defines at its top; none if it isn't Python."""
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    return frozenset(node.name for node in _tree(source).body if isinstance(node, kinds))


def used(source: str) -> frozenset[str]:
    """Names that ``source`` reads; none if it isn't Python."""
    return frozenset(
        node.id for node in ast.walk(_tree(source)) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)
    )


@lru_cache(maxsize=4096)
def third_party(source: str) -> frozenset[str]:
    """Top-level packages outside the standard library that ``source`` imports; none if it isn't Python."""
    found: set[str] = set()
    for node in ast.walk(_tree(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            found.add(node.module)
    return frozenset(name.partition(".")[0] for name in found) - sys.stdlib_module_names


def _tree(source: str) -> ast.Module:
    try:
        return ast.parse(source)
    except (SyntaxError, ValueError, RecursionError):
        return ast.Module([], [])
