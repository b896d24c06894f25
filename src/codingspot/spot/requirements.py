"""What a recipe or control needs of the domains it is given, which is known before any of them is scored."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from codingspot.errors import SelectionError

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True)
class Domains:
    """Names of the domains of both kinds that a spot is judged by."""

    code: tuple[str, ...]
    general: tuple[str, ...]


Requirement = Callable[..., None]
"""Of a function's registered name, the :class:`Domains` and its parameters: raises SelectionError where the domains
don't suffice."""


def requires(requirement: Requirement) -> Callable[[F], F]:
    """Marks a registered function with what it needs."""

    def mark(function: F) -> F:
        function.requires = requirement  # type: ignore[attr-defined]
        return function

    return mark


def require(function: Callable[..., Any], name: str, domains: Domains, **parameters: Any) -> None:
    """Check what ``function``, registered as ``name``, needs.

    Raises:
        SelectionError: the domains don't suffice.
    """
    requirement: Requirement | None = getattr(function, "requires", None)
    if requirement is not None:
        requirement(name, domains, **parameters)


def general_text(name: str, domains: Domains, **_: Any) -> None:
    """There is general text.

    Raises:
        SelectionError: there is none.
    """
    if not domains.general:
        raise SelectionError(f"{name} needs a general domain, such as English; score one beside the code")
