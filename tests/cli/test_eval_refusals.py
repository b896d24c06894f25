"""What `codingspot eval` refuses instead of printing a rate."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from codingspot.cli.app import app
from codingspot.models import load_model
from codingspot.testbed.shipped import shipped_model


def _refused(model: str, out: Path, *tasks: str) -> str:
    options = [option for task in tasks for option in ("--task", task)]
    result = CliRunner().invoke(app, ["eval", model, *options, "--limit", "2", "--out", str(out)])
    assert result.exit_code == 1, result.output
    assert not out.exists()
    return " ".join(result.output.split())


@pytest.mark.parametrize(
    ("factor", "message"),
    [(torch.nan, "weight model.norm.weight holds NaN or infinity"), (1e38, "not a number on item 0 of testbed_events")],
)
def test_a_model_whose_output_is_not_numbers(factor: float, message: str, tmp_path: Path) -> None:
    loaded = load_model(shipped_model())
    with torch.no_grad():
        loaded.model.model.norm.weight.mul_(factor)
    loaded.model.save_pretrained(tmp_path / "model")
    loaded.tokenizer.save_pretrained(tmp_path / "model")
    assert message in _refused(str(tmp_path / "model"), tmp_path / "out", "testbed_events")


def test_a_task_named_twice(tmp_path: Path) -> None:
    assert "task testbed_events is named twice" in _refused(
        "testbed", tmp_path / "out", "testbed_events", "testbed_events"
    )
