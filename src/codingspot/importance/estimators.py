"""Importance estimators: how much each parameter matters to a domain's loss.

An estimator is a registered function from :class:`DomainInput` to one float32 score a parameter. Its
keyword-only, typed parameters are the keys that a study file or :func:`codingspot.importance.score` may
set.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, get_args

import torch
from jaxtyping import Int64
from torch import Tensor, nn

from codingspot.corpus import PackedTokens
from codingspot.errors import StudyError
from codingspot.importance.accumulation import Fold, PartOfModel, accumulate_gradients
from codingspot.models import LARGE_MODEL, Registry
from codingspot.models.parts import parts
from codingspot.models.ranks import own_part

MICRO_BATCH = 2_048
SMALL_MICRO_BATCH = 512


def micro_batch(asked: int | None, parameters: int, device: str) -> int:
    """Tokens to run at once: those ``asked`` for, or a default by the size of the model and the type of device.

    More than :data:`SMALL_MICRO_BATCH` make a CPU no faster, and of a large model their activations take gigabytes.
    """
    default = SMALL_MICRO_BATCH if device == "cpu" and parameters > LARGE_MODEL else MICRO_BATCH
    return asked or default


@dataclass(frozen=True)
class DomainInput:
    """What an estimator is given: the model, a domain's token sequences, and how to go through them.

    ``weights`` are the values of theta by parameter name, which may differ from the model's at the time
    (fine-tuned). ``starts`` are the sequences with which a draw of the text begins, and ``sample`` the offsets into
    each flattened parameter at which the scores of each draw are wanted. Of a ``part`` of the model only its parameters
    are to be scored.
    """

    model: nn.Module
    tokens: PackedTokens
    weights: Mapping[str, Tensor]
    micro_batch_tokens: int
    on_tokens: Callable[[int], None] = lambda _: None
    starts: tuple[int, ...] = (0,)
    sample: Mapping[str, Int64[Tensor, " m"]] = field(default_factory=dict)
    part: PartOfModel | None = None

    def draws(self) -> list[DomainInput]:
        """The same of each draw by itself."""
        return [replace(self, tokens=part, starts=(0,)) for part in self.tokens.parts(self.starts)]

    def micro_batches(self) -> Iterator[Int64[Tensor, "_ length"]]:
        """Consecutive sequences, as many at a time as ``micro_batch_tokens`` holds, and at least one."""
        sequences = max(1, self.micro_batch_tokens // self.tokens.input_ids.shape[1])
        yield from torch.split(self.tokens.input_ids, sequences)

    def single_sequences(self) -> Iterator[Int64[Tensor, "one length"]]:
        """One sequence at a time."""
        yield from torch.split(self.tokens.input_ids, 1)


def details_of(tokens: PackedTokens) -> dict[str, Any]:
    """What a store says of a domain's text."""
    return {"tokens": tokens.tokens, "documents": tokens.documents, "duplicates": tokens.duplicates}


@dataclass(frozen=True)
class Estimate:
    """One float32 score a parameter, by name, and the domain's mean loss (nats a token) if it was taken.

    ``draws`` has the scores of each draw by itself at the sample, where they were made in the same pass.
    """

    scores: dict[str, Tensor]
    loss: float | None
    draws: tuple[dict[str, Tensor], ...] = ()


Estimator = Callable[..., Estimate]


@dataclass(frozen=True)
class EstimatorTraits:
    """What an estimator's scores are, for the stages that read them.

    Attributes:
        additive: those of two texts, as means weighted by predicted tokens, are those of both together.
        in_one_pass: it gives the scores of each draw at the sample beside those of all the text.
        first_order: theta times the gradient of the mean loss at theta, with its sign, so that sums predict changes.
        reductions: values of its parameter ``reduction``, where it has one: they should not matter, and are compared.
        of_the_paper: it is what the Coding Spot paper scores by.
        from_text: they depend on the text; otherwise a contrast of two domains' scores says nothing.
        in_shards: it is made element by element from gradients (:func:`fold_gradients`), so that each of several ranks
            makes it of its own part of the parameters, or one process of one layer's after the other's.
    """

    additive: bool = False
    in_one_pass: bool = False
    first_order: bool = False
    reductions: tuple[str, ...] = ()
    of_the_paper: bool = False
    from_text: bool = True
    in_shards: bool = False


ESTIMATORS: Registry[Estimator, EstimatorTraits] = Registry("estimator", EstimatorTraits())

DEFAULT_ESTIMATOR = "taylor"

ALIASES: dict[str, tuple[str, dict[str, Any]]] = {
    # SNIP (Lee et al. 2019, arXiv 1810.02340, equation 5) divides |g theta| of a batch by its sum over all weights.
    "snip": ("taylor", {"reduction": "microbatch"}),
    # theta^2 g^2 of the corpus gradient is the square of the corpus reduction.
    "squared_taylor": ("taylor", {"reduction": "corpus"}),
}
"""Names of estimators that order parameters as another does by construction, which is run in their place."""


def resolve(name: str, parameters: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """The estimator that is run for ``name``, and its parameters: an alias gives those of the one it stands for.

    Raises:
        StudyError: parameters are given that the alias itself decides.
    """
    if name not in ALIASES:
        return name, dict(parameters)
    target, decided = ALIASES[name]
    clash = sorted(set(decided) & set(parameters))
    if clash:
        raise StudyError(f"estimator {name!r} decides {clash[0]!r} itself; leave it out, or name {target!r}")
    return target, {**decided, **parameters}


def estimator_traits(name: str, parameters: Mapping[str, Any]) -> EstimatorTraits:
    """What the estimator that is run for ``name`` declares of itself under these parameters.

    Raises:
        StudyError: the estimator or a parameter is unknown, or a parameter has a wrong value.
    """
    return ESTIMATORS.traits(*resolve(name, parameters))


Reduction = Literal["corpus", "microbatch", "sequence"]


def _taylor_traits(*, reduction: Reduction, norm: str) -> EstimatorTraits:
    return EstimatorTraits(
        additive=norm == "l1" or reduction == "corpus",
        in_one_pass=True,
        first_order=reduction == "corpus",
        reductions=get_args(Reduction),
        of_the_paper=True,
        in_shards=True,
    )


@ESTIMATORS.register("taylor", reference="arXiv 1906.10771", traits=_taylor_traits)
def taylor(
    domain: DomainInput,
    *,
    reduction: Reduction = "corpus",
    norm: Literal["l1", "l2"] = "l1",
) -> Estimate:
    """Taylor saliency: to first order, minus the change of loss when a weight is set to 0 (Molchanov et al. 2019).

    With theta the weight, N the domain's predicted tokens and g_b the gradient of the summed loss of part b
    of it:

    - ``corpus``: theta * (sum_b g_b) / N. Signed; does not depend on how the domain is cut. ``norm`` has no
      effect.
    - ``microbatch``: sum_b \\|theta * g_b\\| / N over micro-batches (``l1``), or sqrt(sum_b (theta *
      g_b)^2) / N (``l2``). Depends on the size of the micro-batch.
    - ``sequence``: the same over single sequences.

    Raises:
        NonFiniteError: a loss or gradient is NaN or infinite.
    """
    signed = reduction == "corpus"

    def finish(folded: Tensor, theta: Tensor, tokens: PackedTokens) -> None:
        if not signed and norm == "l2":
            folded.sqrt_()
        folded.mul_(theta if signed else theta.abs()).div_(tokens.predicted_tokens)

    return fold_gradients(
        domain,
        add_signed if signed else _FOLDS[norm],
        finish,
        DomainInput.single_sequences if reduction == "sequence" else DomainInput.micro_batches,
    )


def fold_gradients(
    domain: DomainInput,
    fold: Fold,
    finish: Callable[[Tensor, Tensor, PackedTokens], None],
    batches: Callable[[DomainInput], Iterator[Int64[Tensor, "_ length"]]],
) -> Estimate:
    """Scores that ``finish`` makes, element by element and in place, of folded gradients, weights and the text.

    Raises:
        NonFiniteError: a loss or gradient is NaN or infinite.
    """
    draws = domain.draws()
    found = accumulate_gradients(
        domain.model,
        [batches(draw) for draw in draws],
        fold,
        domain=domain.tokens.domain,
        on_tokens=domain.on_tokens,
        sample=domain.sample,
        part=domain.part,
    )
    for name, folded in found.gradients.items():
        theta = own_part(domain.weights[name].detach()).to(folded.device)
        for draw, sampled in zip(draws, found.sampled, strict=True):
            if name in sampled:
                finish(sampled[name], theta.flatten()[domain.sample[name].to(theta.device)], draw.tokens)
        for part, of_theta in parts(folded, theta):
            finish(part, of_theta, domain.tokens)
    return Estimate(found.gradients, found.loss, found.sampled)


def add_signed(accumulator: Tensor, gradient: Tensor) -> None:
    """Sum of the gradients."""
    accumulator.add_(gradient)


def add_absolute(accumulator: Tensor, gradient: Tensor) -> None:
    """Sum of the gradients' absolute values."""
    accumulator.add_(gradient.abs_())


def add_square(accumulator: Tensor, gradient: Tensor) -> None:
    """Sum of the gradients' squares."""
    wide = gradient.float()
    accumulator.addcmul_(wide, wide)


_FOLDS: dict[str, Fold] = {"l1": add_absolute, "l2": add_square}
