"""Help that is read in a terminal of 80 columns: plain text, as wide as it needs."""

from __future__ import annotations

from typing import Any

from typer.core import TyperGroup

_UNCUT = 1000


class Group(TyperGroup):
    """Commands, listed with the whole first sentence of their help."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write a line or more for every command."""
        commands = [(name, self.get_command(ctx, name)) for name in self.list_commands(ctx)]
        rows = [(name, command.get_short_help_str(_UNCUT)) for name, command in commands if command is not None]
        with formatter.section("Commands"):
            formatter.write_dl(rows)
