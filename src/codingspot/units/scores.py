"""Scores of units: how much each does on a domain's text.

A unit score is a registered function from :class:`UnitDomain` to one number a unit. Its traits say what must be added
up over the domain's tokens for it. With a the activation of a unit (a neuron's number, or each of a head's), L the loss
summed over a domain's P predicted tokens, and T its tokens:
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from jaxtyping import Float64
from pydantic import AfterValidator
from torch import Tensor

from codingspot.errors import StudyError
from codingspot.models import Registry, UnitKind, Units
from codingspot.units.moments import STATISTICS, Moments

Values = Mapping[str, Float64[Tensor, "experts inputs"]]
"""Something of every input of the matrices written through, by name."""


@dataclass(frozen=True)
class UnitDomain:
    """What a unit score may use of one domain.

    Attributes:
        units: those that are scored.
        moments: sums over its tokens of what the score's traits ask for; None where that is nothing.
        weight: a parameter by its name.
        magnitude: the magnitudes of a parameter's scores for the domain, of its shape.
        written: squared norms of what each input of a matrix writes.
    """

    units: Units
    moments: Moments | None
    weight: Callable[[str], Tensor]
    magnitude: Callable[[str], Tensor]
    written: Callable[[str], Float64[Tensor, "experts inputs"]]

    def mean(self, statistic: str) -> dict[str, Float64[Tensor, "experts inputs"]]:
        """A statistic's mean over the domain's tokens."""
        moments = self._read
        return {name: values / moments.tokens for name, values in moments.sums[statistic].items()}

    def a_prediction(self, statistic: str) -> dict[str, Float64[Tensor, "experts units"]]:
        """A statistic of effects, a predicted token."""
        moments = self._read
        return {name: values / moments.predicted_tokens for name, values in moments.sums[statistic].items()}

    def of_units(self, values: Values, how: Literal["mean", "sum"]) -> Float64[Tensor, " units"]:
        """Mean or sum over each unit's own inputs."""
        found = []
        for site in self.units.sites:
            own = [values[name].reshape(site.experts, site.width, -1) for name in site.writes]
            each = torch.cat(own, dim=-1)
            found.append((each.mean(-1) if how == "mean" else each.sum(-1)).flatten())
        return torch.cat(found)

    @property
    def _read(self) -> Moments:
        assert self.moments is not None, "the score's traits name no statistic"
        return self.moments


UnitScore = Callable[[UnitDomain], Float64[Tensor, " units"]]


@dataclass(frozen=True)
class UnitScoreTraits:
    """What a unit score is, for the recipe that uses it.

    Attributes:
        statistics: what it needs of a domain (:data:`codingspot.units.moments.STATISTICS`); nothing where it is made
            from weights' scores.
        signed: below 0 a unit does harm; shares and ratios then mean nothing.
    """

    statistics: tuple[str, ...] = ()
    signed: bool = False

    @property
    def backward(self) -> bool:
        """Whether it takes backward passes."""
        return any(STATISTICS[name].backward for name in self.statistics)

    @property
    def attention(self) -> bool:
        """Whether it is made of attention probabilities, which heads alone have."""
        return any(STATISTICS[name].attention for name in self.statistics)

    @property
    def every_layer(self) -> bool:
        """Whether it follows attention through all layers, each of which must have heads then."""
        return any(STATISTICS[name].flows for name in self.statistics)


UNIT_SCORES: Registry[UnitScore, UnitScoreTraits] = Registry("unit_score", UnitScoreTraits())
UnitScoreName = Annotated[str, AfterValidator(UNIT_SCORES.known)]


def require_unit(score: str, unit: UnitKind) -> None:
    """Check that units of a kind have what a score is made of.

    Raises:
        StudyError: they haven't.
    """
    if UNIT_SCORES.traits(score).attention and unit not in ("head", "group"):
        raise StudyError(
            f"unit score {score!r} is made of attention probabilities, which don't tell {unit}s apart; set unit to "
            "head or group, or choose another score"
        )


@UNIT_SCORES.register("abs", reference="arXiv 2403.01267", traits=UnitScoreTraits(("absolute",)))
def absolute(domain: UnitDomain) -> Float64[Tensor, " units"]:
    """Mean |a| over tokens."""
    return domain.of_units(domain.mean("absolute"), "mean")


@UNIT_SCORES.register("rms", reference="arXiv 2403.01267", traits=UnitScoreTraits(("square",)))
def root_mean_square(domain: UnitDomain) -> Float64[Tensor, " units"]:
    """Square root of the mean of a^2 over tokens."""
    return domain.of_units(domain.mean("square"), "mean").sqrt()


@UNIT_SCORES.register("std", reference="arXiv 2403.01267", traits=UnitScoreTraits(("square", "sum")))
def deviation(domain: UnitDomain) -> Float64[Tensor, " units"]:
    """Standard deviation of a over tokens; of a head's numbers the root of their mean variance."""
    squares, means = domain.mean("square"), domain.mean("sum")
    variances = {name: (squares[name] - means[name].square()).clamp(min=0) for name in squares}
    return domain.of_units(variances, "mean").sqrt()


@UNIT_SCORES.register("freq", reference="arXiv 2403.01267", traits=UnitScoreTraits(("positive",)))
def frequency(domain: UnitDomain) -> Float64[Tensor, " units"]:
    """Share of tokens on which a is above 0."""
    return domain.of_units(domain.mean("positive"), "mean")


@UNIT_SCORES.register("write", label="write norm", traits=UnitScoreTraits(("square",)))
def write_norm(domain: UnitDomain) -> Float64[Tensor, " units"]:
    """rms(a) times the norm of the column that it writes; of a head the root of the sum of their squares."""
    written = {name: values * domain.written(name) for name, values in domain.mean("square").items()}
    return domain.of_units(written, "sum").sqrt()


@UNIT_SCORES.register("pls", reference="arXiv 2512.19980", traits=UnitScoreTraits(("absolute_effect",)))
def absolute_attribution(domain: UnitDomain) -> Float64[Tensor, " units"]:
    r"""Sum over tokens of \|a dL/da\|, over P: how far the loss moves, to first order, where a unit is silent.

    The product of a head is that of its numbers with theirs, added up.
    """
    return domain.of_units(domain.a_prediction("absolute_effect"), "sum")


@UNIT_SCORES.register("attribution", traits=UnitScoreTraits(("effect",), signed=True))
def attribution(domain: UnitDomain) -> Float64[Tensor, " units"]:
    """Minus the sum over tokens of a dL/da, over P: how much the mean loss rises, to first order, without the unit."""
    return domain.of_units(domain.a_prediction("effect"), "sum").neg()


@UNIT_SCORES.register(
    "attention_gradient",
    label="gradient-weighted attention",
    reference="arXiv 2103.15679",
    traits=UnitScoreTraits(("helpful_attention",)),
)
def attention_gradient(domain: UnitDomain) -> Float64[Tensor, " units"]:
    """Sum over queries and keys of max(0, -A dL/dA), over P: what the attention that helps spares the loss.

    In nats a predicted token, to first order. A are attention probabilities; a group's score is its heads' sum
    (:mod:`codingspot.units.attention`).
    """
    return domain.of_units(domain.a_prediction("helpful_attention"), "sum")


@UNIT_SCORES.register(
    "rollout",
    label="attention rollout",
    reference="arXiv 2005.00928",
    traits=UnitScoreTraits(("rolled_out_attention",)),
)
def rollout(domain: UnitDomain) -> Float64[Tensor, " units"]:
    """Share of a prediction that a head brought from positions other than its own and the first, by attention rollout.

    The mean over predicted tokens, from 0 to 1/2 for all heads of a layer together; a group's score is its heads' sum
    (:mod:`codingspot.units.attention`).
    """
    return domain.of_units(domain.a_prediction("rolled_out_attention"), "sum")


@UNIT_SCORES.register("weights", label="weights' scores")
def weight_scores(domain: UnitDomain) -> Float64[Tensor, " units"]:
    """Sum of the magnitudes of its weights' scores by the study's estimator."""
    return domain.units.sums(domain.magnitude)


def column_squares(units: Units, weight: Tensor, name: str) -> Float64[Tensor, "experts inputs"]:
    """Squared norms of what each input of a matrix of that name writes."""
    matrix = weight.detach().double()
    inputs = units.input_axis(name)
    if matrix.dim() == 3:
        return matrix.square().sum(3 - inputs).cpu()
    return matrix.square().sum(1 - inputs)[None].cpu()
