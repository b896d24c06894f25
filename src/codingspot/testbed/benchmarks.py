"""The testbed's benchmarks as JSON lines, one file a task, beside the lm-eval task files that read them.

Every item is held out: its composition, call or filler combination never occurs in training text.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from codingspot.outputs import new_folder
from codingspot.testbed import english, programs

TASKS = Path(__file__).parent / "tasks"
"""The shipped lm-eval task files and their items."""

PROBLEMS = 164
ITEMS = 200


def benchmark_items(seed: int = 0) -> dict[str, list[dict[str, Any]]]:
    """Items of every task by file stem: 164 problems in Python, JavaScript and Bash, 200 items of the others."""
    families = {name: english.items(name, ITEMS, seed) for name in english.FAMILIES}
    return {
        "humaneval": programs.python_problems(PROBLEMS, seed),
        "humaneval_javascript": programs.javascript_problems(PROBLEMS, seed),
        "humaneval_bash": programs.bash_problems(PROBLEMS, seed),
        "comprehension": [_comprehension(item) for item in programs.comprehension_items(ITEMS, seed)],
        **families,
    }


def write_benchmarks(folder: Path, seed: int = 0, *, force: bool = False) -> list[Path]:
    """Write every task, its items and its lm-eval task file, to ``folder`` and return the files.

    ``force`` replaces what this package wrote there before.

    Raises:
        OutputError: ``folder`` may not be written to (:func:`codingspot.outputs.check_folder`).
    """
    with new_folder(folder, "codingspot-tasks", force=force) as temporary:
        texts = {f"{name}.jsonl": _json_lines(items) for name, items in benchmark_items(seed).items()}
        texts |= {path.name: path.read_text(encoding="utf-8") for path in sorted(TASKS.glob("*.yaml"))}
        for name, text in texts.items():
            (temporary / name).write_text(text, encoding="utf-8")
    return [folder / name for name in texts]


def _json_lines(items: Sequence[dict[str, Any]]) -> str:
    return "".join(json.dumps(item, ensure_ascii=False) + "\n" for item in items)


def _comprehension(item: dict[str, Any]) -> dict[str, Any]:
    # The newline before the choice is the task's target delimiter.
    return {**item, "prompt": item["prompt"].removesuffix("\n")}
