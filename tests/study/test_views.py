import pandas as pd
import pytest

from codingspot.errors import StudyError
from codingspot.report import build_report
from codingspot.study import parse_study, run_study

VIEWS = """
views:
  neurons: {token_budget: 512, sequence_length: 64, control_seeds: [0]}
  align: {parallel: testbed, rows: 6, languages: [go, python]}
  lens: {parallel: testbed, items: 1, shots: 1, languages: [go, python]}
"""


@pytest.fixture
def study(corpus_folder, tiny_model):
    return parse_study(
        f"""
name: views
model: {{id: "{tiny_model}"}}
corpus: {{source: "{corpus_folder}", evaluation_documents: 2}}
scoring: {{token_budget: 256, sequence_length: 64, draws: 1}}
analyses: []
spots:
  - {{name: paper, k_percent: [0.1]}}
evaluation: {{code: [], general: [testbed_events], other: [], limit: 2}}
{VIEWS}
""",
        "views.yaml",
    )


def test_views_join_a_run_its_tables_and_its_report(study, tmp_path):
    directory = run_study(study, tmp_path / "run")
    tables = {path.stem for path in directory.analysis.glob("*.parquet")}
    assert {"neurons", "alignment", "lens_sets", "across_spots", "across_ablation", "across_profiles"} <= tables
    edits = pd.read_parquet(directory.analysis / "across_ablation.parquet")
    assert edits["ablated"].unique().tolist() == ["neurons", "spot", "spot without neurons", "neurons without spot"]
    made = (directory.analysis / "neurons.parquet").stat().st_mtime_ns
    run_study(study, tmp_path / "run")
    assert (directory.analysis / "neurons.parquet").stat().st_mtime_ns == made
    page = build_report(tmp_path / "run").read_text()
    for section in ("view-neurons", "view-alignment", "view-lens", "view-across"):
        assert f'<section id="{section}">' in page
    selections = pd.read_csv(tmp_path / "run/tables/neurons.csv")["selection"]
    assert selections.unique().tolist() == ["per-language", "lape"]  # the silenced ones first
    assert (tmp_path / "run/figures/neuron_ablation.png").exists()


def test_a_study_of_views_alone_needs_no_spot(corpus_folder, tiny_model, tmp_path):
    text = f"""
name: alone
model: {{id: "{tiny_model}"}}
corpus: {{source: "{corpus_folder}", evaluation_documents: 2}}
views: {{align: {{parallel: testbed, rows: 4}}}}
evaluation: {{code: [], general: [], other: []}}
"""
    study = parse_study(text, "alone.yaml")
    directory = run_study(study, tmp_path / "run")
    assert not directory.scores.exists()
    assert '<section id="view-alignment">' in build_report(tmp_path / "run").read_text()


def test_a_study_of_nothing_is_refused():
    with pytest.raises(StudyError, match="at least one spot, or a view"):
        parse_study("name: nothing", "nothing.yaml")


def test_views_are_validated():
    with pytest.raises(StudyError, match=r"views\.neurons\.quantile"):
        parse_study("name: bad\nviews: {neurons: {quantile: 2}}", "bad.yaml")
