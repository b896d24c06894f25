"""Problems put to a chat model: what is asked, where a reply ends, and the program it makes."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from transformers import PreTrainedTokenizerFast

from codingspot.evaluation.generation import Completion
from codingspot.evaluation.instructions import code_of, instruction
from codingspot.evaluation.programs import Judge, make_program
from codingspot.evaluation.tasks import EvaluationTask, TaskSpec, load_tasks
from codingspot.sandbox import Sandbox, Verdict, available

SHARED = Path(__file__).resolve().parents[2] / "../shared/data"
TURNS = (
    "{% for turn in messages %}<{{ turn.role }}>{{ turn.content }}{% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}"
)
HEAD = "from typing import List\n\ndef half(x):\n    return x / 2\n\n"
ITEM = {
    "prompt": f'{HEAD}def f(x: int) -> List[int]:\n    """Four of x."""\n',
    "canonical_solution": "    return [x] * 4\n",
    "entry_point": "f",
    "test": "def check(candidate):\n    assert candidate(1) == [1] * 4\n",
}
JAVASCRIPT = {"prompt": "// Doubles.\nfunction twice(x) {", "test": "if (twice(2) !== 4) throw new Error();\n"}


def program(reply: str, item: dict[str, Any] = ITEM, language: str = "python") -> str:
    return make_program(item, reply, language, in_reply=True).source


def test_a_function_is_asked_for_in_a_block() -> None:
    asked = instruction(ITEM, "python")
    assert asked.startswith(
        "Complete the following Python function. Give all of it in one fenced code block.\n\n```python\n"
    )
    assert asked.endswith('"""Four of x."""\n```')
    assert "the following JavaScript function" in instruction(JAVASCRIPT, "javascript")


@pytest.mark.parametrize(
    ("reply", "code"),
    [
        ("Sure:\n```python\nx = 1\n```\nThen\n```python\nx = 2\n```", "x = 1\n"),
        ("```\nx = 1\n", "x = 1\n"),
        ("~~~py\nx = '```'\n~~~", "x = '```'\n"),
        ("x = 1", "x = 1"),
        ("", ""),
    ],
)
def test_the_answer_is_the_first_block_closed_or_not_or_all_of_the_reply(reply: str, code: str) -> None:
    assert code_of(reply) == code


def test_a_function_written_again_keeps_what_stands_before_it_in_the_prompt() -> None:
    again = "def f(x: int) -> List[int]:\n    return [x] * 4\n"
    assert program(f"Here:\n```python\n{again}```") == HEAD + again
    assert program(again) == HEAD + again


def test_a_body_alone_follows_the_prompt() -> None:
    assert program("```python\n    return [x] * 4\n```") == ITEM["prompt"] + "    return [x] * 4\n"
    assert program("    return [x] * 4") == ITEM["prompt"] + "    return [x] * 4"
    assert program("```\n    return 1\n```", {**ITEM, "prompt": "def f(x):"}) == "def f(x):\n    return 1\n"


def test_in_other_languages_a_line_that_is_not_indented_names_the_function() -> None:
    again = "const twice = (x) => 2 * x;\n"
    assert program(f"```js\n{again}```", JAVASCRIPT, "javascript") == "// Doubles.\n" + again
    body = "  return twice.length && 2 * x;\n}\n"
    assert program(f"```js\n{body}```", JAVASCRIPT, "javascript") == f"{JAVASCRIPT['prompt']}\n{body}"
    bash = {"prompt": "# Doubles.\ntwice() {", "test": ""}
    assert program("```bash\ntwice() {\n  echo $(( 2 * $1 ))\n}\n```", bash, "bash").count("twice") == 1


@pytest.fixture
def chat(tokenizer: PreTrainedTokenizerFast) -> Any:
    tokenizer.chat_template = TURNS
    yield tokenizer
    tokenizer.chat_template = None


def asked(name: str, tokenizer: PreTrainedTokenizerFast, **settings: Any) -> EvaluationTask:
    folder = SHARED / name.split("_")[0]
    if not folder.is_dir():
        pytest.skip(f"the rows of {name} are not in ../shared/data")
    return load_tasks([TaskSpec(name, data=folder, **settings)], tokenizer=tokenizer)[0]


def rows_of(file: str) -> list[dict[str, Any]]:
    with gzip.open(SHARED / file, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def test_humaneval_is_an_instruction_under_a_chat_template(chat: PreTrainedTokenizerFast) -> None:
    task = asked("humaneval", chat, chat_template=True, limit=1)
    context, settings = task.requests[0].args
    assert context == f"<user>{instruction(task.requests[0].doc, 'python')}<assistant>"
    assert (settings["until"], settings["one_block"], settings["max_gen_toks"]) == ([], True, 1024)
    assert task.protocol == "0-shot, pass@1 (chat template, greedy, n = 1), first 1 of 164 items"


def test_mbpps_examples_answer_with_a_block(chat: PreTrainedTokenizerFast) -> None:
    context = asked("mbpp", chat, chat_template=True, limit=1).requests[0].args[0]
    assert context.count("<user>Write a ") == 4
    assert context.count("<assistant>```python\n") == 3
    assert "[BEGIN]" not in context
    assert "[DONE]" not in context


def test_a_prompt_that_opens_a_block_is_left_as_it_is(chat: PreTrainedTokenizerFast) -> None:
    task = asked("humaneval_instruct", chat, chat_template=True, limit=1)
    context, settings = task.requests[0].args
    assert "<user>Write a solution" in context
    assert context.endswith('"""\n\n')
    assert "one_block" not in settings


def test_a_template_that_is_not_used_is_said(chat: PreTrainedTokenizerFast) -> None:
    assert asked("humaneval", chat, limit=1).protocol.startswith("0-shot, chat template not used, pass@1 (greedy)")
    assert asked("gsm8k", chat, few_shot=0, limit=1).protocol.startswith("0-shot, chat template not used, exact_match")
    assert asked("gsm8k", chat, few_shot=0, limit=1, chat_template=True).protocol.startswith(
        "0-shot, chat template, ex"
    )


@pytest.mark.skipif(available() is None, reason="no sandbox works on this machine")
def test_every_reference_solution_passes_as_a_reply(chat: PreTrainedTokenizerFast) -> None:
    humaneval = asked("humaneval", chat, chat_template=True)
    rows = rows_of("humaneval/test.jsonl.gz")
    replies = [f"Here it is:\n```python\n{row['prompt']}{row['canonical_solution']}```" for row in rows]
    bodies = [f"```python\n{row['canonical_solution']}" for row in rows]
    mbpp = asked("mbpp", chat, chat_template=True, limit=25)
    solutions = [f"```python\n{request.doc['code']}\n```\nIt works." for request in mbpp.requests]
    with Sandbox() as sandbox:
        judge = Judge(sandbox)
        for task, answers in ((humaneval, replies), (humaneval, bodies), (mbpp, solutions)):
            verdicts = [found.verdict for found in task.outcomes([Completion(text) for text in answers], judge)]
            assert verdicts == [str(Verdict.PASSED)] * task.items
        empty = humaneval.outcomes([Completion("I can't do that.")] * humaneval.items, judge)
        assert not any(found.outcome for found in empty)
