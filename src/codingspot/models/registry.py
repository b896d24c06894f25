"""Named functions whose typed, keyword-only parameters are the keys a study file may set."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, Generic, TypeVar, get_type_hints

from pydantic import TypeAdapter, ValidationError

from codingspot.errors import StudyError

F = TypeVar("F", bound=Callable[..., Any])


class Registry(Generic[F]):
    """Functions or classes of one sort by name; ``sort`` is its noun for messages, such as ``"recipe"``."""

    def __init__(self, sort: str) -> None:
        self.sort = sort
        self._entries: dict[str, F] = {}

    def register(self, name: str) -> Callable[[F], F]:
        """Decorator that adds a function under ``name``.

        Raises:
            ValueError: the name is taken.
        """

        def add(function: F) -> F:
            if name in self._entries:
                raise ValueError(f"{self.sort} {name!r} is registered twice")
            self._entries[name] = function
            return function

        return add

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __getitem__(self, name: str) -> F:
        """The function of that name.

        Raises:
            StudyError: there is none; the message lists those there are.
        """
        if name not in self._entries:
            raise StudyError(f"unknown {self.sort} {name!r}; use one of {', '.join(self._entries)}")
        return self._entries[name]

    def parameters(self, name: str) -> dict[str, Any]:
        """The keyword-only parameters of a registered function, with their defaults."""
        return {
            parameter.name: parameter.default
            for parameter in inspect.signature(self[name]).parameters.values()
            if parameter.kind is inspect.Parameter.KEYWORD_ONLY
        }

    def bind(self, name: str, parameters: Mapping[str, Any]) -> Callable[..., Any]:
        """The registered function with its keyword-only parameters set, checked against their type hints.

        Raises:
            StudyError: the function is unknown, a parameter is unknown, missing, or of the wrong type.
        """
        function = self[name]
        return partial(function, **self.check(name, parameters))

    def check(self, name: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """All parameters of a registered function, defaults filled in and types checked.

        Raises:
            StudyError: as :meth:`bind`.
        """
        defaults = self.parameters(name)
        unknown = sorted(set(parameters) - set(defaults))
        if unknown:
            known = ", ".join(defaults) or "none"
            raise StudyError(f"{self.sort} {name!r} has no parameter {unknown[0]!r}; it has {known}")
        values = {**defaults, **parameters}
        hints = _hints(self[name])
        for key, value in values.items():
            if value is inspect.Parameter.empty:
                raise StudyError(f"{self.sort} {name!r} needs parameter {key!r}; set it")
            try:
                values[key] = TypeAdapter(hints[key]).validate_python(value)
            except ValidationError as error:
                reason = error.errors()[0]["msg"]
                raise StudyError(f"{self.sort} {name!r}: {key} is {value!r} ({reason}); correct it") from None
        return values


def _hints(function: Callable[..., Any]) -> dict[str, Any]:
    return get_type_hints(function.__init__ if inspect.isclass(function) else function, include_extras=True)
