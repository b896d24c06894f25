"""The benchmark for GPUs, over a model of a few thousand weights on the CPU: every section gives its figures."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

SELECTIONS = ["selection in memory", "selection from disk"]
SCRIPT = Path(__file__).parents[2] / "benchmarks" / "gpu.py"


def record(folder: Path, *options: str) -> dict:
    out = folder / "out.json"
    command = [sys.executable, str(SCRIPT), "--shape", "tiny", "--device", "cpu", "--out", str(out), *options]
    subprocess.run(command, check=True, capture_output=True)
    return json.loads(out.read_text())


def test_every_section_gives_figures(tmp_path) -> None:
    found = record(tmp_path)
    assert found["parameters"] == 151_872
    assert found["dtype"] == "bfloat16"
    assert {name: section["stopped"] for name, section in found["sections"].items()} == dict.fromkeys(
        ["scoring", "output head", "switching", "likelihood", "generation", "held-out loss", *SELECTIONS]
    )
    rows = [row for section in found["sections"].values() for row in section["rows"]]
    assert all(row["figure"] > 0 for row in rows if row["unit"] not in ("GB", "nats", "of their norm"))
    gaps = [row["figure"] for row in rows if row["what"].endswith("largest difference from HFLM")]
    assert gaps == pytest.approx([0, 0], abs=0.5)  # bfloat16, sums over 8 tokens of 6 nats


def test_a_section_for_which_no_time_is_left_is_recorded(tmp_path) -> None:
    sections = record(tmp_path, "--minutes", "0", "--sections", *SELECTIONS)["sections"]
    assert [section["rows"] for section in sections.values()] == [[], []]
    assert all(section["stopped"].startswith("not begun: ") for section in sections.values())
