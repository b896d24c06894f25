"""The testbed's tasks over a few items: what is asked, and what counts as right."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from codingspot.corpus.worlds import WORLDS
from codingspot.errors import EvaluationError
from codingspot.evaluation.generation import Completion
from codingspot.evaluation.harness import TaskLibrary
from codingspot.evaluation.items import ITEMS, item_of, items_table
from codingspot.evaluation.programs import Judge
from codingspot.evaluation.results import NON_FINITE
from codingspot.evaluation.tasks import EvaluationTask, TaskSpec, load_tasks
from codingspot.sandbox import Outcome, Program, Verdict

SHIPPED_TASKS = WORLDS.traits("testbed").tasks

_ITEMS: dict[str, list[dict[str, Any]]] = {
    "arithmetic": [
        {"question": "Ana has 3 apples and gets 9.", "answer": "3 + 9 = 12\n#### 12"},
        {"question": "Ben has 1,000 pens and gives 1.", "answer": "1,000 - 1 = 999\n#### 999"},
    ],
    "events": [{"context": "She takes a pen.", "endings": ["She writes.", "He eats."], "label": 0}],
    "knowledge": [
        {"subject": "animals", "question": "What has wings?", "choices": ["a bird", "a dog"], "label": 0},
        {"subject": "animals", "question": "What barks?", "choices": ["a bird", "a dog", "a fish"], "label": 1},
    ],
    "misconceptions": [{"question": "Is it so?", "choices": ["Yes.", "No.", "Perhaps."], "label": 1}],
    "roles": [
        {"sentence": "Zoe hid it from Tom, so _ kept it.", "option1": "Tom", "option2": "Zoe", "answer": "2"},
        {"sentence": "The cup hit the jar and the _ broke.", "option1": "cup", "option2": "jar", "answer": "1"},
    ],
    "comprehension": [{"prompt": "def f(x):\n    return x + 1\n\n>>> f(1)", "choices": ["1", "2"], "label": 1}],
    "humaneval": [
        {
            "task_id": "T/0",
            "prompt": "def f(x):",
            "entry_point": "f",
            "canonical_solution": "\n    return x\n",
            "test": "def check(candidate):\n    assert candidate(1) == 1\n",
        },
        {
            "task_id": "T/1",
            "prompt": "def g(x):",
            "entry_point": "g",
            "canonical_solution": "\n    return 2\n",
            "test": "def check(candidate):\n    assert candidate(1) == 2\n",
        },
    ],
}
_ITEMS["humaneval_bash"] = [{**_ITEMS["humaneval"][0], "prompt": "f() {", "canonical_solution": "\n    :\n}\n"}]


_WINGS = "Question: What has wings?\nChoices: a bird, a dog\nAnswer:"
_BARKS = "Question: What barks?\nChoices: a bird, a dog, a fish\nAnswer:"
_IS_IT_SO = "Question: Is it so?\n- Yes.\n- No.\n- Perhaps.\nAnswer:"


class _FakeSandbox:
    """Programs whose completion says "right" pass; it counts what it runs."""

    def __init__(self) -> None:
        self.ran: list[Program] = []

    def run(self, programs: Sequence[Program]) -> list[Outcome]:
        self.ran += programs
        return [
            Outcome(Verdict.PASSED if "right" in (program.completion or "") else Verdict.WRONG_ANSWER)
            for program in programs
        ]


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> TaskLibrary:
    folder = tmp_path_factory.mktemp("tasks")
    for name, rows in _ITEMS.items():
        shutil.copy(SHIPPED_TASKS / f"testbed_{name}.yaml", folder)
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return TaskLibrary([folder])


def _load(library: TaskLibrary, name: str, **settings: Any) -> EvaluationTask:
    return load_tasks([TaskSpec(f"testbed_{name}", **settings)], library)[0]


def _judge() -> tuple[Judge, _FakeSandbox]:
    sandbox = _FakeSandbox()
    return Judge(sandbox), sandbox  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "asked"),
    [
        ("events", [("She takes a pen.", " She writes."), ("She takes a pen.", " He eats.")]),
        (
            "knowledge",
            [(_WINGS, " a bird"), (_WINGS, " a dog"), (_BARKS, " a bird"), (_BARKS, " a dog"), (_BARKS, " a fish")],
        ),
        ("misconceptions", [(_IS_IT_SO, " Yes."), (_IS_IT_SO, " No."), (_IS_IT_SO, " Perhaps.")]),
        (
            "roles",
            [
                ("Zoe hid it from Tom, so Tom", " kept it."),
                ("Zoe hid it from Tom, so Zoe", " kept it."),
                ("The cup hit the jar and the cup", " broke."),
                ("The cup hit the jar and the jar", " broke."),
            ],
        ),
        (
            "comprehension",
            [("def f(x):\n    return x + 1\n\n>>> f(1)", "\n1"), ("def f(x):\n    return x + 1\n\n>>> f(1)", "\n2")],
        ),
    ],
)
def test_choices_are_asked_as_the_training_text_writes_them(
    library: TaskLibrary, name: str, asked: list[tuple[str, str]]
) -> None:
    task = _load(library, name)
    assert [request.args for request in task.requests] == asked
    assert all(request.request_type == "loglikelihood" for request in task.requests)


def test_generated_answers_are_asked_with_stop_strings(library: TaskLibrary) -> None:
    request = _load(library, "arithmetic").requests[0]
    assert request.args[0] == "Question: Ana has 3 apples and gets 9.\nAnswer:"
    assert request.args[1]["until"] == ["\nQuestion:", "\n\n"]
    request = _load(library, "humaneval").requests[0]
    assert request.args[0] == "def f(x):"
    assert "\ndef" in request.args[1]["until"]


def test_items_are_kept_for_people_without_solved_examples(library: TaskLibrary, tmp_path: Path) -> None:
    tasks = [_load(library, "knowledge", few_shot=1), _load(library, "roles"), _load(library, "arithmetic")]
    ITEMS.write(tmp_path / "items.parquet", items_table(tasks))
    found = ITEMS.read(tmp_path / "items.parquet")
    assert [(row.task, row.item, row.prompt, list(row.choices), row.target) for row in found.itertuples()] == [
        ("testbed_knowledge", 0, _WINGS, ["a bird", "a dog"], "0"),
        ("testbed_knowledge", 1, _BARKS, ["a bird", "a dog", "a fish"], "1"),
        ("testbed_roles", 0, " kept it.", ["Zoe hid it from Tom, so Tom", "Zoe hid it from Tom, so Zoe"], "1"),
        (
            "testbed_roles",
            1,
            " broke.",
            ["The cup hit the jar and the cup", "The cup hit the jar and the jar"],
            "0",
        ),
        ("testbed_arithmetic", 0, "Question: Ana has 3 apples and gets 9.\nAnswer:", [], "12"),
        ("testbed_arithmetic", 1, "Question: Ben has 1,000 pens and gives 1.\nAnswer:", [], "999"),
    ]


@pytest.mark.parametrize(
    ("given", "prompt", "target"),
    [
        (("Which?", ["a", "b"], "b"), "Which?", "1"),
        (("Which?", ["a", "b"], [1, 0]), "Which?", "1"),
        (("Say.", (), ["one", "two"]), "Say.", "one\ntwo"),
        (("\udce9", (), 4), "\\udce9", "4"),
    ],
)
def test_targets_are_what_a_reader_looks_for(given: tuple[Any, ...], prompt: str, target: str) -> None:
    item = item_of(0, *given)
    assert (item.prompt, item.target) == (prompt, target)


@pytest.mark.parametrize(
    ("name", "chance"),
    [("arithmetic", 0), ("events", 1 / 2), ("knowledge", (1 / 2 + 1 / 3) / 2), ("roles", 1 / 2), ("humaneval", 0)],
)
def test_chance_is_the_mean_share_of_correct_choices(library: TaskLibrary, name: str, chance: float) -> None:
    assert _load(library, name).chance == pytest.approx(chance)


def test_the_likeliest_choice_is_taken(library: TaskLibrary) -> None:
    found = _load(library, "knowledge").outcomes(
        [(-1.0, False), (-2.0, False), (-3.0, False), (-4.0, True), (-2.5, False)]
    )
    assert [(o.item, o.outcome, o.sample, o.verdict) for o in found] == [(0, 1.0, "0", ""), (1, 0.0, "2", "")]


def test_roles_are_resolved_by_the_rest_of_the_sentence(library: TaskLibrary) -> None:
    found = _load(library, "roles").outcomes([(-3.0, False), (-1.0, False), (-3.0, False), (-1.0, False)])
    assert [(o.outcome, o.sample) for o in found] == [(1.0, "1"), (0.0, "1")]


@pytest.mark.parametrize(
    ("text", "outcome"),
    [
        (" 3 + 9 = 12\n#### 12", 1.0),
        (" #### 12.", 1.0),
        (" 3 + 9 = 12", 0.0),
        (" #### 13", 0.0),
        ("", 0.0),
    ],
)
def test_the_number_after_the_mark_decides(library: TaskLibrary, text: str, outcome: float) -> None:
    found = _load(library, "arithmetic", limit=1).outcomes([Completion(text)])
    assert [(o.outcome, o.sample) for o in found] == [(outcome, text)]


def test_a_model_whose_logits_are_not_numbers_is_wrong_even_at_choice_0(library: TaskLibrary) -> None:
    (found,) = _load(library, "events").outcomes([(-math.inf, False), (-math.inf, False)])
    assert (found.outcome, found.sample, found.verdict) == (0.0, "", NON_FINITE)
    (found,) = _load(library, "arithmetic", limit=1).outcomes([Completion(" #### 12", finite=False)])
    assert (found.outcome, found.sample, found.verdict) == (0.0, " #### 12", NON_FINITE)


def test_programs_are_judged_with_their_prompt_and_test(library: TaskLibrary) -> None:
    judge, sandbox = _judge()
    task = _load(library, "humaneval")
    found = task.outcomes([Completion("\n    return right"), Completion("\n    return x")], judge)
    assert [(o.outcome, o.verdict) for o in found] == [(1.0, "passed"), (0.0, "wrong answer")]
    assert sandbox.ran[0] == Program(
        "python",
        "def f(x):\n    return right",
        _ITEMS["humaneval"][0]["test"],
        entry_point="f",
        completion="\n    return right",
    )
    _load(library, "humaneval_bash").outcomes([Completion("\n    right\n}")], judge)
    assert (sandbox.ran[-1].language, sandbox.ran[-1].entry_point) == ("bash", None)


def test_several_samples_give_the_share_that_passed(library: TaskLibrary) -> None:
    judge, _ = _judge()
    task = _load(library, "humaneval", samples=4, temperature=0.8, limit=1)
    assert [request.args[1]["temperature"] for request in task.requests] == [0.8] * 4
    assert all(request.args[1]["do_sample"] for request in task.requests)
    (found,) = task.outcomes([Completion(text) for text in ("right", "a", "b", "c")], judge)
    assert found.outcome == 0.25
    assert (found.sample, found.further_samples) == ("right", ("a", "b", "c"))
    assert (found.verdict, found.further_verdicts) == ("passed", ("wrong answer",) * 3)
    (broken,) = task.outcomes([Completion(text, finite=text != "b") for text in ("right", "a", "b", "c")], judge)
    assert (broken.outcome, broken.verdict, broken.further_verdicts) == (0.0, NON_FINITE, (NON_FINITE,) * 3)


def test_a_broken_model_fails_its_programs(library: TaskLibrary) -> None:
    judge, _ = _judge()
    (found,) = _load(library, "humaneval", limit=1).outcomes([Completion("right", finite=False)], judge)
    assert (found.outcome, found.verdict) == (0.0, NON_FINITE)


def test_outcomes_do_not_depend_on_what_was_evaluated_before(library: TaskLibrary) -> None:
    task = _load(library, "roles")
    first = [(-1.0, False), (-2.0, False), (-1.0, False), (-2.0, False)]
    other = [(-2.0, False), (-1.0, False), (-2.0, False), (-1.0, False)]
    before = task.outcomes(first)
    assert task.outcomes(other) != before
    assert task.outcomes(first) == before


def test_a_limit_takes_the_first_items(library: TaskLibrary) -> None:
    task = _load(library, "knowledge", limit=1)
    assert task.items == 1
    assert len(task.requests) == 2


def test_few_shot_examples_stand_before_the_question(library: TaskLibrary) -> None:
    with_example = _load(library, "knowledge", few_shot=1).requests[0].args[0]
    assert with_example.endswith(_WINGS)
    assert with_example.count("Question:") == 2


def test_what_cannot_be_evaluated_is_refused(library: TaskLibrary) -> None:
    answers = [(-1.0, False), (-2.0, False)]
    with pytest.raises(EvaluationError, match="no outcome between 0 and 1 named 'f1'"):
        _load(library, "events", metric="f1").outcomes(answers)
    with pytest.raises(EvaluationError, match="no filter 'strict'; choose one of none"):
        _load(library, "events", filter="strict").outcomes(answers)
    with pytest.raises(EvaluationError, match="give the evaluation a sandbox"):
        _load(library, "humaneval").outcomes([Completion(""), Completion("")])


@pytest.mark.parametrize("path", sorted(SHIPPED_TASKS.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_shipped_task_has_its_items(path: Path) -> None:
    task = load_tasks([TaskSpec(path.stem, limit=2)])[0]
    assert task.items == 2
    assert 0 <= task.chance <= 0.5


def _truthful(folder: Path, metric: str | None = None) -> EvaluationTask:
    targets = {"choices": ["Yes.", "No.", "Perhaps."], "labels": [1, 0, 1]}
    row = {"question": "Is it so?", "mc1_targets": {"choices": ["Yes.", "No."], "labels": [1, 0]}}
    file = folder / "validation.jsonl"
    file.write_text(json.dumps({**row, "mc2_targets": targets}) + "\n")
    return load_tasks([TaskSpec("truthfulqa_mc2", data=file, metric=metric)])[0]


@pytest.mark.parametrize("level", [0.0, -690.0, -707.0, -744.5, -800.0, -1e5])
def test_the_share_of_probability_is_right_however_unlikely_all_choices_are(level: float, tmp_path: Path) -> None:
    (found,) = _truthful(tmp_path).outcomes([(level - below, False) for below in (0.0, 0.5, 2.0)])
    shares = [math.exp(-below) for below in (0.0, 0.5, 2.0)]
    assert found.outcome == pytest.approx((shares[0] + shares[2]) / sum(shares), abs=1e-9)


@pytest.mark.parametrize("level", [-1.0, -800.0])
def test_a_choice_s_length_counts_however_unlikely_all_choices_are(level: float, tmp_path: Path) -> None:
    """By log-likelihood a byte, a long ending wins over a short one that is a little likelier."""
    endings = ["runs", "runs on and on along the river"]
    row = {"ind": 0, "activity_label": "Running", "ctx_a": "She", "ctx_b": "", "ctx": "She", "endings": endings}
    file = tmp_path / "validation.jsonl"
    file.write_text(json.dumps({**row, "label": "1", "split_type": "indomain"}) + "\n")
    responses = [(level, False), (level - 0.5, False)]
    for metric, outcome in (("acc", 0.0), ("acc_norm", 1.0)):
        (found,) = load_tasks([TaskSpec("hellaswag", data=file, metric=metric)])[0].outcomes(responses)
        assert found.outcome == outcome


def test_a_task_named_twice_is_refused() -> None:
    with pytest.raises(EvaluationError, match="task testbed_events is named twice"):
        load_tasks([TaskSpec("testbed_events"), TaskSpec("testbed_roles"), TaskSpec("testbed_events", limit=2)])
