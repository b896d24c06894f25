"""What the commands share: the console, the progress display, and one line for every error."""

from __future__ import annotations

import errno
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from codingspot.errors import CodingSpotError, StudyError

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)


def print_json(value: Any) -> None:
    """Print ``value`` as JSON on standard output, for scripts."""
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False))


@contextmanager
def friendly_errors(resume: str = "") -> Iterator[None]:
    """Turn expected failures into one line and an exit code; ``resume`` says how to go on after Ctrl-C."""
    try:
        yield
    except CodingSpotError as error:
        _fail(str(error))
    except KeyboardInterrupt:
        err.print(f"\n[yellow]stopped[/]; {escape(resume) or 'nothing was left half-written'}", soft_wrap=True)
        raise typer.Exit(130) from None
    except OSError as error:
        if error.errno == errno.ENOSPC:
            where = error.filename or "an artefact"
            _fail(f"no space left on the device while writing {where}; free some and run again")
        if error.filename is None:
            raise
        _fail(f"{error.filename} can't be read or written ({error.strerror}); correct the path or its permissions")


@contextmanager
def setting_error() -> Iterator[None]:
    """Turn what pydantic says of a setting into the one line of an error about its option."""
    from pydantic import ValidationError  # loading it takes time, which `--help` should not

    try:
        yield
    except ValidationError as error:
        first = error.errors()[0]
        option = "-".join(str(part) for part in first["loc"]).replace("_", "-")
        raise StudyError(f"--{option}: {first['msg'].removeprefix('Value error, ')}") from None


def _fail(message: str) -> None:
    err.print(f"[bold red]error:[/] {escape(' '.join(message.split()))}", soft_wrap=True)
    raise typer.Exit(1) from None


class StudyProgress:
    """One display for a whole study, with an estimate of the time left."""

    def __init__(self) -> None:
        self._bar = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=None),
            TextColumn("{task.percentage:>3.0f}%"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(elapsed_when_finished=False),
            console=err,
            transient=True,
        )
        self._task = self._bar.add_task("starting", total=None)

    def __enter__(self) -> StudyProgress:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def start(self, total: float) -> None:
        """Begin with ``total`` units of work left."""
        self._bar.reset(self._task, total=total)

    def stage(self, text: str) -> None:
        """Show what is being done."""
        self._bar.update(self._task, description=escape(f"{text[:34]:<34}"))

    def advance(self, units: float) -> None:
        """Move the bar."""
        self._bar.advance(self._task, units)

    def shares(self) -> Callable[[str, float], None]:
        """Begin work of one unit; returns what is told of each step and the share of the work that is done."""
        self.start(1.0)

        def show(text: str, share: float) -> None:
            self.stage(text)
            self._bar.update(self._task, completed=share)

        return show
