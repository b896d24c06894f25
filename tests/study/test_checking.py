"""What can't be done with a study's inputs is one line that names it, before the model is first run."""

from pathlib import Path

import pytest
import yaml
from transformers import PreTrainedModel

from codingspot.errors import CodingSpotError, StudyError
from codingspot.estimation import estimate
from codingspot.sandbox import available
from codingspot.study import Study, parse_study, run_study
from codingspot.study.checking import check_study
from codingspot.study.inputs import load_inputs

pytestmark = pytest.mark.skipif(available() is None, reason="no sandbox works on this machine")


def changed(study: Study, changes: str) -> Study:
    """The study with some of its sections given anew."""
    settings = {**yaml.safe_load(study.to_yaml()), **yaml.safe_load(changes)}
    return parse_study(yaml.safe_dump(settings), "s.yaml")


@pytest.fixture
def small_study(small_study: Study) -> Study:
    """Of the shipped model: views know where its parallel texts are."""
    return changed(small_study, "model: {id: testbed}")


@pytest.fixture
def no_forward_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("the model was run")

    monkeypatch.setattr(PreTrainedModel, "__call__", refuse)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ("spots: [{name: s, scope: norms, k_percent: [1]}]", "spot s: k = 1% asks for .* scope 'norms' has"),
        (
            "spots: [{name: a, scope: mlp, k_percent: [40]}, {name: s, scope: mlp, without: [a], k_percent: [40]}]",
            "spot s: k = 40% asks for .* beside the .* of the spots left out, and scope 'mlp' has",
        ),
        ("spots: [{name: s, k_percent: [60], controls: [matched]}]", "spot s: its largest k, 60%, leaves fewer"),
        ("language_matrix: {scope: norms, k_percent: 5}", "language_matrix: k = 5% asks for"),
        ("language_matrix: {languages: [cobol]}", "language_matrix: 'cobol' is not scored; languages may be go"),
        ("language_matrix: {tasks: [no_such_task]}", "there is no task 'no_such_task'"),
        ("views: {neurons: {tasks: [no_such_task]}}", "there is no task 'no_such_task'"),
        ("views: {align: {parallel: nowhere.jsonl}}", r"nowhere\.jsonl"),
        ("views: {lens: {languages: [cobol, go]}}", "the testbed has no cobol"),
        ("spots: [{name: s, k_percent: [1], parameters: {languages: [cobol]}}]", "spot s: 'cobol' is not scored"),
        ("spots: [{name: s, k_percent: [1], recipe: consensus, parameters: {at_least: 9}}]", "at_least is 9"),
        ("spots: [{name: s, k_percent: [1], controls: [shuffled_labels]}]", "spot s: shuffled_labels needs"),
    ],
)
def test_what_the_inputs_don_t_allow_is_one_line(
    small_study: Study, changes: str, named: str, no_forward_pass: None
) -> None:
    study = changed(small_study, changes)
    inputs = load_inputs(changed(small_study, "evaluation: {code: [], general: [testbed_events], limit: 1}"), str)
    with pytest.raises(CodingSpotError, match=named) as caught:
        check_study(study, inputs)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("evaluation", "named"),
    [
        (
            "code: [{name: testbed_humaneval, max_new_tokens: 1024}]",
            "task testbed_humaneval: generates up to 1024 tokens .* set",
        ),
        ("code: [{name: testbed_humaneval, max_new_tokens: 511}]", "humaneval: even its shortest prompt .* or max_new"),
        ("general: [{name: testbed_events, few_shot: 1000000}]", "testbed_events: few_shot is 1,000,000, and it has"),
        ("general: [{name: testbed_events, metric: bleu}]", "task testbed_events has no outcome .* named 'bleu'"),
        ("general: [{name: testbed_events, filter: strict}]", "task testbed_events has no filter 'strict'"),
        (
            "code: [{name: testbed_humaneval, filter: x, max_new_tokens: 600}]",
            "task testbed_humaneval: generates up to 600",
        ),
    ],
)
def test_a_task_that_can_t_be_evaluated_is_named_before_any_is(
    small_study: Study, tmp_path: Path, evaluation: str, named: str, no_forward_pass: None
) -> None:
    section = "{limit: 1, code_limit: 1, code: [], general: [], other: []}"
    settings = {**yaml.safe_load(section), **yaml.safe_load(f"{{{evaluation}}}")}
    study = changed(small_study, yaml.safe_dump({"evaluation": settings}))
    with pytest.raises(CodingSpotError, match=named) as caught:
        run_study(study, tmp_path / "run")
    assert "\n" not in str(caught.value)


def test_an_estimate_refuses_a_spot_larger_than_its_scope(small_study: Study) -> None:
    with pytest.raises(StudyError, match="scope 'norms' has"):
        estimate(changed(small_study, "spots: [{name: s, scope: norms, k_percent: [1]}]"))
