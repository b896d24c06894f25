"""Estimators to compare with: magnitude, random, and gradients integrated along the way to zero."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from codingspot.files import digest
from codingspot.importance.accumulation import accumulate_gradients
from codingspot.importance.estimators import ESTIMATORS, DomainInput, Estimate, EstimatorTraits, add_signed
from codingspot.models import unique_parameters
from codingspot.settings import Count, Seed


@ESTIMATORS.register("magnitude", reference="arXiv 1506.02626", traits=EstimatorTraits(from_text=False))
def magnitude(domain: DomainInput) -> Estimate:
    """|theta|, the same for every domain (Han et al. 2015, arXiv 1506.02626)."""
    return Estimate({name: theta.detach().float().abs().cpu() for name, theta in domain.weights.items()}, None)


@ESTIMATORS.register("random", traits=EstimatorTraits(from_text=False))
def random_scores(domain: DomainInput, *, seed: Seed = 0) -> Estimate:
    """Uniform in [0, 1), drawn anew for every tensor and domain from ``seed`` and their names: a ranking by chance."""
    scores = {}
    for name, theta in domain.weights.items():
        own = int(digest(str(seed), domain.tokens.domain, name)[:15], 16)
        scores[name] = torch.rand(theta.shape, generator=torch.Generator().manual_seed(own))
    return Estimate(scores, None)


@ESTIMATORS.register("integrated_gradients", reference="arXiv 1703.01365", traits=EstimatorTraits(additive=True))
def integrated_gradients(domain: DomainInput, *, steps: Count = 8) -> Estimate:
    """theta times the mean gradient on the straight way from 0 to theta (Sundararajan et al. 2017, arXiv 1703.01365).

    The integral of g(alpha theta) over alpha in [0, 1] by the midpoint rule in ``steps`` points, all weights scaled
    together, so that the scores' sum estimates the loss at theta minus the loss at 0 (completeness). Weights are put
    back bit for bit.

    Raises:
        NonFiniteError: a loss or gradient is NaN or infinite.
    """
    parameters = unique_parameters(domain.model)
    total = {name: torch.zeros(weight.shape, device=weight.device) for name, weight in parameters.items()}
    predicted = 1
    for step in range(steps):
        with _scaled(parameters, (step + 0.5) / steps):
            found = accumulate_gradients(
                domain.model,
                [domain.micro_batches()],
                add_signed,
                domain=domain.tokens.domain,
                on_tokens=domain.on_tokens if step == 0 else lambda _: None,
            )
        predicted = found.predicted_tokens
        for name, gradient in found.gradients.items():
            total[name].add_(gradient)
    for name, score in total.items():
        score.mul_(domain.weights[name].detach().to(score.device)).div_(steps * predicted)
    return Estimate(total, None)


@contextmanager
def _scaled(parameters: dict[str, nn.Parameter], factor: float) -> Iterator[None]:
    originals = {name: weight.detach().clone() for name, weight in parameters.items()}
    try:
        with torch.no_grad():
            for weight in parameters.values():
                weight.mul_(factor)
        yield
    finally:
        with torch.no_grad():
            for name, weight in parameters.items():
                weight.copy_(originals[name])
