"""Tests check the shapes and types of tensors that annotations promise: other annotations are the type checker's.

jaxtyping's own import hook wraps every function of a package, which makes tests half as slow again; here those that
have an array in an annotation are wrapped.
"""

import ast
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import wraps
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from inspect import isgeneratorfunction
from types import CodeType, ModuleType
from typing import Any, get_args

from beartype import beartype
from jaxtyping import AbstractArray, jaxtyped

CHECK = ast.parse("__import__('shape_checks').check", mode="eval").body


def check(function: Callable[..., Any]) -> Callable[..., Any]:
    """Check a function's arrays whenever it is called; a dimension is of one size throughout a call."""
    own = function.__annotations__
    arrays = {name: hint for name, hint in _hints(function) if _has_array(hint)}
    if not arrays:
        return function
    function.__annotations__ = arrays
    try:
        if isgeneratorfunction(function):  # it runs among its reader's dimensions: its arguments are checked before
            return jaxtyped(function, typechecker=beartype)
        checked = beartype(function)
    finally:
        function.__annotations__ = own  # which registries read

    @wraps(function)
    def in_one_call(*arguments: Any, **named: Any) -> Any:
        with jaxtyped("context"):
            return checked(*arguments, **named)

    return in_one_call


def _hints(function: Callable[..., Any]) -> Iterator[tuple[str, Any]]:
    """What annotations mean, but for those of names that only the type checker imports."""
    for name, hint in function.__annotations__.items():
        with suppress(NameError):
            yield name, eval(hint, function.__globals__) if isinstance(hint, str) else hint


def _has_array(hint: Any) -> bool:
    return (isinstance(hint, type) and issubclass(hint, AbstractArray)) or any(map(_has_array, get_args(hint)))


class _Checked(SourceFileLoader):
    """Loads a module with its functions of arrays checked."""

    def get_code(self, fullname: str) -> CodeType | None:
        source = self.get_data(self.path)
        if b"jaxtyping" not in source:
            return super().get_code(fullname)
        return self.source_to_code(source, self.path)  # not what is cached without checks

    def source_to_code(self, data: bytes, path: str, **options: Any) -> CodeType:  # type: ignore[override]
        tree = ast.parse(data, path)
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef) and _names_array(node):
                node.decorator_list.append(ast.copy_location(CHECK, node))
        return super().source_to_code(tree, path, **options)


def _names_array(node: ast.FunctionDef) -> bool:
    hints = [each.annotation for each in ast.walk(node.args) if isinstance(each, ast.arg)] + [node.returns]
    return any("[Tensor, " in text or "[np.ndarray, " in text for text in (ast.unparse(hint) for hint in hints if hint))


class _Finder:
    """Finds the package's modules."""

    @staticmethod
    def find_spec(name: str, path: Sequence[str] | None = None, target: ModuleType | None = None) -> ModuleSpec | None:
        if not name.startswith("codingspot."):
            return None
        spec = PathFinder.find_spec(name, path, target)
        if spec is not None and isinstance(spec.loader, SourceFileLoader):
            spec.loader = _Checked(spec.loader.name, spec.loader.path)
        return spec


def install() -> None:
    """Check the package's modules that are imported from now on."""
    sys.meta_path.insert(0, _Finder())
