"""Help that is read in a terminal of 80 columns: plain text, as wide as it needs, broken between words alone."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from typer.core import TyperGroup

_UNCUT = 1000
_WHOLE = "\N{NON-BREAKING HYPHEN}"
_LISTS = re.compile(r"<list\[(\w+)\]>")
_Context: Any = TyperGroup.context_class


class _Formatter(_Context.formatter_class):  # type: ignore[misc]
    """Breaks no line at a hyphen: an option, a name or a command that is cut there can't be copied.

    What may be given again is shown by its own type: each option's help says "repeat".
    """

    def write_text(self, text: str) -> None:
        super().write_text(text.replace("-", _WHOLE))

    def write_dl(self, rows: Sequence[tuple[str, str]], *layout: Any, **named: Any) -> None:
        told = [(_LISTS.sub(r"<\1>", term), text.replace("-", _WHOLE)) for term, text in rows]
        super().write_dl(told, *layout, **named)

    def write(self, string: str) -> None:
        super().write(string.replace(_WHOLE, "-"))


class _WholeWords(_Context):  # type: ignore[misc]
    formatter_class = _Formatter


class Group(TyperGroup):
    """Commands, listed with the whole first sentence of their help."""

    context_class = _WholeWords

    def get_command(self, ctx: Any, name: str) -> Any:
        """The command of a name, whose help is written as the group's; None where there is none."""
        command = super().get_command(ctx, name)
        if command is not None:
            command.context_class = _WholeWords
        return command

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write a line or more for every command."""
        commands = [(name, self.get_command(ctx, name)) for name in self.list_commands(ctx)]
        rows = [(name, command.get_short_help_str(_UNCUT)) for name, command in commands if command is not None]
        with formatter.section("Commands"):
            formatter.write_dl(rows)
