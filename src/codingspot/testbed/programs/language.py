"""What a programming language has to say for itself so that the engine can write programs in it.

A table gives each operation a fragment: an expression (a string), or statements (a tuple of lines, indented
by four spaces a level) that leave the result in the variable ``OUT``. Words in capitals are slots:

    IN     the variable that holds the step's input        C      the constant
    OUT    the variable that receives the result           NEXT   the constant plus one
    EACH   the loop variable                               REST, LAST   further local variables
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from codingspot.testbed.programs.operations import KINDS

Fragment = str | tuple[str, ...]


def for_every_kind(template: str) -> dict[str, str]:
    """The same template for every kind of value."""
    return dict.fromkeys(KINDS, template)


@dataclass(frozen=True)
class Language:
    """A language's table of fragments and the hooks around them.

    ``header`` has the slots NAME, PARAMETER, TYPE (of the parameter) and RESULT (its type); ``declare``
    binds VALUE to OUT, of type TYPE; ``give`` ends the function with VALUE as its result; ``refer`` is how a
    variable OUT is written as a value. ``opening`` is the line that binds the parameter, where there is one.
    ``one_line`` joins the header, the body and the footer: "expression" (body of one line only, written in
    ``short_header``), "spaces" (statements end by themselves) or "semicolons".
    """

    name: str
    title: str
    naming: str
    indent: str
    comment: str
    header: str
    footer: str
    declare: Mapping[str, str]
    give: Mapping[str, str]
    one_line: str
    fragments: Mapping[str, Fragment]
    short_header: str = ""
    parameter_types: Mapping[str, str] = field(default_factory=dict)
    types: Mapping[str, str] = field(default_factory=dict)
    refer: Mapping[str, str] = field(default_factory=lambda: for_every_kind("OUT"))
    opening: Mapping[str, str] = field(default_factory=dict)
