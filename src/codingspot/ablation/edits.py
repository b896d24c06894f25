"""Edits: what is done to the weights of a spot.

An edit is a registered function from the original values of some weights of one tensor, and where they are
(:class:`Site`), to their new values. Its keyword-only, typed parameters are the keys that a study file or
:meth:`codingspot.ablation.WeightEditor.apply` may set. What a weight becomes does not depend on which others are edited
with it, so that a growing dose only adds edits: random edits draw for each position by itself.

An edit of the rest (:class:`EditTraits`) is given every weight but the spot's, tensor by tensor.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import torch
from jaxtyping import Float, Int64
from pydantic import Field
from torch import Tensor

from codingspot.models import SCOPES, Registry, ScopeName, role_of
from codingspot.settings import Seed


@dataclass(frozen=True)
class Site:
    """Where weights are: ``positions`` among all the model's parameters, and the tensor they belong to as it was.

    Both are on the device of the weights.

    ``original`` gives the whole flattened tensor before any edit.
    """

    name: str
    positions: Int64[Tensor, " n"]
    original: Callable[[], Tensor]


Edit = Callable[..., Tensor]


@dataclass(frozen=True)
class EditTraits:
    """What an edit does, for the stages beside it. Its label says what is done to weights: ``zeroing`` them.

    Attributes:
        factor: what it multiplies weights by; None for one that does something else.
        of_the_rest: it changes what is outside the spot: it is given every other weight instead of the spot's.
    """

    factor: float | None = None
    of_the_rest: bool = False


EDITS: Registry[Edit, EditTraits] = Registry("edit", EditTraits())


@EDITS.register("zero", label="zeroing", traits=EditTraits(factor=0.0))
def zero(values: Float[Tensor, " n"], site: Site) -> Float[Tensor, " n"]:
    """Every weight becomes 0."""
    del site
    return torch.zeros_like(values)


@EDITS.register("scale", label="scaling", traits=lambda alpha: EditTraits(factor=alpha))
def scale(values: Float[Tensor, " n"], site: Site, *, alpha: float) -> Float[Tensor, " n"]:
    """Every weight is multiplied by ``alpha``, such as 0.25 to 0.75."""
    del site
    return values * alpha


@EDITS.register("amplify", label="amplifying", traits=lambda alpha: EditTraits(factor=alpha))
def amplify(
    values: Float[Tensor, " n"], site: Site, *, alpha: Annotated[float, Field(gt=1)] = 1.1
) -> Float[Tensor, " n"]:
    """Every weight is multiplied by ``alpha``, which is above 1."""
    return scale(values, site, alpha=alpha)


@EDITS.register("sign_flip", label="flipping the sign of", traits=EditTraits(factor=-1.0))
def sign_flip(values: Float[Tensor, " n"], site: Site) -> Float[Tensor, " n"]:
    """Every weight changes its sign: its magnitude is kept, what it computes is not."""
    del site
    return -values


@EDITS.register("mean", label="averaging")
def tensor_mean(values: Float[Tensor, " n"], site: Site) -> Float[Tensor, " n"]:
    """Every weight becomes the mean of its tensor."""
    return torch.full_like(values, float(site.original().float().mean()))


@EDITS.register("noise", label="adding noise to")
def noise(
    values: Float[Tensor, " n"], site: Site, *, scale: Annotated[float, Field(ge=0)] = 1.0, seed: Seed = 0
) -> Float[Tensor, " n"]:
    """Gaussian noise is added, with ``scale`` times the standard deviation of the tensor."""
    deviation = float(site.original().float().std(correction=0))
    drawn = torch.from_numpy(_normal(site.positions.cpu().numpy(), seed)).to(values.device, torch.float32)
    return values.float() + scale * deviation * drawn


@EDITS.register("resample", label="resampling")
def resample(values: Float[Tensor, " n"], site: Site, *, seed: Seed = 0) -> Float[Tensor, " n"]:
    """Every weight becomes that of a random place of its tensor, drawn with replacement: the distribution stays."""
    original = site.original()
    place = (_uniform(site.positions.cpu().numpy(), seed, stream=0) * original.numel()).astype(np.int64)
    return original[torch.from_numpy(place).to(original.device)].to(values.dtype)


@EDITS.register("keep_only", label="keeping only", traits=EditTraits(of_the_rest=True))
def keep_only(
    values: Float[Tensor, " n"],
    site: Site,
    *,
    base: tuple[ScopeName, ...] = ("vocabulary", "norms"),
    largest_percent: Annotated[float, Field(ge=0, le=100)] = 0.0,
) -> Float[Tensor, " n"]:
    """Everything but the spot and a base set becomes 0: is the spot sufficient?

    The base set is every tensor in one of the scopes named in ``base`` and the ``largest_percent`` percent of each
    other tensor's weights that are largest in magnitude, as pruning keeps them (ties at the boundary are all kept).
    """
    role = role_of(site.name)
    if any(SCOPES[scope](role) for scope in base):
        return values
    magnitudes = site.original().float().abs()
    kept = round(largest_percent / 100 * magnitudes.numel())
    if kept == 0:
        return torch.zeros_like(values)
    least = magnitudes.kthvalue(magnitudes.numel() - kept + 1).values
    return values.where(values.float().abs() >= least, torch.zeros_like(values))


def _normal(positions: np.ndarray, seed: int) -> np.ndarray:
    """Standard normal, one a position (Box and Muller 1958), float64."""
    radius = np.sqrt(-2 * np.log1p(-_uniform(positions, seed, stream=0)))
    return np.asarray(radius * np.cos(2 * np.pi * _uniform(positions, seed, stream=1)))


def _uniform(positions: np.ndarray, seed: int, *, stream: int) -> np.ndarray:
    """Uniform in [0, 1), a function of position, seed and stream alone (the finaliser of SplitMix64), float64."""
    with np.errstate(over="ignore"):
        start = _mix(np.full(1, 2 * seed + stream, dtype=np.uint64) + np.uint64(0x9E3779B97F4A7C15))
        mixed = _mix(positions.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15) + start)
    return np.asarray((mixed >> np.uint64(11)) / float(1 << 53))


def _mix(bits: np.ndarray) -> np.ndarray:
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(bits ^ (bits >> np.uint64(31)))
