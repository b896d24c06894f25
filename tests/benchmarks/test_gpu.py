"""The benchmark for GPUs, over a model of a few thousand weights on the CPU: every section gives its figures."""

import json

import pytest

SELECTIONS = ["selection in memory", "selection from disk"]


@pytest.fixture
def record(call, tmp_path):
    """Runs it and gives what it saved."""

    def record(*options: str) -> dict:
        out = tmp_path / "out.json"
        call("gpu", "--shape", "tiny", "--device", "cpu", "--out", str(out), *options)
        return json.loads(out.read_text())

    return record


def test_every_section_gives_figures(record) -> None:
    found = record()
    assert found["parameters"] == 151_872
    assert found["dtype"] == "bfloat16"
    assert {name: section["stopped"] for name, section in found["sections"].items()} == dict.fromkeys(
        ["scoring", "output head", "switching", "likelihood", "generation", "held-out loss", *SELECTIONS]
    )
    rows = [row for section in found["sections"].values() for row in section["rows"]]
    assert all(row["figure"] > 0 for row in rows if row["unit"] not in ("GB", "nats", "of their norm"))
    gaps = [row["figure"] for row in rows if row["what"].endswith("largest difference from HFLM")]
    assert gaps == pytest.approx([0, 0], abs=0.5)  # bfloat16, sums over 8 tokens of 6 nats


def test_a_section_for_which_no_time_is_left_is_recorded(record) -> None:
    sections = record("--minutes", "0", "--sections", *SELECTIONS)["sections"]
    assert [section["rows"] for section in sections.values()] == [[], []]
    assert all(section["stopped"].startswith("not begun: ") for section in sections.values())
