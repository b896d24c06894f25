"""How fast this machine goes through a study's stages, measured on random tokens, and the time that follows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from time import perf_counter

import torch
from jaxtyping import Int64
from torch import Tensor
from transformers import PreTrainedModel

from codingspot.corpus import PackedTokens
from codingspot.estimation.estimate import Estimate
from codingspot.estimation.evaluating import Tokens
from codingspot.evaluation.adapter import ModelAdapter
from codingspot.evaluation.cached_batch import CachedBatch
from codingspot.evaluation.likelihood import Continuation, log_likelihoods
from codingspot.importance import ESTIMATORS, micro_batch, resolve
from codingspot.importance.estimators import DomainInput
from codingspot.models import LoadedModel, unique_parameters
from codingspot.spot.selection import KeyChunk, select_top
from codingspot.study.config import Study

_SECONDS = 2.5  # for each of four measurements, where doing it twice doesn't take longer
_MICRO_BATCHES = 4
_PROMPT = 256  # tokens of a prompt, and at most as many after it
_KEYS = 1 << 22
_ROWS, _WIDTH = 256, 1024


@dataclass(frozen=True)
class Speeds:
    """What is done in a second: tokens scored, read and generated, and scores read in memory to select a spot."""

    scoring: float
    reading: float
    generation: float
    selection: float


def slower_than_float32(dtype: torch.dtype) -> float:
    """How many times as long as in float32 this processor takes for a product of matrices in another type.

    Where it has no instructions for half precision (AVX-512 or AMX on x86) that is several times.
    """
    return _product_seconds(dtype) / _product_seconds(torch.float32)


def _product_seconds(dtype: torch.dtype) -> float:
    """The shortest of three times, after one that isn't counted."""
    states, weights = torch.zeros(_ROWS, _WIDTH, dtype=dtype), torch.zeros(_WIDTH, _WIDTH, dtype=dtype)
    seconds = []
    for _ in range(4):
        start = perf_counter()
        torch.nn.functional.linear(states, weights)
        seconds.append(perf_counter() - start)
    return min(seconds[1:])


def measure_speeds(study: Study, loaded: LoadedModel) -> Speeds:
    """The speeds of ``study`` on its model and this machine; takes ten seconds or, of a slow machine, two of each."""
    adapter = ModelAdapter(loaded.model, loaded.tokenizer, batch_tokens=study.evaluation.batch_tokens)
    adapter.try_batches()
    works = (_scoring(study, loaded), _reading(study, adapter), _generation(adapter), _selection())
    return Speeds(*map(_rate, works))


def stage_seconds(found: Estimate, speeds: Speeds) -> dict[str, float | None]:
    """Seconds of every stage of ``found``, and of all that are known in ``total``; None of tasks that aren't known.

    A stage before the evaluation takes as long as scoring does for as many operations.
    """
    flops_a_second = found.footprint.flops_per_token * speeds.scoring
    seconds: dict[str, float | None] = {stage: flops / flops_a_second for stage, flops in found.flops.items()}
    if found.selected_from:
        seconds["selection"] = found.selected_from / speeds.selection
    for stage, tokens in found.evaluation.items():
        seconds[stage] = None if tokens is None else _seconds(tokens, speeds)
    return {**seconds, "total": sum(each or 0.0 for each in seconds.values())}


def _seconds(tokens: Tokens, speeds: Speeds) -> float:
    return tokens.read / speeds.reading + tokens.written / speeds.generation


def _rate(work: Iterator[int]) -> float:
    """What is done in a second; the first time, when things are set up, doesn't count unless it took too long."""
    done: list[tuple[int, float]] = []
    start = last = perf_counter()
    for amount in work:
        now = perf_counter()
        done.append((amount, now - last))
        last = now
        if len(done) > 1 and now - start >= _SECONDS:
            break
    counted = done[1:] or done
    return sum(amount for amount, _ in counted) / sum(seconds for _, seconds in counted)


def _scoring(study: Study, loaded: LoadedModel) -> Iterator[int]:
    section, model = study.scoring, loaded.model
    weights = unique_parameters(model)
    parameters = sum(weight.numel() for weight in weights.values())
    at_once = micro_batch(section.micro_batch_tokens, parameters, model.device.type)
    batch = max(1, at_once // section.sequence_length)
    budget = max(1, section.token_budget // section.sequence_length)
    ids = _random(model, min(budget, _MICRO_BATCHES * batch), section.sequence_length)
    given = DomainInput(model, PackedTokens("random", ids, 1, 0), weights, at_once)
    estimator = ESTIMATORS.bind(*resolve(section.estimator, section.parameters))
    while True:
        estimator(given)
        yield ids.numel()


def _reading(study: Study, adapter: ModelAdapter) -> Iterator[int]:
    window = min(study.evaluation.perplexity_window, adapter.max_length)
    ids = _random(adapter.model, max(1, adapter.batch_tokens // window), window)
    rows = [Continuation(tuple(row), 1, owner) for owner, row in enumerate(ids.tolist())]
    batches = adapter.lay_out(rows)
    while True:
        log_likelihoods(adapter.model, batches, len(rows))
        yield ids.numel()


def _generation(adapter: ModelAdapter) -> Iterator[int]:
    length = min(_PROMPT, adapter.max_length // 2)
    prompts = _random(adapter.model, max(1, adapter.cache_tokens // (2 * length)), length).tolist()
    batch = CachedBatch(adapter.model, prompts)
    for _ in range(length):
        batch.extend(batch.logits.argmax(-1).tolist())
        yield len(prompts)


def _selection() -> Iterator[int]:
    keys = torch.randn(_KEYS, generator=torch.Generator().manual_seed(0))
    while True:
        select_top(lambda: [KeyChunk("random", 0, keys)], _KEYS // 100)
        yield _KEYS


def _random(model: PreTrainedModel, rows: int, length: int) -> Int64[Tensor, "rows length"]:
    vocabulary = int(model.config.get_text_config().vocab_size)
    return torch.randint(vocabulary, (rows, length), generator=torch.Generator().manual_seed(0))
