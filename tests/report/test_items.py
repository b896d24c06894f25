"""The items on the page: which cells and items are chosen, each text once, and never more than there is room for."""

import json
from pathlib import Path

import pandas as pd
import pytest
from synthetic_runs import DOSES, RunMaker

from codingspot.evaluation.results import Results
from codingspot.report.items import Items, shown_items
from codingspot.report.run_files import Run, read_run
from codingspot.report.specificity import Finding, judge_all
from codingspot.report.summary import summarise


@pytest.fixture(scope="module")
def found(run_directory: Path) -> tuple[Run, tuple[Finding, ...]]:
    run = read_run(run_directory)
    return run, judge_all(summarise(run), run.density)


def test_every_answer_of_every_item_is_there_where_there_is_room(found: tuple[Run, tuple[Finding, ...]]):
    run, findings = found
    items = shown_items(run, findings)
    assert items is not None
    data = json.loads(items.data)
    texts, cells = data["texts"], [name for name, _, _ in data["cells"]]
    assert len(texts) == len(set(texts))
    assert cells[0] == "original"
    assert cells[data["judged"]] == findings[0].cell.cell.name
    shown = {
        (cell, data["tasks"][task], number): (answer[0], texts[answer[1]], texts[answer[2]])
        for task, number, *_, answers in data["items"]
        for cell, answer in zip(cells, answers, strict=True)
    }
    outcomes = run.results.outcomes
    assert len(shown) == len(outcomes[outcomes["cell"].isin(cells)])
    assert shown["paper-k1", "Python problems", 3][1:] == ("    the the of , and 3 3 3 the", "wrong answer")
    assert shown["original", "Events", 3] == (1, "0", "")
    prompt, choices, target = next(row[2:5] for row in data["items"] if data["tasks"][row[0]] == "Events")
    assert (texts[prompt], [texts[choice] for choice in choices], target) == ("What is it? (0)", ["this", "that"], 0)
    assert items.told == "Answers of the original and of 48 of 49 edited models to all 764 items."


def test_what_is_left_out_for_its_size_is_drawn_by_the_seed_and_said(found: tuple[Run, tuple[Finding, ...]]):
    run, findings = found
    items = shown_items(run, findings, 40_000)
    assert items is not None
    assert items == shown_items(run, findings, 40_000)
    assert 30_000 < len(items.data) < 46_000
    assert "items drawn at random (seed 0), so that the page stays small: " in items.told
    counts = pd.Series([task for task, *_ in json.loads(items.data)["items"]]).value_counts()
    assert len(counts) == 7
    assert counts.max() - counts.min() <= 1


def test_the_page_of_many_cells_is_bounded_and_has_the_judged_cells(maker: RunMaker, tmp_path: Path):
    spots = tuple((f"spot{number}", "sum", "all", DOSES[-2:]) for number in range(30))
    run = read_run(maker.with_(spots=spots, controlled_spots=(), analysis=False).write(tmp_path / "run"))
    findings = judge_all(summarise(run))
    items = shown_items(run, findings)
    assert items is not None
    assert len(items.cells) == 48
    assert {finding.cell.cell.name for finding in findings} <= items.cells
    assert "48 of 60 edited models" in items.told
    assert len(items.data) < 1_600_000


def test_every_program_of_an_item_is_there(small: RunMaker, tmp_path: Path):
    run = read_run(small.write(tmp_path / "run"))
    outcomes = run.results.outcomes
    code = outcomes["task"] == "testbed_humaneval"
    more = [(["other"], ["empty"]) if here else ([], []) for here in code]
    further = {
        name: [each[place] for each in more] for place, name in enumerate(("further_samples", "further_verdicts"))
    }
    Results(outcomes.assign(**further), run.results.losses).write(tmp_path / "run", force=True)
    run = read_run(tmp_path / "run")
    items = shown_items(run, judge_all(summarise(run)))
    assert isinstance(items, Items)
    data = json.loads(items.data)
    answer = next(row[5][0] for row in data["items"] if data["tasks"][row[0]] == "Python problems")
    assert [data["texts"][place] for place in answer[3:]] == ["other", "empty"]


def test_a_run_from_before_questions_were_kept_says_so(small: RunMaker, tmp_path: Path):
    run = read_run(small.with_(prompt=None, analysis=False).write(tmp_path / "run"))
    items = shown_items(run, judge_all(summarise(run)))
    assert items is not None
    assert "Questions weren't kept when this run was made" in items.told
    assert json.loads(items.data)["items"][0][2] == 0  # the empty text
