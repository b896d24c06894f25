"""Tables hold the run's own numbers, and every rendering says the same."""

import csv
import io
from pathlib import Path

import pytest
from synthetic_runs import DOSES, MORE_DOSES, RunMaker

from codingspot.evaluation.metrics import monosemanticity
from codingspot.report.run_files import Run, read_run
from codingspot.report.summary import RunSummary, summarise
from codingspot.report.table import Column, Number, Row, Table, display, latex_escape, to_csv, to_latex, to_markdown
from codingspot.report.tables import build_tables


@pytest.fixture(scope="module")
def made(run_directory: Path) -> tuple[Run, RunSummary, dict[str, Table]]:
    run = read_run(run_directory)
    summary = summarise(run)
    return run, summary, {table.name: table for table in build_tables(run, summary)}


def test_each_table_has_a_row_for_every_dose(made: tuple[Run, RunSummary, dict[str, Table]]):
    _, _, tables = made
    rows = tables["table1_dose_response"].rows
    assert [row.values[1] for row in rows if row.spot == "paper" and row.role == "spot"] == [Number(k) for k in DOSES]
    assert sum(row.spot == "contrast" and row.role == "spot" for row in rows) == len(MORE_DOSES)
    assert {row.role for row in tables["table2_counterfactual"].rows} == {"original", "spot", "control"}
    assert {row.spot for row in tables["table2_counterfactual"].rows} == {"paper"}  # the only one with controls


def test_csv_gives_the_summary_s_numbers_in_full(made: tuple[Run, RunSummary, dict[str, Table]]):
    _, summary, tables = made
    rows = list(csv.DictReader(io.StringIO(to_csv(tables["table4_retention"]))))
    cells = {(c.cell.spot, c.cell.k_percent): c for c in summary.cells if c.cell.control is None}
    checked = 0
    for row in rows:
        if row["edited"] != "Spot":
            continue
        cell = cells[row["spot"], float(row["k_percent"])]
        assert float(row["code_retention"]) == cell.metrics.code_retention
        assert cell.intervals.general_retention is not None
        assert float(row["general_retention_low"]) == cell.intervals.general_retention.low
        assert int(row["parameters"]) == cell.cell.parameters
        checked += 1
    assert checked == len(DOSES) + 2 * len(MORE_DOSES)


def test_m_s_of_the_spot_follows_its_formula(made: tuple[Run, RunSummary, dict[str, Table]]):
    _, summary, tables = made
    before = summary.original.metrics
    for row in csv.DictReader(io.StringIO(to_csv(tables["table3_monosemanticity"]))):
        if row["edited"] == "Spot" and row["m_s"]:
            expected = monosemanticity(float(row["code"]), before.code, float(row["average"]), before.average)
            assert float(row["m_s"]) == pytest.approx(expected)


def test_verdicts_count_every_program(made: tuple[Run, RunSummary, dict[str, Table]]):
    _, _, tables = made
    table = tables["verdicts"]
    keys = [column.key for column in table.columns]
    for row in table.rows:
        numbers = [value.value for value in row.values[keys.index("programs") :] if isinstance(value, Number)]
        assert numbers[0] == sum(filter(None, numbers[1:])) == 164 * (3 if row.role == "control" else 1)


def test_a_random_row_is_the_mean_over_seeds_with_its_extremes(made: tuple[Run, RunSummary, dict[str, Table]]):
    _, summary, tables = made
    drawn = [c.metrics.code for c in summary.at("paper", "matched", 0.25)]
    table = tables["table2_counterfactual"]
    place = [column.key for column in table.columns].index("code")
    row = next(r for r in table.rows if r.role == "control" and r.values[:2] == ("Matched random", Number(0.25)))
    value = row.values[place]
    assert isinstance(value, Number)
    assert (value.value, value.low, value.high) == pytest.approx((sum(drawn) / 3, min(drawn), max(drawn)))


def test_markdown_and_latex_keep_hostile_names_inert():
    columns = (Column("name", "Na|me"), Column("x", "x_1", "rate", has_change=True))
    rows = (Row("s", "a_heading & <b>", "spot", ("<script>|`\n#", Number(0.5, change=-12.34))),)
    table = Table("t", "T & co", "100% of _all_", columns, rows)
    markdown = to_markdown(table)
    assert "<script>" not in markdown.replace("\\<script\\>", "")
    assert "50.0 (−12.3%)" in markdown
    latex = to_latex(table)
    assert r"a\_heading \& \textless{}b\textgreater{}" in latex
    assert r"100\% of \_all\_" in latex
    assert latex.count(r"\begin{tabular}") == latex.count(r"\end{tabular}") == 1


@pytest.mark.parametrize(
    ("number", "kind", "text"),
    [
        (Number(None), "rate", "–"),
        (Number(0.9756), "rate", "97.6"),
        (Number(-0.00001), "score", "0.00"),
        (Number(-1.5), "change", "−1.5%"),
        (Number(0.0025), "dose", "0.0025%"),
        (Number(1234567), "count", "1,234,567"),
        (Number(float("inf")), "ratio", "∞"),
        (Number(0.5, 0.4, 0.6), "retention", "0.50 (0.40 to 0.60)"),
        (Number(0.5, 0.501, 0.499), "retention", "0.50"),
    ],
)
def test_numbers_as_read(number: Number, kind: str, text: str):
    assert display(number, Column("x", "x", kind)) == text  # type: ignore[arg-type]


def test_latex_escapes_every_special_character():
    assert latex_escape("\\{}$&#%_~^") == (r"\textbackslash{}\{\}\$\&\#\%\_\textasciitilde{}\textasciicircum{}")


def test_a_run_without_edits_has_no_tables(maker: RunMaker, tmp_path: Path):
    run = read_run(maker.with_(spots=(), analysis=False).write(tmp_path))
    assert build_tables(run, summarise(run)) == ()
