"""Causal language models: loading, the order of their parameters, the role of each, and their fingerprint."""

from codingspot.models.finding import configured_model, find_model, torch_dtype
from codingspot.models.layout import Located, ParameterLayout, fingerprint, unique_parameters
from codingspot.models.loading import LoadedModel, load_model, usable_device
from codingspot.models.output_head import MAX_LOGITS, OutputHead
from codingspot.models.roles import SCOPES, Role, Scope, ScopeName, role_of, scope_sizes
from codingspot.models.shipped import TESTBED, input_places, model_source, names_shipped, shipped_model, shipped_models
from codingspot.models.structure import Part, Structure, describe, kinds_table
from codingspot.registry import Registry

__all__ = [
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
    "configured_model",
    "describe",
    "find_model",
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
