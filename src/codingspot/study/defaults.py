"""What a study of a shipped model has where it doesn't say: what goes with the world that the model learned."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from codingspot.corpus.worlds import WORLDS
from codingspot.models import TESTBED, names_shipped


def with_testbed_defaults(study: Any) -> Any:
    """``study``, as it was read, with what a testbed model is studied with; as it is where the model is another."""
    if not isinstance(study, Mapping):
        return study
    model = study.get("model", {})
    found = _value(model, "id") if isinstance(model, Mapping | BaseModel) else None
    if found is not None and not names_shipped(str(found)):
        return _filled({"corpus": {}, "evaluation": {}, **study}, {})
    return _filled({"corpus": {}, "evaluation": {}, **study}, WORLDS.traits(TESTBED).study())


def _filled(given: Any, defaults: Mapping[str, Any]) -> Any:
    """A section with what it leaves out; sections that aren't there stay away."""
    if not isinstance(given, Mapping | BaseModel):
        return given
    added = {}
    for key, default in defaults.items():
        value = _value(given, key)
        if not isinstance(default, Mapping):
            if key not in (given if isinstance(given, Mapping) else given.model_fields_set):
                added[key] = default
        elif value is not None:
            added[key] = _filled(value, default)
    return {**given, **added} if isinstance(given, Mapping) else given.model_copy(update=added)


def _value(section: Mapping[str, Any] | BaseModel, key: str) -> Any:
    return section.get(key) if isinstance(section, Mapping) else getattr(section, key, None)
