"""The benchmark of abilities, over one ability and few items."""

import runpy
import sys
from pathlib import Path

import pytest

from codingspot.sandbox import available

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "abilities.py"


@pytest.mark.skipif(available() is None, reason="no sandbox works on this machine")
def test_a_spot_is_measured_on_every_ability(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    options = [
        "--model",
        "testbed-routed",
        "--abilities",
        "roles",
        "--tokens",
        "256",
        "--limit",
        "2",
        "--documents",
        "32",
        "--out",
        str(tmp_path),
    ]
    monkeypatch.setattr(sys, "argv", [str(SCRIPT), *options])
    runpy.run_path(str(SCRIPT), run_name="__main__")
    heading, _, row = capsys.readouterr().out.strip().splitlines()[-3:]
    assert [cell.strip() for cell in heading.split("|")[2:4]] == ["code", "arithmetic"]
    assert row.startswith("| roles ")
    assert row.count("(1.00)") == 6
