"""The command line: arguments and printing only."""

from __future__ import annotations


def main() -> None:
    """Entry point of the ``codingspot`` command."""
    from codingspot.cli.app import app

    app()
