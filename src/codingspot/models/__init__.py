"""Causal language models: loading, the order of their parameters, the role of each, and their fingerprint."""

from codingspot.models.layout import Located, ParameterLayout, fingerprint, unique_parameters
from codingspot.models.loading import LoadedModel, load_model
from codingspot.models.registry import Registry
from codingspot.models.roles import SCOPES, Role, Scope, role_of, scope_sizes

__all__ = [
    "SCOPES",
    "LoadedModel",
    "Located",
    "ParameterLayout",
    "Registry",
    "Role",
    "Scope",
    "fingerprint",
    "load_model",
    "role_of",
    "scope_sizes",
    "unique_parameters",
]
