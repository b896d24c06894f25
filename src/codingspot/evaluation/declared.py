"""Tasks that are declared in Python, by name: one function, whose installed package names it by an entry point.

The function gives lm-evaluation-harness's settings of a task (``output_type``, ``doc_to_text``, ...), and its items as
``rows``. A study names it as any other task.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from codingspot.registry import Registry

TASKS: Final[Registry[Callable[[], Mapping[str, Any]], None]] = Registry("task", None)
"""Tasks by name; those of YAML files are found by :class:`codingspot.evaluation.harness.TaskLibrary`."""
