"""Estimators from the curvature of the loss: the diagonal Fisher, and Optimal Brain Damage."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from codingspot.corpus import PackedTokens
from codingspot.errors import NonFiniteError
from codingspot.importance.accumulation import gradients_enabled
from codingspot.importance.estimators import (
    ESTIMATORS,
    DomainInput,
    Estimate,
    EstimatorTraits,
    add_square,
    fold_gradients,
)
from codingspot.models import OutputHead, unique_parameters
from codingspot.settings import Count, Seed


@ESTIMATORS.register(
    "fisher", reference="arXiv 1801.05787", traits=EstimatorTraits(additive=True, in_one_pass=True, in_shards=True)
)
def fisher(domain: DomainInput) -> Estimate:
    """theta^2 F with F the diagonal of the empirical Fisher information over sequences.

    F = (1/S) sum_s g_s^2, with g_s the gradient of the summed loss of sequence s (nats). Twice the second-order
    estimate of what pruning a weight costs (Theis et al. 2018, arXiv 1801.05787, equation 4).

    Raises:
        NonFiniteError: a loss or gradient is NaN or infinite.
    """

    def finish(squares: Tensor, theta: Tensor, tokens: PackedTokens) -> None:
        squares.mul_(theta.float().square()).div_(len(tokens.input_ids))

    return fold_gradients(domain, add_square, finish, DomainInput.single_sequences)


@ESTIMATORS.register("obd", reference="LeCun et al. 1989", traits=EstimatorTraits(additive=True))
def optimal_brain_damage(domain: DomainInput, *, probes: Count = 1, seed: Seed = 0) -> Estimate:
    """theta^2 H_ii / 2, with the diagonal of the Hessian of the mean loss estimated by Hutchinson's method.

    Saliency: LeCun et al. 1989, Optimal Brain Damage, equation 5. Diagonal: E[v * H v] over random signs v (Bekas et
    al. 2007), ``probes`` of them drawn by ``seed``, the same for every micro-batch: the result does not depend on how
    the domain is cut. Signed, as an estimate of a diagonal entry may be negative. Takes the memory of the gradients
    and of a graph of the backward pass.

    Raises:
        NonFiniteError: a loss or score is NaN or infinite.
    """
    parameters = unique_parameters(domain.model)
    names, weights = list(parameters), list(parameters.values())
    diagonal = {name: torch.zeros(weight.shape, device=weight.device) for name, weight in parameters.items()}
    head = OutputHead(domain.model)
    loss_sum, predicted = 0.0, 0
    # The fused attention kernels have no second derivative.
    with gradients_enabled(domain.model), sdpa_kernel(SDPBackend.MATH):
        for batch in domain.micro_batches():
            loss = head.text_loss(batch, twice=True)
            gradients = torch.autograd.grad(loss, weights, create_graph=True, allow_unused=True, materialize_grads=True)
            for probe in range(probes):
                signs = _signs(weights, seed + probe)
                products = _hessian_products(gradients, weights, signs, keep=probe + 1 < probes)
                for name, sign, product in zip(names, signs, products, strict=True):
                    diagonal[name].addcmul_(sign, product.float())
            loss_sum += float(loss.detach())
            predicted += batch.shape[0] * (batch.shape[1] - 1)
            domain.on_tokens(batch.numel())
    for name, score in diagonal.items():
        theta = domain.weights[name].detach().to(score.device, torch.float32)
        score.mul_(theta.square()).div_(2 * probes * predicted)
        if not score.isfinite().all():
            raise NonFiniteError(f"the curvature at {name} in domain {domain.tokens.domain!r} is not a number")
    return Estimate(diagonal, loss_sum / predicted)


def _signs(weights: list[torch.nn.Parameter], seed: int) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [
        (torch.randint(0, 2, weight.shape, generator=generator) * 2 - 1).to(weight.device, weight.dtype)
        for weight in weights
    ]


def _hessian_products(
    gradients: tuple[Tensor, ...], weights: list[torch.nn.Parameter], signs: list[Tensor], *, keep: bool
) -> tuple[Tensor, ...]:
    """H v for every weight; zero for a weight whose gradient is constant."""
    return torch.autograd.grad(
        gradients,
        weights,
        grad_outputs=signs,
        retain_graph=keep,
        allow_unused=True,
        materialize_grads=True,
    )
