"""The benchmark of abilities, over one ability and few items."""

import subprocess
import sys
from pathlib import Path

import pytest

from codingspot.sandbox import available

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "abilities.py"


@pytest.mark.skipif(available() is None, reason="no sandbox works on this machine")
def test_a_spot_is_measured_on_every_ability(tmp_path: Path) -> None:
    command = [sys.executable, str(SCRIPT), "--abilities", "roles", "--tokens", "256", "--limit", "2"]
    done = subprocess.run([*command, "--out", str(tmp_path)], check=True, capture_output=True, text=True)
    heading, _, row = done.stdout.strip().splitlines()[-3:]
    assert [cell.strip() for cell in heading.split("|")[2:4]] == ["code", "arithmetic"]
    assert row.startswith("| roles ")
    assert row.count("(1.00)") == 6
