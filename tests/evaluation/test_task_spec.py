"""What a task's settings may be, and how a study file names them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from codingspot.errors import EvaluationError, StudyError
from codingspot.evaluation.task_spec import TaskSpec
from codingspot.study import parse_study
from codingspot.study.evaluation_section import EvaluationSection

_STUDY = "name: s\nspots: [{{name: a, k_percent: [1]}}]\nevaluation: {{code: [], other: [], general: [{entry}]}}"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"limit": 0}, r"limit is 0 \(Input should be greater than 0\)"),
        ({"subsample": -1}, r"subsample is -1 \(Input should be greater than 0\)"),
        ({"few_shot": -1}, r"few_shot is -1 \(Input should be greater than or equal to 0\)"),
        ({"temperature": -0.1}, r"temperature is -0.1 \(Input should be greater than or equal to 0\)"),
        ({"subsample_seed": -1}, "subsample_seed is -1"),
        ({"temperature": float("nan")}, r"temperature is nan \(Input should be a finite number\)"),
        ({"limit": 5, "subsample": 5}, "can't be combined"),
    ],
)
def test_impossible_settings_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(EvaluationError, match=f"task gsm8k: .*{message}"):
        TaskSpec("gsm8k", **settings)


def test_an_entry_of_a_study_may_have_settings_of_its_own() -> None:
    entry = "{name: gsm8k, data: rows/gsm8k, few_shot: 8, subsample: 100, metric: exact_match}"
    study = parse_study(_STUDY.format(entry=f"winogrande, {entry}"), "s")
    assert study.evaluation.tasks() == [
        ("general", TaskSpec("winogrande")),
        ("general", TaskSpec("gsm8k", data=Path("rows/gsm8k"), few_shot=8, subsample=100, metric="exact_match")),
    ]
    assert parse_study(study.to_yaml(), "copy") == study


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("{name: gsm8k, fewshot: 8}", r"evaluation.general.0.fewshot: there is no such setting; did you mean few_shot"),
        ("{data: rows}", r"evaluation.general.0.task.name: is missing"),
        ("gsm8k, {name: gsm8k, few_shot: 0}", "task gsm8k is named twice"),
    ],
)
def test_a_wrong_entry_is_one_line_that_names_it(entry: str, message: str) -> None:
    with pytest.raises(StudyError, match=message) as caught:
        parse_study(_STUDY.format(entry=entry), "s")
    assert "\n" not in str(caught.value)


def test_limits_and_sampling_of_the_section_are_for_tasks_without_their_own() -> None:
    section = EvaluationSection(
        code=("humaneval", TaskSpec("mbpp", samples=4, limit=7)),
        general=("gsm8k", TaskSpec("mmlu", subsample=9)),
        other=(),
        limit=3,
        code_limit=2,
        samples=10,
        temperature=0.8,
    )
    assert [(role, spec.name, spec.limit, spec.samples, spec.temperature) for role, spec in section.tasks()] == [
        ("code", "humaneval", 2, 10, 0.8),
        ("code", "mbpp", 7, 4, 0.8),
        ("general", "gsm8k", 3, None, None),
        ("general", "mmlu", None, None, None),
    ]
