"""The sentences a report leads with say what the numbers say."""

import re
from pathlib import Path

import pandas as pd
import pytest
from synthetic_runs import BEHAVIOURS, RunMaker

from codingspot.report.run_files import read_run
from codingspot.report.specificity import judge_all
from codingspot.report.summary import summarise
from codingspot.report.words import controls_sentence, headline, sentence


def sentences(maker: RunMaker, folder: Path) -> tuple[str, ...]:
    run = read_run(maker.write(folder))
    summary = summarise(run)
    return headline(summary, judge_all(summary, run.density))


@pytest.mark.parametrize(
    ("behaviour", "said"),
    [
        ("typical", "not specific to code"),
        ("nothing", "harms nothing measurably"),
        ("collapse", "keeps nothing of what it has above chance"),
        ("specific", "the damage is specific to code"),
        ("controls_equal", "the place is not special"),
        ("general_only", "what lies there is general, not coding"),
    ],
)
def test_each_result_is_told_in_its_own_words(behaviour: str, said: str, maker: RunMaker, tmp_path: Path):
    told = sentences(maker.with_(behaviour=BEHAVIOURS[behaviour]), tmp_path)
    assert len(told) == 2
    assert said in told[0]
    assert all(line.endswith(".") and line.count("(") == line.count(")") for line in told)


@pytest.mark.parametrize("behaviour", sorted(BEHAVIOURS))
def test_no_sentence_shows_a_bare_number_format_or_a_missing_value(behaviour: str, maker: RunMaker, tmp_path: Path):
    run = read_run(maker.with_(behaviour=BEHAVIOURS[behaviour]).write(tmp_path))
    summary = summarise(run)
    for finding in judge_all(summary, run.density):
        for text in (sentence(summary, finding), sentence(summary, finding, brief=True)):
            assert not re.search(r"\bNone\b|\bnan\b|\binf\b|-\d|  ", text), text


def test_a_specific_spot_says_how_it_stands_among_its_draws(maker: RunMaker, tmp_path: Path):
    few, enough = (
        sentences(maker.with_(behaviour=BEHAVIOURS["specific"], seeds=seeds), tmp_path / str(seeds))[0]
        for seeds in (3, 19)
    )
    assert few.endswith("But 3 matched draws can't show that at 5%, which takes 19.")
    assert enough.endswith("the spot stands outside the spread of 19 matched draws (p = 0.05).")


def test_what_code_stands_for_is_said_first_where_another_ability_is_sought(maker: RunMaker, tmp_path: Path):
    first, *others = sentences(maker.with_(target=("english", "go")), tmp_path / "another")
    assert first == "Code stands for English and Go here, the ability that is sought; all else is general text."
    assert tuple(others) == sentences(maker, tmp_path / "code")


def test_a_run_stopped_before_its_tasks_says_that_they_are_still_to_be_asked(maker: RunMaker, tmp_path: Path):
    folder = maker.write(tmp_path)
    (folder / "results.parquet").unlink()
    losses = pd.read_parquet(folder / "losses.parquet")
    (folder / "losses.parquet").unlink()
    (folder / "losses").mkdir()
    for cell, rows in losses.groupby("cell"):
        rows.to_parquet(folder / "losses" / f"{cell}.parquet", index=False)
    run = read_run(folder)
    summary = summarise(run)
    cells = len(run.plan.cells)
    first, second, *_ = headline(summary, judge_all(summary, run.density))
    assert first == (
        f"Perplexity alone is known of {cells} of {cells} cells so far: their tasks haven't been asked yet."
    )
    assert second.startswith("Of spot paper perplexity alone is known (its tasks haven't been asked yet): at ")


def test_the_numbers_of_a_sentence_are_those_of_its_cell(maker: RunMaker, tmp_path: Path):
    run = read_run(maker.with_(behaviour=BEHAVIOURS["specific"]).write(tmp_path))
    summary = summarise(run)
    finding = judge_all(summary, run.density)[0]
    text = sentence(summary, finding)
    assert f"{summary.original.metrics.code:.2f}" in text
    assert f"the top {finding.cell.cell.k_percent:g}% of all weights" in text
    assert f"to {finding.cell.metrics.code:.2f} while" in text


def test_the_second_sentence_is_on_the_spot_in_the_blocks_that_has_controls(maker: RunMaker, tmp_path: Path):
    spots = (*maker.spots, ("learned", "learned", "blocks", (0.25, 1.0)))
    several = maker.with_(behaviour=BEHAVIOURS["specific"], spots=spots)
    first = sentences(several, tmp_path / "first")[1]
    assert first.startswith("With English subtracted inside the transformer blocks")
    controlled = sentences(several.with_(controlled_spots=("paper", "learned")), tmp_path / "controlled")[1]
    assert controlled.startswith("By a learned mask inside the transformer blocks")
    assert "as many random weights of the same tensors leave pass@1 at" in controlled


def test_a_specific_spot_that_leaves_another_out_shows_that_it_is_not_the_only_place(maker: RunMaker, tmp_path: Path):
    spots = (("first", "sum", "blocks", (0.25, 1.0)), ("second", "sum", "blocks", (0.25, 1.0)))
    run = read_run(
        maker.with_(behaviour=BEHAVIOURS["specific"], spots=spots, without={"second": ("first",)}).write(tmp_path)
    )
    summary = summarise(run)
    first, second = (sentence(summary, finding) for finding in judge_all(summary, run.density))
    assert "not the only place" not in first
    assert ", the weights of first left out, inside the transformer blocks alone, zeroing" in second
    assert second.endswith(" So first is not the only place.")


def test_a_learned_spot_is_not_called_the_place_of_code(maker: RunMaker, tmp_path: Path):
    spots = (("mask", "learned", "blocks", (0.25, 1.0)),)
    told = sentences(maker.with_(behaviour=BEHAVIOURS["specific"], spots=spots), tmp_path)
    assert "doesn't show that code lies there" in told[0]


def test_a_spot_alone_is_followed_by_its_controls(maker: RunMaker, tmp_path: Path):
    alone = maker.with_(spots=(("paper", "sum", "all", (0.01, 0.25)),))
    told = sentences(alone, tmp_path)
    assert "As many random weights leave pass@1 on Python problems at" in told[1]
    assert "3 draws" in told[1]


def test_a_run_without_controls_says_that_nothing_rules_out_other_weights(maker: RunMaker, tmp_path: Path):
    run = read_run(maker.with_(controls=(), spots=(("paper", "sum", "all", (0.25,)),)).write(tmp_path))
    summary = summarise(run)
    assert controls_sentence(summary, judge_all(summary)[0]).startswith("No random control was run")


def test_a_run_that_edits_nothing_says_so(maker: RunMaker, tmp_path: Path):
    assert sentences(maker.with_(spots=(), analysis=False), tmp_path) == (
        "This run edited no spot: it holds the original model alone.",
    )


def test_the_mostly_vocabulary_reservation(maker: RunMaker, tmp_path: Path):
    run = read_run(maker.with_(behaviour=BEHAVIOURS["specific"]).write(tmp_path))
    summary = summarise(run)
    for finding in judge_all(summary, run.density):
        mostly = finding.shares["vocabulary"] >= 0.5
        assert ("lie in the embedding and output head" in sentence(summary, finding)) == mostly
