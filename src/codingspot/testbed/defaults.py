"""What a testbed model is studied with where nothing else is named; of no other model is any of it assumed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from codingspot.models import TESTBED, names_shipped
from codingspot.views import VIEWS, ParallelSettings, views

CODE_TASKS = ("testbed_humaneval",)
GENERAL_TASKS = (
    "testbed_arithmetic",
    "testbed_events",
    "testbed_knowledge",
    "testbed_misconceptions",
    "testbed_roles",
)
OTHER_TASKS = ("testbed_comprehension",)

_STUDY: Mapping[str, Mapping[str, Any]] = {
    "corpus": {"source": TESTBED},
    "evaluation": {"code": CODE_TASKS, "general": GENERAL_TASKS, "other": OTHER_TASKS},
    "language_matrix": {"tasks": (*CODE_TASKS, "testbed_humaneval_javascript", "testbed_humaneval_bash")},
    "views": {name: {"parallel": TESTBED} for name in views() if issubclass(VIEWS[name], ParallelSettings)},
}


def study_defaults(model: str) -> Mapping[str, Mapping[str, Any]]:
    """Sections of a study of ``model`` to what they hold where it doesn't say; empty unless the model is a shipped one.

    Args:
        model: the name by which it is asked for.
    """
    return _STUDY if names_shipped(model) else {}


def default_tasks(model: str) -> list[str]:
    """The tasks ``model`` is evaluated on where none are named; none for models that aren't the testbed's."""
    return [name for names in study_defaults(model).get("evaluation", {}).values() for name in names]


def default_source(model: str) -> str | None:
    """The texts, and the parallel code, that ``model`` is studied on where none are named; None for other models."""
    return TESTBED if names_shipped(model) else None
