"""What each parameter is: its layer, its block and its kind, read from its name; and scopes made of these.

Names follow a few customs whatever the architecture: a numbered layer, an attention or MLP module in it,
and in that a projection with one of a small number of names. The tables below list those customs; what they
don't know gets kind ``"other"``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import AfterValidator

from codingspot.models.layout import ParameterLayout
from codingspot.registry import Registry

Block = Literal["attention", "mlp", "embedding", "head", "norm", "other"]
Kind = Literal[
    "q",
    "k",
    "v",
    "o",
    "qkv",
    "gate",
    "up",
    "down",
    "gate_up",
    "router",
    "norm",
    "embedding",
    "position",
    "head",
    "other",
]


@dataclass(frozen=True)
class Role:
    """The place of a parameter in a transformer. ``layer`` is None outside the numbered layers."""

    layer: int | None
    block: Block
    kind: Kind


_LAYER = re.compile(r"(?:^|\.)(?:layers?|h|blocks?)\.(\d+)\.")
_NORM = re.compile(r"norm|(?:^|\.)ln(?:_\w+)?(?:\.|$)", re.IGNORECASE)
_ATTENTION = re.compile(r"attn|attention", re.IGNORECASE)
_MLP = re.compile(r"mlp|ffn|feed_forward|moe|experts?(?:\.|$)", re.IGNORECASE)

_ATTENTION_KINDS: Mapping[str, Kind] = {
    "q_proj": "q",
    "query": "q",
    "k_proj": "k",
    "key": "k",
    "v_proj": "v",
    "value": "v",
    "o_proj": "o",
    "out_proj": "o",
    "c_proj": "o",
    "dense": "o",
    "qkv_proj": "qkv",
    "query_key_value": "qkv",
    "c_attn": "qkv",
    "Wqkv": "qkv",
}
_MLP_KINDS: Mapping[str, Kind] = {
    "gate_proj": "gate",
    "w1": "gate",
    "up_proj": "up",
    "w3": "up",
    "c_fc": "up",
    "fc1": "up",
    "fc_in": "up",
    "dense_h_to_4h": "up",
    "down_proj": "down",
    "w2": "down",
    "c_proj": "down",
    "fc2": "down",
    "fc_out": "down",
    "dense_4h_to_h": "down",
    "gate_up_proj": "gate_up",
    "gate": "router",
    "router": "router",
    "shared_expert_gate": "router",
}
_OUTER_KINDS: Mapping[str, Kind] = {
    "embed_tokens": "embedding",
    "word_embeddings": "embedding",
    "wte": "embedding",
    "embed_in": "embedding",
    "wpe": "position",
    "embed_positions": "position",
    "position_embeddings": "position",
    "lm_head": "head",
    "embed_out": "head",
    "output": "head",
}
_OUTER_BLOCKS: Mapping[Kind, Block] = {"embedding": "embedding", "position": "embedding", "head": "head"}


def role_of(name: str) -> Role:
    """The role of the parameter of that name. A bias has the role of its matrix; an unknown name, kind ``"other"``."""
    found = _LAYER.search(name)
    layer = int(found.group(1)) if found else None
    inside = name[found.end() :] if found else name
    parts = inside.split(".")
    if _NORM.search(inside):
        return Role(layer, "norm", "norm")
    if layer is None:
        kind = _kind(parts, _OUTER_KINDS)
        return Role(None, _OUTER_BLOCKS.get(kind, "other"), kind)
    if _ATTENTION.search(inside):
        return Role(layer, "attention", _kind(parts, _ATTENTION_KINDS))
    mlp = _kind(parts, _MLP_KINDS)
    if _MLP.search(inside) or mlp != "other":
        return Role(layer, "mlp", mlp)
    return Role(layer, "other", "other")


def in_layer(name: str, layer: int) -> str:
    """The name of the same parameter in another of the numbered layers."""
    found = _LAYER.search(name)
    return name if found is None else f"{name[: found.start(1)]}{layer}{name[found.end(1) :]}"


def _kind(parts: list[str], kinds: Mapping[str, Kind]) -> Kind:
    """The kind of the innermost module whose name is known."""
    return next((kinds[part] for part in reversed(parts) if part in kinds), "other")


Scope = Callable[[Role], bool]


@dataclass(frozen=True)
class ScopeTraits:
    """What the program may know of a scope.

    Attributes:
        inside: ends a sentence about it, as in: by this recipe inside the transformer blocks alone.
        of_the_verdict: claims are made about it, since removing what lies outside removes no ability alone.
    """

    inside: str | None = None
    of_the_verdict: bool = False


SCOPES: Registry[Scope, ScopeTraits] = Registry("scope", ScopeTraits())
ScopeName = Annotated[str, AfterValidator(SCOPES.known)]


@SCOPES.register("all", label="all parameters", traits=ScopeTraits(""))
def every_parameter(role: Role) -> bool:  # noqa: ARG001 - a scope is a predicate of the role
    """Every parameter."""
    return True


@SCOPES.register(
    "blocks",
    label="attention and MLP matrices",
    traits=ScopeTraits(" inside the transformer blocks alone", of_the_verdict=True),
)
def blocks(role: Role) -> bool:
    """The attention and MLP matrices of the layers, with their biases; no norm, embedding or head."""
    return role.layer is not None and role.block in ("attention", "mlp")


@SCOPES.register("layers", label="parameters of the layers", traits=ScopeTraits(" inside the layers alone"))
def layers(role: Role) -> bool:
    """Everything in the numbered layers, their norms included."""
    return role.layer is not None


@SCOPES.register(
    "vocabulary", label="embedding and output head", traits=ScopeTraits(" in the embedding and output head alone")
)
def vocabulary(role: Role) -> bool:
    """The token embedding and the output head, where the model has a row for each token."""
    return role.kind in ("embedding", "head")


@SCOPES.register("norms", traits=ScopeTraits(" in the norms alone"))
def norms(role: Role) -> bool:
    """Every normalisation weight, in the layers and after them."""
    return role.block == "norm"


@SCOPES.register("mlp", label="MLP matrices", traits=ScopeTraits(" in the MLP matrices alone"))
def mlp(role: Role) -> bool:
    """The MLP matrices of the layers, experts and routers included."""
    return role.layer is not None and role.block == "mlp"


@SCOPES.register("attention", label="attention matrices", traits=ScopeTraits(" in the attention matrices alone"))
def attention(role: Role) -> bool:
    """The attention matrices of the layers."""
    return role.layer is not None and role.block == "attention"


def scope_sizes(layout: ParameterLayout) -> dict[str, int]:
    """Number of parameters in every scope, by its name."""
    roles = {name: role_of(name) for name in layout.names}
    return {scope: sum(size for name, size in layout.sizes.items() if SCOPES[scope](roles[name])) for scope in SCOPES}
