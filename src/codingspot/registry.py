"""Methods by name. Each declares itself: its parameters, its label, and what the rest of the program may know of it.

A method is a function whose typed, keyword-only parameters are the keys a study file may set, or a class of settings
whose fields are. What else is to be known of it are its *traits*, a dataclass of its registry's sort: whether an
estimator's scores add up, by what an edit multiplies weights. No other module asks for a method by its name.

A third party's method joins a registry through an entry point of its installed package, in the group ``codingspot.``
and the sort's plural, such as ``codingspot.recipes``, and declares itself by the decorator that ours use:

    [project.entry-points."codingspot.recipes"]
    mine = "my_package.recipes:mine"

    @RECIPES.register("mine", label="what mine ranks by", traits=RecipeTraits(contrast=True))
    def mine(candidates: Candidates, *, sharpness: float = 1.0) -> Keys: ...

It is imported when it is first used. One that isn't decorated has its registry's default traits, where there are any.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, partial
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec
from pathlib import Path
from traceback import extract_tb
from typing import Any, Generic, TypeVar, get_type_hints

from pydantic import BaseModel

from codingspot.errors import CodingSpotError, MissingPackageError, StudyError
from codingspot.extras import optional_packages
from codingspot.files import reason
from codingspot.settings import checked, shown

F = TypeVar("F", bound=Callable[..., Any])
T = TypeVar("T")

OWN = "codingspot"
"""Source of what this package registers itself."""


@dataclass(frozen=True)
class _Entry(Generic[F, T]):
    """A method and what it declares: ``traits`` themselves, or how they follow from its parameters."""

    function: F
    label: str
    reference: str
    traits: T | Callable[..., T]


class Registry(Generic[F, T]):
    """Methods of one sort by name; ``sort`` is its noun for messages, such as ``"recipe"``.

    ``group`` is the group of entry points by which installed packages add to it. ``traits`` are those of a method that
    declares none, or their class, where every method has to declare its own. ``own`` are entry points of this package,
    name to ``module:function``: what is loaded when it is first asked for, and may lie above the registry.
    """

    def __init__(self, sort: str, traits: T | type[T], own: Mapping[str, str] | None = None) -> None:
        self.sort = sort
        self.group = f"codingspot.{plural(sort)}"
        self._default: Any = traits
        self._own = [EntryPoint(name, value, self.group) for name, value in (own or {}).items()]
        self._entries: dict[str, _Entry[F, T]] = {}

    def register(
        self, name: str, *, label: str = "", reference: str = "", traits: T | Callable[..., T] | None = None
    ) -> Callable[[F], F]:
        """Decorator that adds a function under ``name``.

        Args:
            name: as a study file gives it.
            label: as tables and figures give it; the name by default.
            reference: where the method was published.
            traits: what the program may know of it, or a function from all its parameters to that.

        Raises:
            ValueError: the name is taken.
            StudyError: it has to declare its traits, and doesn't.
        """

        def add(function: F) -> F:
            if name in self._entries:
                raise ValueError(f"{self.sort} {name!r} is registered twice")
            self._entries[name] = self._entry(name, function, label, reference, traits)
            return function

        return add

    def traits(self, name: str, parameters: Mapping[str, Any] | None = None) -> T:
        """What a method declares of itself under these parameters.

        Raises:
            StudyError: as :meth:`bind`, where its traits depend on its parameters.
        """
        declared = self._find(name).traits
        found: T = declared(**self.check(name, parameters or {})) if inspect.isfunction(declared) else declared  # type: ignore[assignment]
        return found

    def traits_if_known(self, name: str, parameters: Mapping[str, Any] | None = None) -> T:
        """The same; of a method that isn't there any more, as in a report made elsewhere, the default traits."""
        found: T = self.traits(name, parameters) if name in self else self._default
        return found

    def label(self, name: str) -> str:
        """A method's name for people; of one that isn't there any more, its name."""
        return self._find(name).label if name in self else _readable(name)

    def reference(self, name: str) -> str:
        """Where a method was published; empty where it says nothing."""
        return self._find(name).reference

    def _entry(
        self, name: str, function: F, label: str = "", reference: str = "", traits: T | Callable[..., T] | None = None
    ) -> _Entry[F, T]:
        declared = self._default if traits is None else traits
        if isinstance(declared, type):
            raise StudyError(
                f"{self.sort} {name!r} of {self.source(name)} declares no {declared.__name__}; register it with traits"
            )
        return _Entry(function, label or _readable(name), reference, declared)

    def __iter__(self) -> Iterator[str]:
        yield from self._entries
        yield from (name for name in self._installed if name not in self._entries)

    def __contains__(self, name: object) -> bool:
        return name in self._entries or name in self._installed

    def __getitem__(self, name: str) -> F:
        """The function of that name.

        Raises:
            StudyError: there is none, and the message lists those there are; or an installed package's can't be
                imported, or takes a name that is taken.
        """
        return self._find(name).function

    def _find(self, name: str) -> _Entry[F, T]:
        if name in self._installed:
            return self._load(name)
        if name not in self._entries:
            raise StudyError(f"unknown {self.sort} {name!r}; use one of {', '.join(self)}")
        return self._entries[name]

    def is_usable(self, name: str) -> bool:
        """Whether a method can be loaded: one of a faulty package can't, and `codingspot methods` says why."""
        try:
            self[name]
        except StudyError:
            return False
        return True

    def unloaded_summary(self, name: str) -> str | None:
        """The first line of documentation of one of this package's own entry points that isn't loaded yet."""
        point = next((point for point in self._own if point.name == name), None)
        if point is None or name in self._entries:
            return None
        origin = find_spec(point.module).origin  # type: ignore[union-attr]
        tree = ast.parse(Path(str(origin)).read_text(encoding="utf-8"))
        (function,) = (each for each in tree.body if isinstance(each, ast.FunctionDef) and each.name == point.attr)
        return (ast.get_docstring(function) or "").partition("\n")[0]

    def source(self, name: str) -> str:
        """Where a function comes from: ``codingspot``, or an installed package and its version."""
        return _package(self._installed[name][0]) if name in self._installed else OWN

    @contextmanager
    def at_work(self, name: str) -> Iterator[None]:
        """While the method called ``name`` works: what an installed package's raises is one line that names it.

        Raises:
            StudyError: it raised what no :class:`CodingSpotError` is; an error of this package's own stays what it is.
        """
        try:
            yield
        except (CodingSpotError, OSError):
            raise
        except Exception as error:  # whatever a third party's method may raise
            if self.source(name) == OWN:
                raise
            last = extract_tb(error.__traceback__)[-1]
            why = f"{type(error).__name__}: {reason(error)} at {last.filename}:{last.lineno}"
            raise StudyError(
                f"{self.sort} {name!r} of {self.source(name)} failed ({why}); repair it, or leave it out"
            ) from error

    @cached_property
    def _installed(self) -> dict[str, list[EntryPoint]]:
        """Entry points of installed packages by name; the same one found twice on the path counts once."""
        found: dict[str, list[EntryPoint]] = {}
        for point in (*self._own, *entry_points(group=self.group)):
            same = found.setdefault(point.name, [])
            if (point.value, _package(point)) not in [(other.value, _package(other)) for other in same]:
                same.append(point)
        return found

    def _load(self, name: str) -> _Entry[F, T]:
        claims = [_package(point) for point in self._installed[name]]
        own = self._entries.get(name)
        if own is not None and own.function.__module__ != self._installed[name][0].module:
            claims.insert(0, OWN)
        if len(claims) > 1:
            raise StudyError(
                f"{self.sort} {name!r} is offered by {' and '.join(claims)}; rename one, or uninstall its package"
            )
        try:
            with optional_packages():
                loaded: F = self._installed[name][0].load()
        except MissingPackageError:
            raise
        except Exception as error:  # whatever a third party's import may raise
            raise StudyError(
                f"{self.sort} {name!r} of {claims[0]} can't be imported ({reason(error)}); repair it"
            ) from error
        if not callable(loaded):
            raise StudyError(f"{self.sort} {name!r} of {claims[0]} is not a function; correct its entry point")
        # Its decorator has registered it, unless it has none.
        return self._entries.get(name) or self._entry(name, loaded)

    def parameters(self, name: str) -> dict[str, Any]:
        """The keyword-only parameters of a registered function, with their defaults."""
        return {
            parameter.name: parameter.default
            for parameter in inspect.signature(self[name]).parameters.values()
            if parameter.kind is inspect.Parameter.KEYWORD_ONLY
        }

    def bind(self, name: str, parameters: Mapping[str, Any]) -> Callable[..., Any]:
        """The registered function with its keyword-only parameters set, checked against their type hints.

        What an installed package's raises when it is called is one line, as :meth:`at_work` has it.

        Raises:
            StudyError: the function is unknown, a parameter is unknown, missing, of the wrong type, outside the range
                that its type says (``Annotated[float, Field(ge=0)]``), or not finite.
        """
        bound = partial(self[name], **self.check(name, parameters))
        return bound if self.source(name) == OWN else self.at_work(name)(bound)

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
        hints = parameter_types(self[name])
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


def parameter_types(function: Callable[..., Any], *, ranges: bool = True) -> dict[str, Any]:
    """Each parameter of a registered function, or field of settings, to its type, with the range that it carries."""
    made = inspect.isclass(function) and not issubclass(function, BaseModel)
    return get_type_hints(function.__init__ if made else function, include_extras=ranges)


def plural(sort: str) -> str:
    """``recipes``, ``analyses``."""
    return f"{sort.removesuffix('is')}es" if sort.endswith("is") else f"{sort}s"


def _readable(name: str) -> str:
    return name.replace("_", " ")


def _package(point: EntryPoint) -> str:
    """Name and version of the package an entry point belongs to."""
    if point.dist is None:
        return OWN if point.module.partition(".")[0] == OWN else "an unnamed package"
    return f"{point.dist.name} {point.dist.version}"
