"""The verdict on a spot, on runs whose effects are known by construction."""

from collections.abc import Callable
from pathlib import Path

import pytest
from synthetic_runs import BEHAVIOURS, Effect, RunMaker

from codingspot.report.run_files import read_run
from codingspot.report.specificity import Finding, Verdict, judge_all, selectivity, selectivity_interval
from codingspot.report.summary import RunSummary, summarise
from codingspot.report.words import headline, sentence
from codingspot.study.cells import Cell


def judged(maker: RunMaker, folder: Path) -> tuple[RunSummary, dict[str, Finding]]:
    run = read_run(maker.write(folder))
    summary = summarise(run)
    return summary, {finding.spot: finding for finding in judge_all(summary, run.density)}


@pytest.mark.parametrize(
    ("behaviour", "verdict"),
    [
        ("nothing", Verdict.NO_EFFECT),
        ("collapse", Verdict.NOT_SPECIFIC),
        ("specific", Verdict.SPECIFIC),
        ("controls_equal", Verdict.NO_MORE_THAN_CONTROLS),
        ("general_only", Verdict.GENERAL),
    ],
)
def test_a_controlled_spot_gets_the_verdict_its_effect_deserves(
    behaviour: str, verdict: Verdict, maker: RunMaker, tmp_path: Path
):
    _, findings = judged(maker.with_(behaviour=BEHAVIOURS[behaviour]), tmp_path)
    assert findings["paper"].verdict is verdict


def test_a_spot_without_matched_controls_is_never_called_specific_without_reservation(maker: RunMaker, tmp_path: Path):
    _, findings = judged(maker.with_(behaviour=BEHAVIOURS["specific"], controls=("uniform",)), tmp_path)
    assert {finding.verdict for finding in findings.values()} == {Verdict.UNCONTROLLED}


def test_general_perplexity_more_than_doubled_forbids_specific(maker: RunMaker, tmp_path: Path):
    def loud(cell: Cell) -> Effect:
        return Effect() if cell.control or cell.spot is None else Effect(0.0, 1.0, 50.0, 2.1)

    _, findings = judged(maker.with_(behaviour=loud), tmp_path)
    assert findings["paper"].verdict is Verdict.NOT_SPECIFIC
    assert findings["paper"].kept is None


def test_an_original_model_at_chance_has_nothing_to_lose(maker: RunMaker, tmp_path: Path):
    _, findings = judged(maker.with_(accuracy=0.0), tmp_path)
    assert findings["paper"].verdict is Verdict.UNDEFINED


def test_the_dose_judged_leaves_the_least_code_among_those_that_keep_general_ability(maker: RunMaker, tmp_path: Path):
    def turning(cell: Cell) -> Effect:
        if cell.control or cell.spot is None:
            return Effect()
        return Effect(0.3, 0.99, 3.0, 1.0) if cell.k_percent <= 0.25 else Effect(0.0, 0.2, 90.0, 90.0)

    _, findings = judged(maker.with_(behaviour=turning), tmp_path)
    finding = findings["paper"]
    assert finding.verdict is Verdict.SPECIFIC
    assert finding.cell.cell.k_percent == 0.0025  # of equal ones the smallest dose
    assert finding.kept is finding.cell
    assert [control.cell.k_percent for control in finding.matched] == [0.0025] * 3


def _with_draws(maker: RunMaker, behaviour: Callable[[Cell], Effect], further: int) -> RunMaker:
    one_spot = (("paper", "sum", "all", (0.25, 1.0)),)
    return maker.with_(behaviour=behaviour, controls=("matched",), spots=one_spot, judged=0.25, further=further)


def _selective(cell: Cell) -> Effect:
    """A spot that takes code, most of it at the largest dose; its draws take a part by tasks none, by losses some."""
    if cell.spot is None:
        return Effect()
    if cell.control:
        return Effect(code_perplexity=1.0 + 0.1 * (cell.seed or 0))
    return Effect(0.2, 0.99, 20.0, 1.02) if cell.k_percent < 1 else Effect(0.0, 0.99, 50.0, 1.02)


def test_a_spot_outside_the_spread_of_nineteen_draws_is_specific_at_the_dose_named(maker: RunMaker, tmp_path: Path):
    _, findings = judged(_with_draws(maker, _selective, 16), tmp_path)
    finding = findings["paper"]
    assert finding.verdict is Verdict.SPECIFIC
    assert finding.cell.cell.k_percent == 0.25
    assert finding.standing is not None
    assert (len(finding.standing.draws), finding.standing.p_value) == (19, 0.05)


def test_a_draw_that_does_as_much_by_losses_alone_forbids_specific(maker: RunMaker, tmp_path: Path):
    def one_as_much(cell: Cell) -> Effect:
        return Effect(code_perplexity=90.0) if cell.purpose == "draw" and cell.seed == 7 else _selective(cell)

    _, findings = judged(_with_draws(maker, one_as_much, 16), tmp_path)
    finding = findings["paper"]
    assert finding.verdict is Verdict.NO_MORE_THAN_CONTROLS
    assert finding.standing is not None
    assert finding.standing.p_value == 0.1
    assert len(finding.matched) == 3  # those asked the tasks, which none surpasses


def test_fewer_draws_than_the_level_needs_leave_the_rule_on_tasks(maker: RunMaker, tmp_path: Path):
    def one_as_much(cell: Cell) -> Effect:
        return Effect(code_perplexity=90.0) if cell.purpose == "draw" and cell.seed == 7 else _selective(cell)

    summary, findings = judged(_with_draws(maker, one_as_much, 15), tmp_path)
    finding = findings["paper"]
    assert finding.verdict is Verdict.SPECIFIC
    assert finding.standing is not None
    assert not finding.standing.can_reach_level
    assert "But 18 matched draws can't show that at 5%, which takes 19." in sentence(summary, finding)


def test_without_a_dose_named_spot_and_draws_are_compared_each_at_its_best(maker: RunMaker, tmp_path: Path):
    def elsewhere(cell: Cell) -> Effect:
        if cell.control and cell.seed == 5 and cell.k_percent == 1:
            return Effect(code_perplexity=60.0)
        return _selective(cell)

    many = _with_draws(maker, elsewhere, 0).with_(judged=None, seeds=19)
    _, findings = judged(many, tmp_path)
    finding = findings["paper"]
    assert finding.cell.cell.k_percent == 1.0
    assert finding.standing is not None
    assert finding.standing.p_value == 0.1
    assert finding.verdict is Verdict.NO_MORE_THAN_CONTROLS


@pytest.mark.parametrize(
    ("spot", "draws", "further", "verdict", "said"),
    [
        (Effect(1.0, 1.0, 2.9, 1.02), Effect(1.0, 1.0, 1.1), 16, Verdict.BY_LOSSES, "specific to code, as far"),
        (Effect(1.0, 1.0, 2.9, 1.02), Effect(1.0, 1.0, 3.0), 16, Verdict.NO_MORE_THAN_CONTROLS, "do as much"),
        (Effect(1.0, 1.0, 2.9, 1.02), Effect(1.0, 1.0, 1.1), 15, Verdict.UNDEFINED, "which takes 19."),
        (Effect(1.0, 1.0, 2.9, 2.1), Effect(1.0, 1.0, 1.1), 16, Verdict.NOT_SPECIFIC, "not specific to code."),
        (Effect(1.0, 1.0, 1.02, 1.0), Effect(1.0, 1.0, 1.0), 16, Verdict.NO_EFFECT, "Code is unharmed."),
    ],
)
def test_without_tasks_losses_decide(
    spot: Effect, draws: Effect, further: int, verdict: Verdict, said: str, maker: RunMaker, tmp_path: Path
):
    def behaviour(cell: Cell) -> Effect:
        return Effect() if cell.spot is None else draws if cell.control else spot

    summary, findings = judged(_with_draws(maker, behaviour, further).with_(tasks=()), tmp_path)
    finding = findings["paper"]
    assert finding.verdict is verdict
    assert headline(summary, tuple(findings.values())) == (sentence(summary, finding),)
    assert sentence(summary, finding).startswith("Of spot paper perplexity alone is known (the study names no task)")
    assert said in sentence(summary, finding)


def test_shares_of_a_spot_add_up(maker: RunMaker, tmp_path: Path):
    _, findings = judged(maker, tmp_path)
    shares = findings["contrast"].shares
    assert shares["vocabulary"] + shares["norms"] + shares["blocks"] == pytest.approx(1.0)
    assert findings["contrast-blocks"].shares["vocabulary"] == 0.0


def test_selectivity_interval_by_hand(maker: RunMaker, tmp_path: Path):
    summary, _ = judged(maker, tmp_path)
    cell = next(c for c in summary.cells if c.cell.name == "contrast-k0.25")
    code, general = cell.intervals.code_retention, cell.intervals.general_retention
    r_code, r_general = cell.metrics.code_retention, cell.metrics.general_retention
    assert code is not None
    assert general is not None
    assert r_code is not None
    assert r_general is not None
    below = ((r_general - general.low) ** 2 + (code.high - r_code) ** 2) ** 0.5
    above = ((general.high - r_general) ** 2 + (r_code - code.low) ** 2) ** 0.5
    assert selectivity(cell) == pytest.approx(r_general - r_code)
    found = selectivity_interval(cell)
    assert found is not None
    assert (found.low, found.high) == pytest.approx((r_general - r_code - below, r_general - r_code + above))
