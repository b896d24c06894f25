"""Everything that can be named: estimators, recipes, edits, controls, scopes, methods, views, analyses, exports, tasks.

Third parties add to each by an entry point of their package (:mod:`codingspot.registry`).
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from codingspot.errors import StudyError
from codingspot.models import SCOPES, Registry
from codingspot.registry import OWN, parameter_types


@dataclass(frozen=True)
class Method:
    """One registered function.

    Attributes:
        sort: recipe, estimator, edit, control, scope, method (of the benchmark), view, analysis, export or task.
        name: as a study file gives it.
        source: ``codingspot``, or the package and version that registers it.
        parameters: name of each parameter to its type and, where it has one, its default, as texts.
        summary: first line of its documentation.
        alias_of: the estimator that is run in its place; empty for most.
        error: why it can't be used; empty where it can.
    """

    sort: str
    name: str
    source: str
    parameters: dict[str, dict[str, str]]
    summary: str
    alias_of: str = ""
    error: str = ""


def catalogue() -> list[Method]:
    """Every registered function, by sort and in order of registration. A faulty package's is there with its error."""
    from codingspot.importance import ALIASES

    found = [_described(registry, name) for registry in registries() for name in registry]
    for alias, (name, parameters) in ALIASES.items():
        settings = ", ".join(f"{key} {value}" for key, value in parameters.items())
        found.append(Method("estimator", alias, OWN, {}, f"Runs {name} ({settings}).", alias_of=name))
    order = [registry.sort for registry in registries()]
    return sorted(found, key=lambda method: order.index(method.sort))


def registries() -> Iterator[Registry[Any, Any]]:
    """The registries that entry points may add to."""
    from codingspot.ablation import CONTROLS, EDITS
    from codingspot.analysis_registry import ANALYSES
    from codingspot.bench import METHODS
    from codingspot.evaluation.declared import TASKS
    from codingspot.export import EXPORTS
    from codingspot.importance import ESTIMATORS
    from codingspot.spot import RECIPES
    from codingspot.units import UNIT_SCORES
    from codingspot.views import VIEWS

    yield from (ESTIMATORS, RECIPES, UNIT_SCORES, SCOPES, EDITS, CONTROLS, METHODS, VIEWS, ANALYSES, EXPORTS, TASKS)


def _described(registry: Registry[Any, Any], name: str) -> Method:
    summary = registry.unloaded_summary(name)
    if summary is not None:
        return Method(registry.sort, name, OWN, {}, summary)
    try:
        function = registry[name]
        parameters = _parameters(registry, name)
    except StudyError as error:
        return Method(registry.sort, name, registry.source(name), {}, "", error=str(error))
    first_line = (inspect.getdoc(function) or "").strip().partition("\n")[0].replace("\\|", "|").replace("`", "")
    return Method(registry.sort, name, registry.source(name), parameters, first_line)


def _parameters(registry: Registry[Any, Any], name: str) -> dict[str, dict[str, str]]:
    function = registry[name]
    found: dict[str, dict[str, str]] = {}
    defaults = registry.parameters(name)
    hints = parameter_types(function, ranges=False) if defaults else {}
    for parameter, default in defaults.items():
        about = {"type": _type_name(hints.get(parameter, Any))}
        if default is not inspect.Parameter.empty:
            about["default"] = str(default)
        found[parameter] = about
    return found


def _type_name(hint: Any) -> str:
    return (
        hint.__name__ if isinstance(hint, type) and not hasattr(hint, "__args__") else str(hint).replace("typing.", "")
    )
