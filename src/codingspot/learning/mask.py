"""A mask learned on frozen weights: which parameters to remove so that code goes and general ability stays.

1. A shortlist (a spot by a cheaper recipe) is all that may be removed; every parameter on it has a removal score, at
   first falling with its place there.
2. Each step takes a dose by turns and zeroes, in place, that many parameters with the highest scores.
3. The loss is ``general_weight`` times that of general text plus max(0, ``code_floor`` minus that of code), in nats a
   token: code is pushed up to the floor and no further.
4. The gradient passes straight through the choice (Bengio et al. 2013, arXiv 1308.3432): removing parameter i
   changes the loss by -theta_i g_i to first order, whether it is removed at the moment or not. Adam moves the scores.
5. Every few steps the objective is taken on other text, as a mean over the doses. The best scores are kept, and
   learning stops when they have not improved for a while.

The order of the final scores is the spot: every dose was trained as a prefix of it. Choosing a subnetwork by the top
of learned scores is Ramanujan et al. 2020 (arXiv 1911.13299). Gradients are read where the shortlist is and freed
tensor by tensor, so that the memory taken beyond weights and activations is that of the shortlist and one gradient.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Annotated

import numpy as np
import torch
from jaxtyping import Float32, Int64
from pydantic import Field
from torch import Tensor, nn

from codingspot.corpus import PackedTokens
from codingspot.errors import NonFiniteError, SelectionError, StudyError
from codingspot.importance.accumulation import gradients_enabled
from codingspot.models import LoadedModel, OutputHead, unique_parameters
from codingspot.provenance import library_versions
from codingspot.settings import Count, Doses, Seed, check_fields
from codingspot.spot import Spot, TrainedSpot

_BYTES_A_PARAMETER = 8 + 4 + 4 + 8 + 4  # position, weight, score, Adam's moments, gradient


@dataclass(frozen=True)
class LearnSettings:
    """How a mask is learned.

    Attributes:
        doses: percentages of all the model's parameters that are trained, increasing; smaller prefixes of the spot
            are their own order.
        steps: most steps.
        learning_rate: of Adam, in units of the scores' initial range (0 to 1).
        sequences: sequences of code, and as many of general text, in a step.
        code_floor: loss of code in nats a token beyond which nothing more is gained.
        general_weight: of the general loss.
        validation_sequences: sequences of each kind kept for early stopping.
        patience: validations without improvement before learning stops.
        validate_every: steps between validations.
        seed: of the batches.

    Raises:
        StudyError: a value is not what its type says.
    """

    doses: Doses = (0.1, 0.25, 0.5, 1.0)
    steps: Count = 140
    learning_rate: Annotated[float, Field(gt=0)] = 0.05
    sequences: Count = 4
    code_floor: float = 4.0
    general_weight: Annotated[float, Field(ge=0)] = 3.0
    validation_sequences: Count = 12
    patience: Count = 4
    validate_every: Count = 20
    seed: Seed = 0

    def __post_init__(self) -> None:
        try:
            check_fields(self)
        except ValueError as error:
            raise StudyError(f"a learned mask: {error}; correct it") from None


def learn_mask(
    loaded: LoadedModel,
    code: Mapping[str, PackedTokens],
    general: Mapping[str, PackedTokens],
    shortlist: Spot,
    settings: LearnSettings | None = None,
    *,
    on_step: Callable[[int, int], None] = lambda _done, _steps: None,
) -> TrainedSpot:
    """Learn which parameters of ``shortlist`` to remove. The model's weights are put back bit for bit.

    The spot is as long as the largest dose. Columns of its curve: ``step``, ``part`` (training or validation),
    ``k_percent``, ``code_loss`` and ``general_loss`` (nats a token), and ``objective``.

    ``code`` and ``general`` are packed sequences by domain; sequences of a kind are drawn alike from all its domains.
    ``on_step`` hears the steps done and those there are at most.

    Raises:
        SelectionError: the shortlist is smaller than the largest dose, or one kind of text has too few sequences.
        FingerprintError: the shortlist was found in other weights.
        NonFiniteError: a loss is not a number.
    """
    settings = settings or LearnSettings()
    shortlist.check_model(loaded.fingerprint)
    counts = _counts(settings, shortlist)
    texts = _Texts.split(code, general, settings)
    weights = _Shortlisted(loaded.model, shortlist)
    scores = torch.linspace(1, 0, len(shortlist), dtype=torch.float32)
    optimizer = torch.optim.Adam([scores], lr=settings.learning_rate)
    rows: list[dict[str, object]] = []
    best, best_objective, stale = scores.clone(), np.inf, 0

    def validate(step: int) -> float:
        losses = [_losses(weights, scores, n, texts.validation(), learn=None) for n in counts]
        return _record(rows, step, "validation", settings, losses)

    with weights.restored():
        for step in range(settings.steps):
            if step % settings.validate_every == 0:
                objective = validate(step)
                if objective < best_objective:
                    best, best_objective, stale = scores.clone(), objective, 0
                else:
                    stale += 1
                if stale >= settings.patience:
                    break
            dose = step % len(counts)
            gradient = torch.zeros_like(scores)
            losses = _losses(weights, scores, counts[dose], texts.draw(step), learn=(gradient, settings))
            _record(rows, step, "training", settings, [losses], settings.doses[dose])
            scores.grad = gradient
            optimizer.step()
            on_step(step + 1, settings.steps)
        else:
            if validate(settings.steps) < best_objective:
                best = scores.clone()
    spot = _spot(shortlist, best, counts[-1], settings, code, general)
    import pandas as pd  # what lists recipes does without

    return TrainedSpot(spot, shortlist, pd.DataFrame(rows))


def learning_memory(shortlisted: int, largest_tensor: int, bytes_a_weight: int) -> int:
    """Bytes taken beyond weights and activations: the shortlist's, and the gradient of the largest tensor."""
    return shortlisted * _BYTES_A_PARAMETER + largest_tensor * bytes_a_weight


class _Shortlisted:
    """The model's weights at the shortlist, which of them are removed, and the gradients there."""

    def __init__(self, model: nn.Module, shortlist: Spot) -> None:
        self.model, self.head = model, OutputHead(model)
        self._located = [
            (parameter.view(-1), located.offsets.to(parameter.device), located.source)
            for name, located in shortlist.layout.locate(shortlist.positions).items()
            for parameter in [unique_parameters(model)[name]]
        ]
        self._originals = [flat[offsets].detach().clone() for flat, offsets, _ in self._located]

    @torch.no_grad()
    def remove(self, removed: Tensor) -> None:
        """Zero the weights where ``removed`` (bool [shortlist]) is true, and put the others back."""
        for (flat, offsets, source), original in zip(self._located, self._originals, strict=True):
            flat[offsets] = original.masked_fill(removed[source].to(flat.device), 0)

    @contextmanager
    def restored(self) -> Iterator[None]:
        """Every weight comes back at the end."""
        try:
            with gradients_enabled(self.model):
                yield
        finally:
            self.remove(torch.zeros(sum(len(o) for o in self._originals), dtype=torch.bool))

    @contextmanager
    def collecting(self, gradient: Float32[Tensor, " shortlist"]) -> Iterator[None]:
        """Add -theta g of every weight on the shortlist to ``gradient`` as soon as g is there, and free g."""
        by_parameter: dict[nn.Parameter, list[int]] = {}
        parameters = list(unique_parameters(self.model).values())
        for index, (flat, _, _) in enumerate(self._located):
            owner = next(p for p in parameters if p.data_ptr() == flat.data_ptr())
            by_parameter.setdefault(owner, []).append(index)

        def fold(parameter: Tensor) -> None:
            assert parameter.grad is not None
            for index in by_parameter.get(parameter, []):  # type: ignore[call-overload]
                _, offsets, source = self._located[index]
                found = parameter.grad.view(-1)[offsets].float() * self._originals[index].float()
                gradient[source] -= found.cpu()
            parameter.grad = None

        handles = [
            parameter.register_post_accumulate_grad_hook(fold)  # type: ignore[no-untyped-call]
            for parameter in parameters
        ]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()


@dataclass(frozen=True)
class _Texts:
    """Sequences of both kinds, [sequences, length], those for training and those for validation."""

    training: tuple[Int64[Tensor, "_ length"], Int64[Tensor, "_ length"]]
    kept: tuple[Int64[Tensor, "_ length"], Int64[Tensor, "_ length"]]
    sequences: int
    seed: int

    @classmethod
    def split(
        cls, code: Mapping[str, PackedTokens], general: Mapping[str, PackedTokens], settings: LearnSettings
    ) -> _Texts:
        parts = []
        for kind, domains in (("code", code), ("general", general)):
            if not domains:
                raise SelectionError(f"a learned mask needs {kind} text; give at least one domain of it")
            # Domains are interleaved, so that both parts have all of them.
            whole = torch.stack(
                [row for rows in zip(*(d.input_ids for d in domains.values()), strict=False) for row in rows]
            )
            kept = settings.validation_sequences
            if len(whole) - kept < settings.sequences:
                raise SelectionError(
                    f"{len(whole)} sequences of {kind} text are too few to learn from; raise the token budget"
                )
            parts.append((whole[kept:], whole[:kept]))
        (code_train, code_kept), (general_train, general_kept) = parts
        return cls((code_train, general_train), (code_kept, general_kept), settings.sequences, settings.seed)

    def draw(self, step: int) -> tuple[Tensor, Tensor]:
        """The sequences of one step, of both kinds."""
        generator = np.random.default_rng([self.seed, step])
        drawn = [part[generator.choice(len(part), self.sequences, replace=False)] for part in self.training]
        return drawn[0], drawn[1]

    def validation(self) -> tuple[Tensor, Tensor]:
        """Sequences that are never learned from."""
        return self.kept


def _counts(settings: LearnSettings, shortlist: Spot) -> list[int]:
    counts = [shortlist.count(k) for k in settings.doses]
    if counts[-1] >= len(shortlist):
        raise SelectionError(
            f"the shortlist has {len(shortlist)} parameters, too few to choose {counts[-1]} from; lengthen it"
        )
    return counts


def _losses(
    weights: _Shortlisted,
    scores: Tensor,
    count: int,
    texts: tuple[Tensor, Tensor],
    *,
    learn: tuple[Tensor, LearnSettings] | None,
) -> tuple[float, float]:
    """Mean loss of code and of general text with the top ``count`` removed; with ``learn``, its gradient too."""
    removed = torch.zeros(len(scores), dtype=torch.bool)
    removed[scores.topk(count).indices] = True
    weights.remove(removed)
    found = []
    for kind, sequences in zip(("code", "general"), texts, strict=True):
        predicted = sequences.shape[0] * (sequences.shape[1] - 1)
        with torch.set_grad_enabled(learn is not None):
            loss = weights.head.text_loss(sequences) / predicted
        value = float(loss.detach())
        if not np.isfinite(value):
            raise NonFiniteError(f"the loss of {kind} text is {value} with {count} weights removed; load it in float32")
        found.append(value)
        if learn is None:
            continue
        gradient, settings = learn
        if kind == "general" or value < settings.code_floor:
            with weights.collecting(gradient):
                (settings.general_weight * loss if kind == "general" else -loss).backward()  # type: ignore[no-untyped-call]
    return found[0], found[1]


def _record(
    rows: list[dict[str, object]],
    step: int,
    part: str,
    settings: LearnSettings,
    losses: list[tuple[float, float]],
    dose: float | None = None,
) -> float:
    objectives = []
    for k, (code, general) in zip((dose,) if dose is not None else settings.doses, losses, strict=True):
        objective = settings.general_weight * general + max(0.0, settings.code_floor - code)
        objectives.append(objective)
        rows.append(
            {
                "step": step,
                "part": part,
                "k_percent": k,
                "code_loss": code,
                "general_loss": general,
                "objective": objective,
            }
        )
    return float(np.mean(objectives))


def _spot(
    shortlist: Spot,
    scores: Tensor,
    count: int,
    settings: LearnSettings,
    code: Mapping[str, PackedTokens],
    general: Mapping[str, PackedTokens],
) -> Spot:
    order = torch.argsort(scores, descending=True, stable=True)[:count]
    metadata = {
        **shortlist.metadata,
        "recipe": {"name": "learned", **asdict(settings), "shortlist": shortlist.metadata.get("recipe")},
        "languages": list(code),
        "general": list(general),
        "k_percent": settings.doses[-1],
        "versions": library_versions(),
    }
    return Spot(shortlist.positions[order], scores[order].clone(), shortlist.layout, metadata)
