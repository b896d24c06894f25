"""``findings.json``: what the verdict and the analyses say of each spot, as the table of verdicts has it."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from synthetic_runs import DOSES, LANGUAGES, RunMaker

from codingspot.report.findings import findings_records, findings_table
from codingspot.report.run_files import read_run
from codingspot.report.sections import analysis_figures
from codingspot.report.specificity import judge_all
from codingspot.report.summary import summarise


def records_of(folder: Path) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The records, and the rows of the table of verdicts."""
    run = read_run(folder)
    summary = summarise(run)
    findings = judge_all(summary, run.density)
    table = findings_table(summary, findings)
    names = [column.key for column in table.columns]
    rows = [dict(zip(names, row.values, strict=True), spot=row.spot) for row in table.rows if row.role == "spot"]
    records = findings_records(summary, findings, analysis_figures(run))
    return json.loads(json.dumps(records, allow_nan=False)), rows


def test_it_says_what_the_table_of_verdicts_says(small: RunMaker, tmp_path: Path):
    spots = (("paper", "sum", "all", DOSES[-2:]), ("contrast", "set_difference", "all", DOSES[-2:]))
    records, rows = records_of(small.with_(spots=spots).write(tmp_path / "run"))
    assert [record["spot"] for record in records] == [row["spot"] for row in rows] == ["paper", "contrast"]
    for record, row in zip(records, rows, strict=True):
        assert record["verdict"] == row["verdict"]
        assert record["k_percent"] == row["k_percent"].value
        retained = row["general_retention"].value - row["code_retention"].value
        assert record["selectivity"] == pytest.approx(retained)
        low, high = record["selectivity_interval"]
        assert low <= record["selectivity"] <= high
        assert record["shares"]["vocabulary"] * 100 == pytest.approx(row["vocabulary"].value)
        assert record["cell"] == f"{record['spot']}-k{record['k_percent']:g}"
    assert len(records[0]["matched_code"]) == records[0]["standing_by_losses"]["draws"] == 3
    assert records[1]["standing_by_losses"] is None


def test_it_has_what_location_says(small: RunMaker, tmp_path: Path):
    folder = small.with_(spots=(("paper", "sum", "all", (1.0,)),)).write(tmp_path / "run")
    rows = [
        ("paper", 1.0, what, 41943, domain, "code", 0.6, 2.0 if what == "spot" else 0.5, 0.1, 3.0)
        for what in ("spot", "alternative")
        for domain in LANGUAGES
    ]
    names = ["spot", "k_percent", "removed", "parameters", "domain", "kind", "original", "change", "low", "high"]
    pd.DataFrame(rows, columns=names).to_parquet(folder / "analysis" / "location.parquet", index=False)
    ((record,), _) = records_of(folder)
    assert record["analyses"] == {"location": {"word": "open", "alternative": 0.25, "overlap": None}}
