"""Named functions whose typed, keyword-only parameters are the keys a study file may set.

A third party's function joins a registry through an entry point of its installed package, in the group
``codingspot.`` and the sort's plural, such as ``codingspot.recipes``:

    [project.entry-points."codingspot.recipes"]
    mine = "my_package.recipes:mine"

It is imported when it is first used.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property, partial
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Generic, TypeVar, get_type_hints

from codingspot.errors import StudyError
from codingspot.settings import checked, shown

F = TypeVar("F", bound=Callable[..., Any])

OWN = "codingspot"
"""Source of what this package registers itself."""


class Registry(Generic[F]):
    """Functions or classes of one sort by name; ``sort`` is its noun for messages, such as ``"recipe"``.

    ``group`` is the group of entry points by which installed packages add to it.
    """

    def __init__(self, sort: str) -> None:
        self.sort = sort
        self.group = f"codingspot.{sort}s"
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
        yield from self._entries
        yield from (name for name in self._installed if name not in self._entries)

    def __getitem__(self, name: str) -> F:
        """The function of that name.

        Raises:
            StudyError: there is none, and the message lists those there are; or an installed package's can't be
                imported, or takes a name that is taken.
        """
        if name in self._installed:
            return self._load(name)
        if name not in self._entries:
            raise StudyError(f"unknown {self.sort} {name!r}; use one of {', '.join(self)}")
        return self._entries[name]

    def source(self, name: str) -> str:
        """Where a function comes from: ``codingspot``, or an installed package and its version."""
        return _package(self._installed[name][0]) if name in self._installed else OWN

    @cached_property
    def _installed(self) -> dict[str, list[EntryPoint]]:
        """Entry points of installed packages by name; the same one found twice on the path counts once."""
        found: dict[str, list[EntryPoint]] = {}
        for point in entry_points(group=self.group):
            same = found.setdefault(point.name, [])
            if (point.value, _package(point)) not in [(other.value, _package(other)) for other in same]:
                same.append(point)
        return found

    def _load(self, name: str) -> F:
        claims = [_package(point) for point in self._installed[name]]
        if name in self._entries:
            claims.insert(0, OWN)
        if len(claims) > 1:
            raise StudyError(
                f"{self.sort} {name!r} is offered by {' and '.join(claims)}; rename one, or uninstall its package"
            )
        try:
            loaded: F = self._installed[name][0].load()
        except Exception as error:  # whatever a third party's import may raise
            reason = " ".join(str(error).split()) or type(error).__name__
            raise StudyError(f"{self.sort} {name!r} of {claims[0]} can't be imported ({reason}); repair it") from error
        if not callable(loaded):
            raise StudyError(f"{self.sort} {name!r} of {claims[0]} is not a function; correct its entry point")
        return loaded

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
            StudyError: the function is unknown, a parameter is unknown, missing, of the wrong type, outside the range
                that its type says (``Annotated[float, Field(ge=0)]``), or not finite.
        """
        function = self[name]
        return partial(function, **self.check(name, parameters))

    def check(self, name: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """All parameters of a registered function, defaults filled in and types and ranges checked.

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
                values[key] = checked(hints.get(key, Any), value)
            except ValueError as error:
                raise StudyError(f"{self.sort} {name!r}: {key} is {shown(value)} ({error}); correct it") from None
        return values

    def known(self, name: str) -> str:
        """``name``, where a function is registered under it: validates a setting that names one.

        Raises:
            ValueError: as ``self[name]``.
        """
        try:
            self[name]
        except StudyError as error:
            raise ValueError(str(error)) from None
        return name


def _hints(function: Callable[..., Any]) -> dict[str, Any]:
    return get_type_hints(function.__init__ if inspect.isclass(function) else function, include_extras=True)


def _package(point: EntryPoint) -> str:
    """Name and version of the package an entry point belongs to."""
    return "an unnamed package" if point.dist is None else f"{point.dist.name} {point.dist.version}"
