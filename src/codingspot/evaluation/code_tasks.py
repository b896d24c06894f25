"""The harness's code tasks without the harness's metric.

Their YAML files name Python functions from a module that loads a metric from the Hub and runs programs with it as
soon as it is imported. Here that module is never imported: prompts, examples, stop strings and token limits are taken
from the YAML file, the few-shot examples, which stand in that module as a literal, from its syntax tree. Programs are
judged in the sandbox.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

from codingspot.errors import EvaluationError

FENCE = "```"
"""Ends a program inside a Markdown block that the prompt opens."""

CODE_TASKS = frozenset(
    {
        *("humaneval", "humaneval_instruct", "humaneval_64", "humaneval_64_instruct", "humaneval_plus"),
        *("mbpp", "mbpp_instruct", "mbpp_plus", "mbpp_plus_instruct"),
    }
)
"""The harness's code tasks whose programs are the prompt and its completion, or the completion alone."""

_LANGUAGE = "python"
_NO_METRIC = [{"metric": "bypass", "aggregation": "bypass", "higher_is_better": True}]


def runs_programs(settings: Mapping[str, Any]) -> bool:
    """Whether a task's YAML file says that its metric runs generated programs."""
    return bool(settings.get("unsafe_code"))


def without_metric(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of a code task for the harness, with nothing to import.

    A task whose prompt opens a Markdown block also stops at the block's end, which changes no program: what follows
    it isn't part of one.

    Args:
        settings: the task's YAML file, read with functions as text (``folder/module.function``).

    Raises:
        EvaluationError: programs of the task are made in another way, so that running it would mislead.
    """
    if settings["task"] not in CODE_TASKS:
        raise EvaluationError(
            f"task {settings['task']} makes programs in a way of its own; choose one of {', '.join(sorted(CODE_TASKS))}"
        )
    kept = deepcopy({key: value for key, value in settings.items() if key not in ("metric_list", "filter_list", "tag")})
    examples = kept.get("fewshot_config") or {}
    if isinstance(examples.get("samples"), str):
        examples["samples"] = _literal(examples["samples"])
    if fenced(kept):
        kept["generation_kwargs"]["until"] = [*kept["generation_kwargs"].get("until", []), FENCE]
    metadata = {**(kept.get("metadata") or {}), "language": _LANGUAGE}
    return {**kept, "metric_list": _NO_METRIC, "unsafe_code": False, "repeats": 1, "metadata": metadata}


def fenced(settings: Mapping[str, Any]) -> bool:
    """Whether the model's answer begins inside a Markdown block that the prompt opened."""
    return FENCE in (settings.get("gen_prefix") or "")


def _literal(reference: str) -> Any:
    """What ``path/module.function`` returns, if its body is one literal; nothing of the module is run."""
    path, _, name = reference.rpartition(".")
    tree = ast.parse(Path(f"{path}.py").read_text(encoding="utf-8"))
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and node.name == name and isinstance(node.body[-1], ast.Return):
            try:
                return ast.literal_eval(node.body[-1].value or ast.Constant(None))
            except ValueError:
                break
    raise EvaluationError(
        f"the few-shot examples {reference} are not a literal; give another task, or set few_shot to 0"
    )
