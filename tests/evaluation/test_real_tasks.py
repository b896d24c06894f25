"""The real benchmarks' rows through the harness's own tasks: what is asked, how many items, what counts as right."""

from __future__ import annotations

import gzip
import json
import logging
from pathlib import Path
from typing import Any

import pytest
from datasets import Dataset, DatasetDict
from lm_eval.tasks import TaskManager
from transformers import PreTrainedTokenizerFast

from codingspot.errors import EvaluationError
from codingspot.evaluation.generation import Completion
from codingspot.evaluation.programs import Judge
from codingspot.evaluation.tasks import EvaluationTask, TaskSpec, load_tasks
from codingspot.sandbox import Sandbox

SHARED = Path(__file__).resolve().parents[2] / "../shared/data"

FOLDERS = {
    "humaneval": "humaneval",
    "humaneval_instruct": "humaneval",
    "gsm8k": "gsm8k",
    "hellaswag": "hellaswag",
    "truthfulqa_mc1": "truthfulqa",
    "truthfulqa_mc2": "truthfulqa",
    "winogrande": "winogrande",
    "mbpp": "mbpp",
}

_TURNS = (
    "{% for turn in messages %}<{{ turn.role }}>{{ turn.content }}{% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}"
)


def real(name: str, **settings: Any) -> EvaluationTask:
    """A task over the real rows."""
    folder = SHARED / FOLDERS.get(name, name.split("_")[0])
    if not folder.is_dir():
        pytest.skip(f"the rows of {name} are not in ../shared/data")
    return load_tasks([TaskSpec(name, data=folder, **settings)])[0]


def rows_of(file: str) -> list[dict[str, Any]]:
    with gzip.open(SHARED / file, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


@pytest.mark.parametrize(
    ("name", "items", "requests", "chance"),
    [
        ("humaneval", 164, 164, 0.0),
        ("humaneval_instruct", 164, 164, 0.0),
        ("gsm8k", 1319, 1319, 0.0),
        ("hellaswag", 1000, 4000, 0.25),
        ("truthfulqa_mc2", 817, None, 0.46),
        ("winogrande", 1267, 2534, 0.5),
        ("mbpp", 500, 500, 0.0),
    ],
)
def test_every_item_is_asked(name: str, items: int, requests: int | None, chance: float) -> None:
    task = real(name, few_shot=0)
    assert (task.items, task.available) == (items, items)
    assert len(task.requests) == requests or requests is None
    assert task.chance == pytest.approx(chance, abs=0.005)


def test_truthfulqa_has_a_request_for_every_choice() -> None:
    first, second = real("truthfulqa_mc1"), real("truthfulqa_mc2")
    rows = rows_of("truthfulqa/validation.jsonl.gz")
    assert len(first.requests) == sum(len(row["mc1_targets"]["choices"]) for row in rows)
    assert len(second.requests) == sum(len(row["mc2_targets"]["choices"]) for row in rows)
    assert first.chance == pytest.approx(sum(1 / len(row["mc1_targets"]["choices"]) for row in rows) / 817)


def test_all_of_mmlu_is_found_by_its_groups_and_tags() -> None:
    task = real("mmlu", subsample=1)
    assert (task.items, task.available, len(task.requests)) == (1, 14042, 4)


def test_a_single_subject_of_mmlu_gets_its_own_rows() -> None:
    task = real("mmlu_astronomy", few_shot=2)
    rows = [row for row in rows_of("mmlu/test.jsonl.gz") if row["subject"] == "astronomy"]
    examples = [row for row in rows_of("mmlu/dev.jsonl.gz") if row["subject"] == "astronomy"]
    assert task.items == len(rows)
    context = task.requests[0].args[0]
    assert context.endswith(f"D. {rows[0]['choices'][3]}\nAnswer:")
    assert all(example["question"].strip() in context for example in examples[:2])


@pytest.mark.parametrize(
    ("name", "few_shot"),
    [("gsm8k", 8), ("hellaswag", 0), ("truthfulqa_mc2", 0), ("winogrande", 0), ("mmlu_virology", 5)],
)
def test_prompts_equal_those_the_harness_builds(name: str, few_shot: int) -> None:
    ours = real(name, few_shot=few_shot, limit=20)
    files = (SHARED / FOLDERS.get(name, "mmlu")).glob("*.jsonl.gz")
    splits = {file.name.split(".")[0]: rows_of(str(file.relative_to(SHARED))) for file in files}
    if name.startswith("mmlu"):
        splits = {split: [row for row in rows if row["subject"] == "virology"] for split, rows in splits.items()}
    splits.setdefault("train", splits[next(iter(splits))])  # the harness opens it even where no example is shown
    data = DatasetDict({split: Dataset.from_list(rows) for split, rows in splits.items()})
    family = Path(load_tasks.__globals__["TaskLibrary"]()._manager_with(name).task_index[name].yaml_path).parent
    logging.getLogger("lm_eval").setLevel(logging.ERROR)
    manager = TaskManager(include_path=family, include_defaults=False)
    changes = {"num_fewshot": few_shot, "custom_dataset": lambda **_: data}
    (theirs,) = manager.load({"group": "g", "task": [{"task": name, **changes}]})["tasks"].values()
    theirs.set_fewshot_seed(1234)
    theirs.build_all_requests(limit=20)
    assert [request.args for request in ours.requests] == [request.args for request in theirs.instances]


def test_humaneval_is_asked_as_its_yaml_file_says() -> None:
    rows = rows_of("humaneval/test.jsonl.gz") if SHARED.is_dir() else []
    plain = real("humaneval").requests[0].args
    assert plain[0] == rows[0]["prompt"]
    assert plain[1]["until"] == ["\nclass", "\ndef", "\n#", "\nif", "\nprint"]
    assert plain[1]["max_gen_toks"] == 1024
    context, settings = real("humaneval_instruct").requests[0].args
    prompt = rows[0]["prompt"]
    assert context == (
        "Write a solution to the following problem and make sure that it passes the tests:\n"
        f"```python\n{prompt}\n```\nHere is the completed function:\n```python\n{prompt}\n"
    )
    assert settings["until"][-1] == "```"


def test_mbpp_shows_the_harnesses_examples_and_the_published_test_split() -> None:
    task = real("mbpp")
    context, settings = task.requests[0].args
    asked = {row["task_id"]: row for row in rows_of("mbpp/all.jsonl.gz")}[11]
    tests = "\n".join(asked["test_list"])
    assert context.endswith(
        f"[DONE]\n\nYou are an expert Python programmer, and here is your task: {asked['text']} "
        f"Your code should pass these tests:\n\n{tests}\n[BEGIN]\n"
    )
    assert context.count("[BEGIN]") == 4
    assert "def similar_elements(test_tup1, test_tup2):\r\n" in context
    assert settings["until"] == ["[DONE]"]


@pytest.fixture(scope="module")
def judge() -> Any:
    try:
        sandbox = Sandbox()
    except Exception as error:
        pytest.skip(f"no sandbox on this machine: {error}")
    with sandbox:
        yield Judge(sandbox)


def test_mbpps_own_solutions_pass_and_the_next_problems_fail(judge: Judge) -> None:
    task = real("mbpp", limit=25)
    solutions = [row["code"] for row in rows_of("mbpp/all.jsonl.gz") if 11 <= row["task_id"] <= 36]
    right = task.outcomes([Completion(solution) for solution in solutions[:-1]], judge)
    wrong = task.outcomes([Completion(solution) for solution in solutions[1:]], judge)
    assert [outcome.outcome for outcome in right] == [1.0] * 25
    assert [outcome.outcome for outcome in wrong] == [0.0] * 25


def test_an_instruction_tuned_answer_ends_with_its_block(judge: Judge) -> None:
    task = real("humaneval_instruct", limit=2)
    rows = rows_of("humaneval/test.jsonl.gz")
    answers = [Completion(f"{row['canonical_solution']}```\nThis returns (a tuple") for row in rows[:2]]
    assert [outcome.outcome for outcome in task.outcomes(answers, judge)] == [1.0, 1.0]


def test_answers_to_real_questions_are_scored_by_the_harness() -> None:
    rows = rows_of("gsm8k/test.jsonl.gz") if SHARED.is_dir() else []
    task = real("gsm8k", limit=3, few_shot=0)
    answers = [Completion(rows[0]["answer"]), Completion("#### 12345"), Completion(rows[2]["answer"].split("####")[1])]
    assert [found.outcome for found in task.outcomes(answers)] == [1.0, 0.0, 0.0]
    loose = real("gsm8k", limit=3, few_shot=0, filter="flexible-extract")
    assert [found.outcome for found in loose.outcomes(answers)] == [1.0, 0.0, 1.0]


def test_truthfulqa_mc2_is_the_share_of_probability_on_true_answers() -> None:
    task = real("truthfulqa_mc2", limit=1)
    labels = rows_of("truthfulqa/validation.jsonl.gz")[0]["mc2_targets"]["labels"]
    equal = [(-5.0, False)] * len(labels)
    (found,) = task.outcomes(equal)
    assert found.outcome == pytest.approx(sum(labels) / len(labels))


def test_a_subsample_is_drawn_by_subject_and_keeps_its_items_numbers() -> None:
    task = real("mmlu_stem", subsample=40, few_shot=0)
    again = real("mmlu_stem", subsample=40, few_shot=0)
    other = real("mmlu_stem", subsample=40, few_shot=0, subsample_seed=1)
    assert [r.args for r in task.requests] == [r.args for r in again.requests]
    assert [r.args for r in task.requests] != [r.args for r in other.requests]
    assert (task.items, task.available) == (40, 3153)
    drawn = [request.doc["subject"] for request in task.requests[::4]]
    sizes = {subject: drawn.count(subject) for subject in drawn}
    assert max(sizes.values()) <= 5  # the largest subject has 378 of the 3,153 items: 4.8
    outcomes = task.outcomes([(0.0, False)] * len(task.requests))
    subjects = {str(subject) for part in task._parts for subject in part.strata()}
    whole = [row for row in rows_of("mmlu/test.jsonl.gz") if row["subject"] in subjects]
    by_subject = sorted(whole, key=lambda row: row["subject"])
    asked = [request.doc["question"] for request in task.requests[::4]]
    assert [by_subject[outcome.item]["question"] for outcome in outcomes] == asked
    assert task.protocol == "0-shot, acc, 40 of 3,153 items drawn by subject (seed 0)"


def test_a_chat_template_makes_turns_of_examples(tokenizer: PreTrainedTokenizerFast) -> None:
    if not (SHARED / "gsm8k").is_dir():
        pytest.skip("the rows of gsm8k are not in ../shared/data")
    spec = TaskSpec("gsm8k", data=SHARED / "gsm8k", few_shot=2, limit=1, chat_template=True)
    with pytest.raises(EvaluationError, match="no chat template"):
        load_tasks([spec], tokenizer=tokenizer)
    tokenizer.chat_template = _TURNS
    try:
        context = load_tasks([spec], tokenizer=tokenizer)[0].requests[0].args[0]
    finally:
        tokenizer.chat_template = None
    assert context.count("<user>Question:") == 3
    assert context.count("<assistant>") == 3
    assert context.endswith("Answer:<assistant>")
