"""Words and numbers as a reader sees them: names of tasks, domains, spots and controls, and rounded values."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

from codingspot import learning as learning  # registers its recipe
from codingspot import units as units  # registers its recipe and controls
from codingspot.ablation import CONTROLS
from codingspot.evaluation.declared import TASKS
from codingspot.models import SCOPES
from codingspot.spot import RECIPES
from codingspot.study.cells import Cell, Plan

_TASKS: Final = {
    "gsm8k": "GSM8K",
    "hellaswag": "HellaSwag",
    "mmlu": "MMLU",
    "truthfulqa": "TruthfulQA",
    "truthfulqa_mc1": "TruthfulQA (mc1)",
    "truthfulqa_mc2": "TruthfulQA (mc2)",
    "winogrande": "WinoGrande",
    "humaneval": "HumanEval",
    "mbpp": "MBPP",
    "testbed_humaneval": "Python problems",
    "testbed_humaneval_javascript": "JavaScript problems",
    "testbed_humaneval_bash": "Bash problems",
}
_DOMAINS: Final = {
    "cpp": "C++",
    "c++": "C++",
    "csharp": "C#",
    "c#": "C#",
    "c_sharp": "C#",
    "javascript": "JavaScript",
    "typescript": "TypeScript",
}
MINUS: Final = "−"
MISSING: Final = "–"


def task_label(name: str) -> str:
    """A task's name for people: the benchmark's own spelling, its label, or the task name without its prefix."""
    if name in _TASKS:
        return _TASKS[name]
    if name in TASKS:
        return TASKS.label(name)
    return name.removeprefix("testbed_").replace("_", " ").capitalize()


def domain_label(name: str) -> str:
    """A domain's name for people."""
    return _DOMAINS.get(name.lower(), name[:1].upper() + name[1:])


def general_names(plan: Plan) -> str:
    """The general domains as one phrase: ``English``, or ``English and German``."""
    return join_words([domain_label(domain.name) for domain in plan.domains if domain.kind == "general"])


def recipe_label(recipe: str | None, parameters: Mapping[str, Any], plan: Plan) -> str:
    """What a recipe ranks by under the parameters that a study gives it, for people."""
    scores = f"{parameters.get('aggregation', 'sum')} of the languages' scores"
    scores = scores.replace("-weighted of", "-weighted sum of")
    return RECIPES.label(recipe or "").format(scores=scores, general=general_names(plan) or "general text")


def scope_label(scope: str | None) -> str:
    """What a scope holds, for people."""
    return SCOPES.label(scope or "")


def control_label(control: str | None) -> str:
    """``spot``, or how the control was drawn."""
    return "spot" if control is None else CONTROLS.label(control)


def short_title(cell: Cell) -> str:
    """A spot's name and scope."""
    return f"{cell.spot} (scope {cell.scope})"


def spot_title(cell: Cell, parameters: Mapping[str, Any], plan: Plan) -> str:
    """A spot's name, recipe and scope in one phrase."""
    return f"{cell.spot}: {recipe_label(cell.recipe, parameters, plan)}; {scope_label(cell.scope)}"


def join_words(words: list[str]) -> str:
    """``a``, ``a and b``, ``a, b and c``."""
    if len(words) < 2:
        return "".join(words)
    return f"{', '.join(words[:-1])} and {words[-1]}"


def dose(k_percent: float) -> str:
    """A dose in percent of all parameters, without trailing zeros."""
    return f"{k_percent:g}%"


def plural(count: int, noun: str) -> str:
    """``1 item``, ``2 items``; thousands separated."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def signed(value: float, digits: int) -> str:
    """A number with its sign, the minus sign typographic, and no minus before a rounded zero."""
    text = f"{abs(value):.{digits}f}"
    if float(text) == 0:
        return text
    return f"{MINUS if value < 0 else '+'}{text}"


def fixed(value: float, digits: int) -> str:
    """A number with ``digits`` decimals and a typographic minus sign, and no minus before a rounded zero."""
    return signed(value, digits).removeprefix("+")


def ratio(value: float) -> str:
    """A positive ratio to about two digits: ``1.03``, ``24``, ``1,200``, ``3.4e+06``."""
    if math.isinf(value):
        return "∞"
    if value < 10:
        return f"{value:.2f}"
    if value < 100:
        return f"{value:.1f}"
    return f"{value:,.0f}" if value < 1e5 else f"{value:.1e}"
