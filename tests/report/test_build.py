import json
import shutil
from pathlib import Path

import pytest
from synthetic_runs import RunMaker

from codingspot.errors import OutputError
from codingspot.evaluation.results import Results
from codingspot.report import build_report


def test_summary_has_one_record_a_cell_with_the_promised_fields(built_run: Path):
    records = json.loads((built_run / "summary.json").read_text())
    assert [record["cell"] for record in records] == Results.read(built_run).cells()
    promised = {
        "cell", "recipe", "estimator", "control", "edit", "k_percent", "parameters", "seed", "tasks", "perplexity",
        "code", "general", "code_retention", "general_retention", "m_s", "intervals",
    }  # fmt: skip
    assert all(promised <= set(record) for record in records)
    assert records[0]["code_retention"] == 1.0
    assert all(record["control"] is None or record["seed"] is not None for record in records)


def test_a_rebuilt_report_has_the_same_bytes(built_run: Path, tmp_path: Path):
    run = shutil.copytree(built_run, tmp_path / "run")
    written = [run / name for name in ("report.html", "summary.json", "findings.json")]
    made = [*written, *(run / "tables").iterdir(), *(run / "figures").iterdir()]
    before = {path: path.read_bytes() for path in made}
    build_report(run)
    assert {path: path.read_bytes() for path in made} == before
    assert {path.suffix for path in made} >= {".html", ".json", ".md", ".csv", ".tex", ".png"}


def test_the_page_needs_no_network_and_escapes_what_models_write(small: RunMaker, tmp_path: Path):
    run = small.with_(bad_program="<script>alert(1)</script>").write(tmp_path / "hostile")
    page = build_report(run).read_text()
    assert "&lt;script&gt;alert" in page
    assert "<script>alert" not in page
    for outside in ('src="http', "src='http", "@import", 'rel="stylesheet"'):
        assert outside not in page


def test_what_somebody_put_beside_tables_and_figures_stays(unedited: RunMaker, tmp_path: Path):
    run = unedited.write(tmp_path / "run")
    build_report(run)
    for folder in ("tables", "figures"):
        (run / folder / "notes.md").write_text("mine")
    build_report(run)
    assert (run / "tables" / "notes.md").read_text() == (run / "figures" / "notes.md").read_text() == "mine"


def test_a_folder_where_the_page_belongs_is_named_as_it_is(unedited: RunMaker, tmp_path: Path):
    copy = unedited.write(tmp_path / "run")
    for name in ("report.html", "summary.json"):  # the page is written last
        (copy / name).unlink(missing_ok=True)
        (copy / name).mkdir()
        with pytest.raises(IsADirectoryError) as caught:
            build_report(copy)
        assert caught.value.filename == str(copy / name)


def test_a_table_of_the_users_is_refused_and_nothing_written(unedited: RunMaker, tmp_path: Path):
    copy = unedited.write(tmp_path / "run")
    (copy / "tables").mkdir()
    (copy / "tables" / "findings.csv").write_text("mine")
    with pytest.raises(OutputError, match=r"tables/findings\.csv was not written by codingspot"):
        build_report(copy)
    assert (copy / "tables" / "findings.csv").read_text() == "mine"
    assert not (copy / "summary.json").exists()


def test_figures_for_a_paper_are_written_where_they_are_asked_for(small: RunMaker, tmp_path: Path) -> None:
    """With their fonts, the same bytes each time, and gone again with the next report."""
    run = small.write(tmp_path / "run")
    first = []
    for _ in range(2):
        build_report(run, vector=True)
        names = {path.name for path in (run / "figures").iterdir()} - {"manifest.json"}
        stems = {name.partition(".")[0] for name in names}
        assert names == {f"{stem}.{kind}" for stem in stems for kind in ("pdf", "svg", "png")}
        first.append({name: (run / "figures" / name).read_bytes() for name in names})
    assert first[0] == first[1]
    assert b"/FontFile2" in first[0]["dose_response.pdf"]
    assert b"<text" not in first[0]["dose_response.svg"]
    build_report(run)
    assert {path.suffix for path in (run / "figures").iterdir()} == {".png", ".json"}
