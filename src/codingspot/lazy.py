"""Packages whose public names load when they are first used, so that importing one of them is quick.

A package imports its names ``if TYPE_CHECKING`` and calls ``load_lazily(__name__)``: those imports, which are read by a
type checker, are also where the names are found when the program asks for one.
"""

from __future__ import annotations

import ast
import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from codingspot.extras import optional_packages


def load_lazily(package: str) -> None:
    """Let the names that the package imports for type checkers load when they are first used."""
    module = sys.modules[package]
    tree = ast.parse(Path(str(module.__file__)).read_text(encoding="utf-8"))
    guarded = [node for node in tree.body if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"]
    lines = [line for node in guarded for line in node.body if isinstance(line, ast.ImportFrom)]
    homes = {each.name: str(line.module) for line in lines for each in line.names}
    for name in homes:
        if isinstance(module.__dict__.get(name), ModuleType):
            del module.__dict__[name]
    module.__dict__["_homes"] = homes
    module.__class__ = _LazyPackage


class _LazyPackage(ModuleType):
    _homes: dict[str, str]

    def __getattr__(self, name: str) -> Any:
        if name not in self._homes:
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        with optional_packages():
            found = getattr(import_module(self._homes[name]), name)
        super().__setattr__(name, found)
        return found

    def __setattr__(self, name: str, value: Any) -> None:
        # A module becomes an attribute of its package when it is imported, which would hide a name that is called as
        # the module is.
        if not (isinstance(value, ModuleType) and name in self._homes):
            super().__setattr__(name, value)
