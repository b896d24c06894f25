"""Causal language models: loading, the order of their parameters, the role of each, and their fingerprint."""

from __future__ import annotations

from typing import TYPE_CHECKING

from codingspot.lazy import load_lazily

if TYPE_CHECKING:
    from codingspot.models.finding import configured_model, find_model, torch_dtype
    from codingspot.models.layout import LARGE_MODEL, Located, ParameterLayout, fingerprint, unique_parameters
    from codingspot.models.loading import LoadedModel, load_model, usable_device
    from codingspot.models.output_head import MAX_LOGITS, OutputHead
    from codingspot.models.roles import SCOPES, Role, Scope, ScopeName, role_of, scope_sizes
    from codingspot.models.shipped import (
        TESTBED,
        input_places,
        model_source,
        names_shipped,
        shipped_model,
        shipped_models,
    )
    from codingspot.models.structure import Part, Structure, describe, kinds_table
    from codingspot.models.units import UnitKind, Units, find_units
    from codingspot.registry import Registry

__all__ = [
    "LARGE_MODEL",
    "MAX_LOGITS",
    "SCOPES",
    "TESTBED",
    "LoadedModel",
    "Located",
    "OutputHead",
    "ParameterLayout",
    "Part",
    "Registry",
    "Role",
    "Scope",
    "ScopeName",
    "Structure",
    "UnitKind",
    "Units",
    "configured_model",
    "describe",
    "find_model",
    "find_units",
    "fingerprint",
    "input_places",
    "kinds_table",
    "load_model",
    "model_source",
    "names_shipped",
    "role_of",
    "scope_sizes",
    "shipped_model",
    "shipped_models",
    "torch_dtype",
    "unique_parameters",
    "usable_device",
]

load_lazily(__name__)
