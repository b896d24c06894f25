"""Every command prints through consoles that show what they are given, all of it, and nothing that commands."""

import errno
import json
import math
import os
import pty
import subprocess
import sys

import pytest
import typer
from rich.console import Group
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from codingspot.cli import console, study
from codingspot.cli.console import (
    StudyProgress,
    err,
    friendly_errors,
    one_voice,
    out,
    print_json,
    print_table,
)
from codingspot.errors import StudyError

HOSTILE = "\x1b[2Jgone\x07 [bold]not bold[/] [/] :smile: \u202ednim\x9b1m"
SHOWN = r"\x1b[2Jgone\x07 [bold]not bold[/] [/] :smile: \u202ednim\x9b1m"


def _table(text: str) -> Table:
    table = Table(text, title=text, box=None)
    table.add_row(text)
    return table


@pytest.mark.parametrize(
    "shown",
    [
        HOSTILE,
        Text.assemble(HOSTILE.replace("\x07", "")),
        _table(HOSTILE),
        Padding(HOSTILE, (0, 2)),
        Group(HOSTILE, Text("and")),
    ],
)
def test_nothing_printed_commands_the_terminal_or_is_markup(shown: object, capsys: pytest.CaptureFixture[str]):
    out.print(shown)
    printed = capsys.readouterr().out
    assert not set(printed) & {"\x1b", "\x07", "\x9b", "\u202e"}
    assert SHOWN in printed or SHOWN.replace(r"\x07", "") in printed


def test_a_table_that_no_terminal_shows_is_not_cut(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.delenv("COLUMNS", raising=False)
    names = [f"organisation-{number}/{'long-' * 12}name" for number in range(3)]
    table = Table("", *names, box=None)
    table.add_row("value", *names)
    print_table(names[0], table)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == names[0]
    assert all(name in line for name in names for line in lines[1:])


def test_in_a_terminal_of_80_columns_names_are_folded_and_numbers_whole(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("COLUMNS", "80")
    table = Table(box=None, padding=(0, 1, 0, 0))
    name = "organisation/" + "x" * 90
    for heading in ("model", *"abcd"):
        table.add_column(heading, justify="left" if heading == "model" else "right")
    table.add_row(name, *["1,234,567"] * 4)
    out.print(table)
    printed = capsys.readouterr().out
    assert max(map(len, printed.splitlines())) <= 80
    assert "…" not in printed
    assert printed.count("1,234,567") == 4
    assert printed.count("x") == 90


def test_an_error_is_one_line_whatever_it_names(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(typer.Exit), friendly_errors():
        raise StudyError(f"no task {HOSTILE}\nerror: forged")
    assert capsys.readouterr().err == rf"error: no task {SHOWN}\nerror: forged" + "\n"
    err.print("plain")
    assert capsys.readouterr().err == "plain\n"


def test_json_is_as_it_was_and_in_ascii_where_a_terminal_would_obey(capsys: pytest.CaptureFixture[str]):
    print_json({"name": "Größe"})
    assert "Größe" in capsys.readouterr().out
    print_json({"name": HOSTILE})
    printed = capsys.readouterr().out
    assert printed.isascii()
    assert json.loads(printed) == {"name": HOSTILE}


def test_json_has_null_for_what_is_no_number(capsys: pytest.CaptureFixture[str]):
    print_json({"rates": [math.nan, (math.inf, 0.5)], "low": -math.inf, "n": 3})
    assert json.loads(capsys.readouterr().out) == {"rates": [None, [None, 0.5]], "low": None, "n": 3}


def test_a_terminal_gets_styles_and_no_others():
    code = f"from codingspot.cli.console import out; out.print({HOSTILE!r}, style='bold')"
    primary, secondary = pty.openpty()
    subprocess.run(
        [sys.executable, "-c", code], stdout=secondary, check=True, env=os.environ | {"TERM": "xterm", "COLUMNS": "200"}
    )
    printed = os.read(primary, 10_000).decode()
    os.close(primary)
    os.close(secondary)
    assert printed == f"\x1b[1m{SHOWN}\x1b[0m\r\n"


def test_a_failure_under_a_progress_display_is_one_line(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(typer.Exit), friendly_errors(), StudyProgress():
        raise StudyError("k: too large")
    assert capsys.readouterr().err == "error: k: too large\n"


def test_a_command_that_is_stopped_before_its_directory_is_made_says_how_to_go_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    def stopped(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(study, "_asked", stopped)
    with pytest.raises(typer.Exit):
        study.run(None)
    assert capsys.readouterr().err == "stopped; the same command resumes where it stopped\n"


def test_of_ranks_the_first_speaks_and_another_tells_of_its_own_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr(console, "_PATIENCE", 0.0)
    for shown in (out, err):
        monkeypatch.setattr(shown, "quiet", False)
    for rank, said in (("0", "here"), ("1", "")):
        monkeypatch.setenv("RANK", rank)
        with friendly_errors(), one_voice():
            out.print("here")
        assert capsys.readouterr().out.strip() == said
    with pytest.raises(typer.Exit), friendly_errors(), one_voice():
        raise StudyError("no such file on this machine")
    assert capsys.readouterr().err == "error: no such file on this machine\n"


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_what_could_not_be_written_for_want_of_room_is_one_line(
    number: int, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(typer.Exit) as ended, console.friendly_errors():
        raise OSError(number, os.strerror(number), "scores")
    assert ended.value.exit_code == 1
    assert "while writing scores; make room and run again" in capsys.readouterr().err
