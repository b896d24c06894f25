"""What a study may ask for beside its grid, in one small run of the shipped model."""

import json
from pathlib import Path

import pandas as pd
import pytest

from codingspot.evaluation.results import Results
from codingspot.report.build import build_report
from codingspot.sandbox import available
from codingspot.spot import Spot
from codingspot.study import Plan, parse_study, run_study
from codingspot.study.cells import Cell
from codingspot.study.config import Study
from codingspot.study.evaluating import thresholds

pytestmark = pytest.mark.skipif(available() is None, reason="no sandbox works on this machine")


class Stages:
    def __init__(self) -> None:
        self.seen: list[str] = []

    def start(self, total: float) -> None:
        self.total = total

    def stage(self, text: str) -> None:
        self.seen.append(text)

    def advance(self, units: float) -> None:
        assert units >= 0


@pytest.fixture
def study(corpus_folder: Path) -> Study:
    return parse_study(
        f"""
name: everything
corpus: {{source: "{corpus_folder}", held_out: [python], evaluation_documents: 2}}
scoring: {{token_budget: 256, sequence_length: 64, draws: 2}}
spots:
  - name: paper
    k_percent: [0.0025, 0.25]
    controls: [super_weights]
    precision: 1.2
    sufficiency: {{k_percent: [0.25], largest_percent: 60}}
language_matrix: {{k_percent: 0.1, tasks: [testbed_humaneval], limit: 2}}
evaluation:
  code: [testbed_humaneval]
  general: [testbed_events]
  other: [testbed_roles]
  limit: 60
  code_limit: 20
  sequential: true
""",
        "everything.yaml",
    )


def test_a_run_with_everything_and_the_same_again(study: Study, tmp_path: Path):
    out = tmp_path / "run"
    run_study(study, out)
    plan = Plan.model_validate_json((out / "plan.json").read_text())
    cells = {cell.name: cell for cell in plan.cells}
    names = list(cells)
    assert names[:6] == [
        "original",
        "paper-k0.0025",
        "paper-k0.25",
        "paper-super_weights-k0.0025",
        "paper-keep-base",
        "paper-keep-k0.25",
    ]
    refined = [cell for cell in plan.cells if cell.purpose == "refinement"]
    assert refined, "between 0.0025% and 0.25% code goes and general ability with it"
    assert all(0.0025 < cell.k_percent < 0.25 or cell.k_percent < 0.0025 for cell in refined)
    alone = Spot.load(out / "spots" / "paper-super_weights.safetensors")
    assert cells["paper-super_weights-k0.0025"].parameters == len(alone) == 6

    results = Results.read(out)
    assert results.cells() == names
    items = results.outcomes.groupby("cell").size()
    assert items["original"] == 20 + 60 + 60
    assert items["paper-k0.25"] < items["original"]  # a broken model is settled early
    analysis = {path.stem: pd.read_parquet(path) for path in (out / "analysis").glob("*.parquet")}
    assert set(analysis) >= {
        "overlap",
        "overlap_tensors",
        "polysemanticity",
        "shares",
        "reliability",
        "prediction",
        "language_matrix",
        "sequential",
    }
    assert set(analysis["prediction"]["cell"]) == set(names[1:4])
    matrix = analysis["language_matrix"]
    assert set(matrix["spot"]) == {"go", "english"}
    assert set(matrix.loc[matrix["measure"] == "loss", "of"]) == {"go", "python", "english"}
    assert set(matrix.loc[matrix["measure"] == "pass@1", "of"]) == {"testbed_humaneval"}

    build_report(out)
    tables = {path.stem for path in (out / "tables").glob("*.csv")}
    assert tables >= {"doses", "sufficiency", "sequential", "prediction", "language_problems", "polysemanticity"}

    before = {path: path.read_bytes() for path in (out / "analysis").glob("*.parquet")}
    before[out / "results.parquet"] = (out / "results.parquet").read_bytes()
    again = Stages()
    run_study(study, out, progress=again)
    assert json.loads((out / "plan.json").read_text()) == plan.model_dump(mode="json")
    assert {path: path.read_bytes() for path in before} == before


def test_thresholds_are_those_of_the_verdict(tmp_path: Path):
    original = Results.of_cell("original", ())
    original = Results(
        pd.DataFrame(
            [("original", "code", i, float(i < 8), "", "") for i in range(10)],
            columns=["cell", "task", "item", "outcome", "sample", "verdict"],
        ),
        original.losses,
    )
    spot = thresholds(Cell(name="s", spot="s"), original, ["code"])
    assert spot == {"code": (pytest.approx(0.01 / 0.8), 0.5, 0.95), "general": (0.95,)}
    control = thresholds(Cell(name="c", spot="s", control="matched"), original, ["code"])
    assert control == {"code": (0.5,), "general": (0.95,)}
