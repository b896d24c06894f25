"""What settings may be: ranges that several share, and one line for what is wrong with a value.

Every number is finite. A type carries its range (``Annotated[float, Field(ge=0)]``), so that it stands where the
setting is declared and is checked wherever the setting comes from.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields
from functools import cache
from typing import Annotated, Any, Self, TypeVar, get_args, get_type_hints
from urllib.parse import quote

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from codingspot.errors import CorpusError, StudyError

_SHOWN = 60
_FINITE = ConfigDict(allow_inf_nan=False)

T = TypeVar("T")


def _distinct(values: T) -> T:
    repeated = _repeated(values)
    if repeated:
        raise ValueError(f"{repeated[0]!r} is listed twice; list it once")
    return values


def _repeated(values: Any) -> list[Any]:
    """The words and numbers that are there more than once."""
    counts = Counter(value for value in values if isinstance(value, str | int | float))
    return [value for value, times in counts.items() if times > 1]


def _increasing(values: tuple[float, ...]) -> tuple[float, ...]:
    if sorted(set(values)) != list(values):
        raise ValueError("it must increase strictly, without repeats")
    return values


def _percent(value: float) -> float:
    if not 0 < value <= 100:
        raise ValueError(f"k is in percent of all parameters, above 0 and at most 100; {value} is not")
    return value


LONGEST_NAME = 150
"""Bytes of a name as a file name has it, so that with a control, seed and k after it it is one of at most 255."""


def _not_empty(text: str) -> str:
    if not text.strip():
        raise ValueError("it is empty; name something")
    if "\0" in text:
        raise ValueError(f"{shown(text)} holds a NUL character, which no name or path has; remove it")
    return text


def _fits_a_file_name(name: str) -> str:
    length = len(quote(name, safe=" "))
    if length > LONGEST_NAME:
        raise ValueError(
            f"{shown(name)} is longer than the {LONGEST_NAME} bytes that a name may have (it becomes part of file "
            f"names, where it takes {length}); shorten it"
        )
    return name


NotEmpty = Annotated[str, AfterValidator(_not_empty)]
"""Text that names something: a model, a source, a language."""
_READ = "read"
InputPath = Annotated[NotEmpty, _READ]
"""A file or folder that is read: what output must keep clear of."""
Name = Annotated[NotEmpty, AfterValidator(_fits_a_file_name)]
"""Text that becomes part of file names: a spot, a task, a domain."""
Distinct = AfterValidator(_distinct)
"""Of a list: nothing is in it twice, as what becomes a name must not be."""
Count = Annotated[int, Field(gt=0, lt=2**53)]
"""How many: at least one, and no more than 64-bit arithmetic holds."""
Seed = Annotated[int, Field(ge=0, lt=2**32)]
"""Of a generator of random numbers."""
Dose = Annotated[float, AfterValidator(_percent)]
"""How many parameters, in percent of all the model's: above 0 and at most 100."""
Doses = Annotated[tuple[Dose, ...], Field(min_length=1), AfterValidator(_increasing)]
Seconds = Annotated[float, Field(gt=0, le=86_400)]
"""A time limit, of a day at most."""


class Settings(BaseModel):
    """Settings by name, of which there are no others; numbers are finite, and lists have nothing twice."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, protected_namespaces=())

    @model_validator(mode="after")
    def _lists_are_distinct(self) -> Self:
        for name, value in self:
            repeated = _repeated(value) if isinstance(value, tuple) else []
            if repeated:
                raise ValueError(f"{name} lists {repeated[0]!r} twice; list it once")
        return self


def paths_read(settings: Settings) -> list[str]:
    """The files and folders that settings name as read."""
    hints = get_type_hints(type(settings), include_extras=True)
    named = [getattr(settings, name) for name, hint in hints.items() if InputPath in (hint, *get_args(hint))]
    return [path for path in named if path is not None]


def checked(hint: Any, value: Any) -> Any:
    """``value`` as the type ``hint``.

    Raises:
        ValueError: it isn't one; the message is the reason.
    """
    return _validated(_adapter(hint), value)


def check_fields(settings: Any) -> None:
    """Check every field of a dataclass against its type.

    Raises:
        ValueError: one isn't what its type says; the message names it.
    """
    for name, adapter in _adapters_of(settings.__class__).items():
        value = getattr(settings, name)
        try:
            object.__setattr__(settings, name, _validated(adapter, value))
        except ValueError as error:
            raise ValueError(f"{name} is {shown(value)} ({error})") from None


def _adapter(hint: Any) -> TypeAdapter[Any]:
    return TypeAdapter(tuple[hint], config=_FINITE)


@cache
def _adapters_of(dataclass: Any) -> dict[str, TypeAdapter[Any]]:
    """Of each field of a dataclass, made once: to make one takes longer than to check with it."""
    hints = get_type_hints(dataclass, include_extras=True)
    return {field.name: _adapter(hints[field.name]) for field in fields(dataclass)}


def _validated(adapter: TypeAdapter[Any], value: Any) -> Any:
    try:
        return adapter.validate_python((value,))[0]
    except ValidationError as error:
        raise ValueError(reason(error.errors()[0])) from None


def reason(fault: Mapping[str, Any]) -> str:
    """Why a value is refused, by one of a ``ValidationError.errors()``."""
    return str(fault["msg"]).removeprefix("Value error, ")


def shown(value: Any) -> str:
    """A value as a message shows it: in one line, and not all of it where it is long."""
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 3]}..."


@contextmanager
def as_setting(prefix: str = "") -> Iterator[None]:
    """Turn what a registry says of a name or parameter into what pydantic reports with the setting's place."""
    try:
        yield
    except (CorpusError, StudyError) as error:
        raise ValueError(f"{prefix}{error}") from None
