"""``findings.json``: what the verdict and the analyses say of each spot, as the tables and the page have it."""

import csv
import json
from pathlib import Path

import pandas as pd
from synthetic_runs import LANGUAGES, RunMaker

from codingspot.report.findings import findings_records
from codingspot.report.run_files import read_run
from codingspot.report.sections import analysis_figures
from codingspot.report.specificity import judge_all
from codingspot.report.summary import summarise


def test_it_says_what_the_table_of_verdicts_says(built_run: Path):
    records = json.loads((built_run / "findings.json").read_text())
    with (built_run / "tables" / "findings.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["verdict"]]
    summary = {record["cell"]: record for record in json.loads((built_run / "summary.json").read_text())}
    assert (
        [record["spot"] for record in records]
        == [row["spot"] for row in rows]
        == ["paper", "contrast", "contrast-blocks"]
    )
    for record, row in zip(records, rows, strict=True):
        cell = summary[record["cell"]]
        assert record["verdict"] == row["verdict"]
        assert record["k_percent"] == cell["k_percent"] == float(row["k_percent"])
        assert record["selectivity"] == cell["general_retention"] - cell["code_retention"]
        low, high = record["selectivity_interval"]
        assert low < record["selectivity"] < high
        assert record["shares"]["vocabulary"] * 100 == float(row["vocabulary"])
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
    run = read_run(folder)
    summary = summarise(run)
    (record,) = findings_records(summary, judge_all(summary, run.density), analysis_figures(run))
    assert record["analyses"] == {"location": {"word": "open", "alternative": 0.25, "overlap": None}}
