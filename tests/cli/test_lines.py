import pytest

from codingspot.cli.console import StudyProgress
from codingspot.cli.lines import ProgressLines


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_line_for_every_stage_and_cell_with_the_time_left() -> None:
    written: list[str] = []
    clock = Clock()
    lines = ProgressLines(written.append, clock)
    lines.stage("loading the model")
    clock.now = 10
    lines.start(20.0)
    lines.stage("scoring parameters")
    clock.now = 40
    lines.advance(5.0)  # no minute has passed since the last line
    clock.now = 90
    lines.advance(5.0)
    for number in (1, 2, 3):
        clock.now = 100 + 60 * number
        lines.cell(number, 4)
        lines.stage(f"spot-k{number}")
    clock.now = 350
    lines.advance(1.0)  # cells take other times than the stages before them
    lines.end()
    assert written == [
        "0:00:00 loading the model",
        "0:00:10 scoring parameters",
        "0:01:30 scoring parameters: 50% of all work done, about 0:01:20 left",
        "0:02:40 cell 1/4 spot-k1",
        "0:03:40 cell 2/4 spot-k2, about 0:03:00 left",
        "0:04:40 cell 3/4 spot-k3, about 0:02:00 left",
        "0:05:50 done",
    ]


def test_lines_are_written_where_no_terminal_shows_a_bar(capsys: pytest.CaptureFixture[str]) -> None:
    with StudyProgress() as progress:
        show = progress.shares()
        show("reading", 0.0)
        show("reading", 0.5)
        show("writ\x1bing", 1.0)
    written = capsys.readouterr().err.splitlines()
    assert [line.partition(" ")[2] for line in written] == ["reading", "writ\\x1bing", "done"]
