"""What the commands share: the console, the progress display, and one line for every error."""

from __future__ import annotations

import errno
import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from rich.console import Console, ConsoleDimensions, ConsoleOptions, RenderableType
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from codingspot.cli.lines import ProgressLines
from codingspot.errors import CodingSpotError, StudyError
from codingspot.escaping import visible
from codingspot.files import FULL, json_value
from codingspot.mirrors import as_given

if TYPE_CHECKING:
    from codingspot.settings import Settings

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Force = Annotated[bool, typer.Option("--force", help="Replace what codingspot wrote there before.")]

_ENDING = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name))

_OPTIONS = {
    "source": "corpus",
    "languages": "language",
    "tasks": "task",
    "count": "workers",
    "address": "ray",
    "k_percent": "k",
}
"""Options that bear another name than their setting; of a list they give one value each."""
_UNLIMITED: Final = 10_000
_PATIENCE: Final = 5.0
"""Seconds in which torchrun ends all processes once one has failed."""


class TextConsole(Console):
    """A console for text from outside, such as names of models and domains: it shows what it is given, all of it.

    Nothing in a text is markup, what would command the terminal is written out, no cell of a table is cut, and output
    that no terminal shows is not broken into lines, unless ``COLUMNS`` says how wide they are.
    """

    def __init__(self, *, stderr: bool = False) -> None:
        super().__init__(stderr=stderr, highlight=False, markup=False, emoji=False)

    @property
    def size(self) -> ConsoleDimensions:
        """Width and height in characters."""
        found = super().size
        return found if self.is_terminal or "COLUMNS" in os.environ else found._replace(width=_UNLIMITED)

    @size.setter
    def size(self, new_size: tuple[int, int]) -> None:
        self._width, self._height = new_size

    def render_str(self, text: str, **settings: Any) -> Text:
        """A string as text with a style."""
        return super().render_str(visible(as_given(text)), **settings)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """What is printed of ``renderable``."""
        if isinstance(renderable, Table):
            for column in renderable.columns:
                column.overflow = "fold"
                column.no_wrap = column.justify == "right"
        for segment in super().render(renderable, options):
            yield segment if segment.control else segment._replace(text=visible(segment.text))


out = TextConsole()
err = TextConsole(stderr=True)


def print_table(title: str, table: Table) -> None:
    """Print a table under its title, which is one line however long it is."""
    out.print(title, style="bold", soft_wrap=True)
    out.print(table)


def print_json(value: Any) -> None:
    """Print ``value`` as JSON on standard output, for scripts; in ASCII where it holds what a terminal would obey.

    NaN and infinity, which no JSON has, are null.
    """
    if out.quiet:
        return
    value = json_value(value)
    text = as_given(json.dumps(value, indent=2, ensure_ascii=False))
    typer.echo(text if text == visible(text) else as_given(json.dumps(value, indent=2)))


@contextmanager
def friendly_errors(resume: str = "") -> Iterator[None]:
    """Turn expected failures into one line and an exit code; ``resume`` says how to go on after Ctrl-C.

    SIGTERM and SIGHUP end a command as Ctrl-C does.
    """
    try:
        with _signals_interrupt():
            yield
    except CodingSpotError as error:
        _fail(str(error))
    except KeyboardInterrupt as stop:
        what_next = visible(as_given(resume), keep="") or "nothing was left half-written"
        with suppress(OSError):  # the terminal may be gone
            after_echo = "\n" if err.is_terminal else ""  # a terminal shows ^C
            err.print(Text.assemble(after_echo, ("stopped", "yellow"), f"; {what_next}"), soft_wrap=True)
        raise typer.Exit(128 + (stop.number if isinstance(stop, _Signalled) else signal.SIGINT)) from None
    except OSError as error:
        if error.errno in FULL:
            what = "no space left on the device" if error.errno == errno.ENOSPC else os.strerror(error.errno).lower()
            _fail(f"{what} while writing {error.filename or 'an artefact'}; make room and run again")
        if error.filename is None:
            raise
        _fail(f"{error.filename} can't be read or written ({error.strerror}); correct the path or its permissions")


@contextmanager
def one_voice() -> Iterator[None]:
    """Of the processes that torchrun started let the first alone speak; another tells of an error that is its own."""
    if int(os.environ.get("RANK", "0")) == 0:
        yield
        return
    out.quiet = err.quiet = True
    try:
        yield
    except (CodingSpotError, OSError):
        time.sleep(_PATIENCE)  # where the first has it too, torchrun has ended this process before
        err.quiet = False
        raise


class _Signalled(KeyboardInterrupt):
    """A signal that ends the process, raised where it arrives so that everything is cleaned up."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


@contextmanager
def _signals_interrupt() -> Iterator[None]:
    def stop(number: int, _frame: object) -> None:
        raise _Signalled(number)

    # One that is ignored, as under nohup, stays so; and only the main thread may say what is done with a signal.
    here = threading.current_thread() is threading.main_thread()
    taken = [each for each in _ENDING if here and signal.getsignal(each) is signal.SIG_DFL]
    for each in taken:
        signal.signal(each, stop)
    try:
        yield
    finally:
        for each in taken:
            signal.signal(each, signal.SIG_DFL)


@contextmanager
def setting_error(settings: type[Settings] | None = None) -> Iterator[None]:
    """Turn what pydantic says of a setting into the one line of an error about its option, of ``settings``' own."""
    from pydantic import ValidationError  # loading it takes time, which `--help` should not

    from codingspot.cli.options import option_name

    try:
        yield
    except ValidationError as error:
        first = error.errors()[0]
        names = [part for part in first["loc"] if isinstance(part, str)]
        if settings is not None and names and names[0] in settings.model_fields:
            option = option_name(settings, names[0])
        else:
            option = "--" + "-".join(_OPTIONS.get(name, name) for name in names).replace("_", "-")
        raise StudyError(f"{option}: {first['msg'].removeprefix('Value error, ')}") from None


def _fail(message: str) -> None:
    err.print(Text.assemble(("error:", "bold red"), f" {visible(as_given(message), keep='')}"), soft_wrap=True)
    raise typer.Exit(1) from None


def progress_display(*columns: ProgressColumn) -> Progress:
    """A display that goes when it ends; where no terminal shows it, nothing is written, not even its line's end."""
    return Progress(*columns, console=err, transient=True, disable=not err.is_interactive)


def _write_line(text: str) -> None:
    err.print(visible(text, keep=""), soft_wrap=True)


class StudyProgress:
    """One display for a whole study, with an estimate of the time left; plain lines where no terminal shows it."""

    def __init__(self) -> None:
        self._lines = None if err.is_interactive else ProgressLines(_write_line)
        self._bar = progress_display(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=None),
            TextColumn("{task.percentage:>3.0f}%"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(elapsed_when_finished=False),
        )
        self._task = self._bar.add_task("starting", total=None)

    def __enter__(self) -> StudyProgress:
        self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._bar.stop()
        if self._lines is not None and kind is None:
            self._lines.end()

    def start(self, total: float) -> None:
        """Begin with ``total`` units of work left."""
        if self._lines is not None:
            self._lines.start(total)
        self._bar.reset(self._task, total=total)

    def stage(self, text: str) -> None:
        """Show what is being done."""
        if self._lines is not None:
            self._lines.stage(text)
        self._bar.update(self._task, description=f"{visible(text, keep='')[:34]:<34}")

    def cell(self, number: int, total: int) -> None:
        """The next stage is a cell, the ``number``-th of ``total``."""
        if self._lines is not None:
            self._lines.cell(number, total)

    def advance(self, units: float) -> None:
        """Move the bar."""
        if self._lines is not None:
            self._lines.advance(units)
        self._bar.advance(self._task, units)

    def shares(self) -> Callable[[str, float], None]:
        """Begin work of one unit; returns what is told of each step and the share of the work that is done."""
        self.start(1.0)

        done = 0.0

        def show(text: str, share: float) -> None:
            nonlocal done
            self.stage(text)
            if self._lines is not None:
                self._lines.advance(share - done)
            done = share
            self._bar.update(self._task, completed=share)

        return show
