"""What a recipe or control needs of the domains it is given, which is known before any of them is scored."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from codingspot.errors import SelectionError


@dataclass(frozen=True)
class Domains:
    """Names of the domains of both kinds that a spot is judged by."""

    code: tuple[str, ...]
    general: tuple[str, ...]


Requirement = Callable[..., None]
"""Of a method's name, the :class:`Domains` and its parameters: raises SelectionError where the domains
don't suffice."""


def require(needs: Requirement | None, name: str, domains: Domains, **parameters: Any) -> None:
    """Check what a method called ``name`` declares that it ``needs`` under these parameters.

    Raises:
        SelectionError: the domains don't suffice.
    """
    if needs is not None:
        needs(name, domains, **parameters)


def general_text(name: str, domains: Domains, **_: Any) -> None:
    """There is general text.

    Raises:
        SelectionError: there is none.
    """
    if not domains.general:
        raise SelectionError(f"{name} needs a general domain, such as English; score one beside the code")
