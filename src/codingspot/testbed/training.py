"""Training a testbed model: seeded, resumable, on whatever device there is.

1. A tokenizer is trained on documents of a shard of its own.
2. Documents come in shards of `STEPS_PER_SHARD` batches, each made from (seed, phase, shard) alone, by a process
   of their own.
3. Each step is one AdamW update on `batch_tokens` tokens packed without padding (loss over every token).
4. After every shard the weights, the optimizer's moments and the loss curve are saved; a stopped run resumes there.

No artefact is a pickle: the checkpoint is one safetensors file.
"""

from __future__ import annotations

import itertools
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch.nn.functional import cross_entropy
from transformers import PreTrainedModel, PreTrainedTokenizerBase, PreTrainedTokenizerFast

from codingspot.directories import held, renewed_folder
from codingspot.errors import ArtefactError, FingerprintError, NonFiniteError
from codingspot.files import atomic_path, reason, write_json, write_text
from codingspot.models import usable_device
from codingspot.models.loading import quiet
from codingspot.outputs import holds_model, own_manifest
from codingspot.testbed.architecture import build_model
from codingspot.testbed.recipe import Recipe, read_recipe
from codingspot.testbed.routing import Router, Split, Subset
from codingspot.testbed.tokenizer import train_tokenizer
from codingspot.testbed.world import training_documents
from codingspot.tokenization import encode

STEPS_PER_SHARD = 32
TOKENIZER_DOCUMENTS = 12_000
_FORMAT = "codingspot-training"
_RECIPE = "recipe.json"
_EXPORTED = {"config.json", "model.safetensors", "loss.csv"}

Progress = Callable[[int, int, float], None]
"""Called after each step with (steps done, steps in all, loss in nats per token)."""


@dataclass
class _State:
    model: PreTrainedModel
    optimizer: torch.optim.AdamW
    step: int
    losses: list[tuple[int, int, float]]
    router: Router | None = None


def train(recipe: Recipe, out: Path, *, device: str | None = None, progress: Progress | None = None) -> Path:
    """Train a testbed model into ``out`` and return that folder.

    The folder holds ``config.json``, ``model.safetensors`` (float16), the tokenizer, ``recipe.json`` and
    ``loss.csv`` (step, tokens seen, loss in nats per token). While training runs, ``checkpoint/`` holds the state.
    Where training has finished, nothing is written.

    Raises:
        FingerprintError: ``out`` holds a run with another recipe, or is no training's directory
            (:func:`codingspot.directories.held`); or a file of the user's stands where the model's belongs.
        ModelError: the device can't be used (:func:`codingspot.models.usable_device`).
        NonFiniteError: the loss became NaN or infinite.
    """
    place = usable_device(device)
    with held(out, _FORMAT, unmarked=lambda folder: holds_model(Recipe, folder / _RECIPE)):
        return _train(recipe, out, str(place), progress)


def _train(recipe: Recipe, out: Path, device: str, progress: Progress | None) -> Path:
    _claim(recipe, out)
    if is_trained(out):
        return out
    tokenizer = _tokenizer(recipe, out)
    state = _load_state(recipe, tokenizer, out / "checkpoint", device)
    # Spawned, so that the worker starts without the parent's threads. Ctrl-C, which reaches both, ends the worker
    # without a traceback.
    spawned, silently = torch.multiprocessing.get_context("spawn"), (signal.SIGINT, signal.SIG_DFL)
    with ProcessPoolExecutor(1, mp_context=spawned, initializer=signal.signal, initargs=silently) as pool:
        first = 0
        for number, phase in enumerate(recipe.phases):
            if state.step < first + recipe.phase_steps(phase):
                _train_phase(_Run(recipe, out, device, pool, progress), state, number, first)
            first += recipe.phase_steps(phase)
    with renewed_folder(out, _FORMAT) as temporary:
        if recipe.routing is not None:
            Subset.of(recipe.routing, state.model.config, recipe.seed).save(temporary)
        _export(state.model, state.losses, temporary)
    return out


def is_trained(out: Path) -> bool:
    """Whether ``out`` holds all that a finished training writes."""
    manifest = own_manifest(out)
    files = manifest.listed if manifest else set()
    return all((out / name).exists() for name in files | _EXPORTED)


def _claim(recipe: Recipe, out: Path) -> None:
    path = out / _RECIPE
    if path.exists() and read_recipe(path) != recipe:
        raise FingerprintError(f"{out} holds a training run with another recipe; choose another --out or delete it")
    if not path.exists():
        write_json(path, recipe.model_dump(mode="json"))


def _tokenizer(recipe: Recipe, out: Path) -> PreTrainedTokenizerBase:
    if not (out / "tokenizer.json").exists():
        documents = itertools.islice(
            training_documents(recipe.seed, "-1", recipe.mixture(recipe.phases[0])), TOKENIZER_DOCUMENTS
        )
        train_tokenizer(documents, vocabulary_size=recipe.vocabulary_size, context=recipe.context).save_pretrained(out)
    tokenizer: PreTrainedTokenizerBase = PreTrainedTokenizerFast.from_pretrained(out)
    return tokenizer


def _new_state(recipe: Recipe, tokenizer: PreTrainedTokenizerBase, device: str) -> _State:
    with torch.random.fork_rng():
        torch.manual_seed(recipe.seed)
        model = build_model(
            recipe.architecture,
            hidden_size=recipe.hidden_size,
            layers=recipe.layers,
            heads=recipe.heads,
            key_value_heads=recipe.key_value_heads,
            mlp_size=recipe.mlp_size,
            vocabulary_size=len(tokenizer),
            context=recipe.context,
            end_of_text=int(tokenizer.eos_token_id),
        )
    model.to(torch.device(device))  # type: ignore[arg-type]  # transformers hides the signature
    if torch.device(device).type == "cpu":
        # At sequences this short, fused attention makes a step take longer there than plain matrix products.
        model.set_attn_implementation("eager")
    matrices = [p for p in model.parameters() if p.dim() >= 2]
    vectors = [p for p in model.parameters() if p.dim() < 2]
    optimizer = torch.optim.AdamW(
        [{"params": matrices, "weight_decay": recipe.weight_decay}, {"params": vectors, "weight_decay": 0.0}],
        betas=(0.9, 0.95),
        fused=True,
    )
    router = None if recipe.routing is None else Router(model, Subset.of(recipe.routing, model.config, recipe.seed))
    return _State(model.train(), optimizer, 0, [], router)


@dataclass(frozen=True)
class _Run:
    recipe: Recipe
    out: Path
    device: str
    pool: ProcessPoolExecutor
    progress: Progress | None


def _train_phase(run: _Run, state: _State, number: int, first: int) -> None:
    """Train one phase, whose steps begin at ``first``, from where the state stands."""
    recipe, phase = run.recipe, run.recipe.phases[number]
    steps = recipe.phase_steps(phase)
    shards = range((state.step - first) // STEPS_PER_SHARD, -(-steps // STEPS_PER_SHARD))

    def prepare(shard: int) -> Future[npt.NDArray[np.int64]]:
        return run.pool.submit(shard_tokens, recipe, run.out, number, shard)

    pending = prepare(shards[0])
    for shard in shards:
        tokens = pending.result()
        if shard + 1 in shards:
            pending = prepare(shard + 1)
        for index in range(min(STEPS_PER_SHARD, steps - shard * STEPS_PER_SHARD)):
            step = state.step - first
            start = index * recipe.batch_tokens
            batch = torch.from_numpy(tokens[start : start + recipe.batch_tokens])
            batch = batch.view(-1, recipe.length_at(phase, step)).to(run.device)
            loss = _step(state, batch, phase.learning_rate_at(step, steps), recipe.split(phase))
            if not np.isfinite(loss):
                raise NonFiniteError(f"the training loss became {loss} at step {state.step}; lower --learning-rate")
            state.step += 1
            state.losses.append((state.step, state.step * recipe.batch_tokens, loss))
            if run.progress is not None:
                run.progress(state.step, recipe.steps, loss)
        _save_state(state, run.out / "checkpoint")


def shard_tokens(recipe: Recipe, out: Path, phase: int, shard: int) -> npt.NDArray[np.int64]:
    """Token ids of one shard of a phase: its documents, each followed by the end-of-text token, cut to length.

    Where the recipe has several streams of text, each batch holds them one after the other, each by its share.
    """
    tokenizer = PreTrainedTokenizerFast.from_pretrained(out)
    label = str(shard) if phase == 0 else f"{phase}/{shard}"
    parts = []
    for mixture, share in recipe.streams(recipe.phases[phase]):
        documents = training_documents(recipe.seed, label, mixture)
        ids = _tokens(tokenizer, documents, STEPS_PER_SHARD * round(recipe.batch_tokens * share))
        parts.append(ids.reshape(STEPS_PER_SHARD, -1))
    return np.concatenate(parts, axis=1).ravel()


def _tokens(tokenizer: PreTrainedTokenizerBase, documents: Iterator[str], wanted: int) -> npt.NDArray[np.int64]:
    pieces: list[int] = []
    while len(pieces) < wanted:
        for ids in encode(tokenizer, list(itertools.islice(documents, 256))):
            pieces.extend(ids)
            pieces.append(int(tokenizer.eos_token_id))
    return np.asarray(pieces[:wanted], dtype=np.int64)


def _step(state: _State, batch: torch.Tensor, learning_rate: float, split: Split) -> float:
    """One update on ``batch`` [sequences, length]; returns the loss in nats per predicted token.

    ``split`` says which sequences are code, where code is routed.
    """
    for group in state.optimizer.param_groups:
        group["lr"] = learning_rate
    if state.router is None:
        loss = _loss(state.model, batch)
        loss.backward()  # type: ignore[no-untyped-call]
    else:
        code, general = batch.tensor_split([round(len(batch) * split.code)])
        loss = state.router.backward(_loss, code, general)
    torch.nn.utils.clip_grad_norm_(state.model.parameters(), 1.0)
    with nullcontext() if state.router is None else state.router.moving(split):
        state.optimizer.step()
    state.optimizer.zero_grad(set_to_none=True)
    return loss.item()


def _loss(model: PreTrainedModel, batch: torch.Tensor) -> torch.Tensor:
    """Mean loss in nats over the predicted tokens of ``batch`` [sequences, length]."""
    with torch.autocast(batch.device.type, dtype=torch.bfloat16):
        logits = model(input_ids=batch, use_cache=False).logits[:, :-1]
    return cross_entropy(logits.float().flatten(0, 1), batch[:, 1:].flatten())


def _save_state(state: _State, folder: Path) -> None:
    tensors = {f"weight.{name}": p.detach().contiguous() for name, p in state.model.named_parameters()}
    for name, parameter in state.model.named_parameters():
        for moment in ("exp_avg", "exp_avg_sq"):
            tensors[f"{moment}.{name}"] = state.optimizer.state[parameter][moment].contiguous()
    tensors["losses"] = torch.tensor(state.losses, dtype=torch.float64)
    with atomic_path(folder / "state.safetensors") as temporary:
        save_file(tensors, temporary, {"step": str(state.step)})


def _load_state(recipe: Recipe, tokenizer: PreTrainedTokenizerBase, folder: Path, device: str) -> _State:
    state = _new_state(recipe, tokenizer, device)
    path = folder / "state.safetensors"
    if not path.exists():
        return state
    try:
        with safe_open(path, framework="pt", device=device) as saved:
            state.step = int(saved.metadata()["step"])
            state.losses = [(int(a), int(b), c) for a, b, c in saved.get_tensor("losses").tolist()]
            for name, parameter in state.model.named_parameters():
                parameter.data.copy_(saved.get_tensor(f"weight.{name}"))
                state.optimizer.state[parameter] = {
                    "step": torch.tensor(float(state.step), device=device),
                    "exp_avg": saved.get_tensor(f"exp_avg.{name}"),
                    "exp_avg_sq": saved.get_tensor(f"exp_avg_sq.{name}"),
                }
    except (SafetensorError, OSError, ValueError, TypeError, KeyError, RuntimeError) as error:  # of another shape, ...
        said = reason(error)
        raise ArtefactError(f"{path} is truncated or corrupt ({said}); delete {folder} to train anew") from None
    return state


def _export(model: PreTrainedModel, losses: list[tuple[int, int, float]], folder: Path) -> None:
    rows = [f"{step},{tokens},{loss:.5f}" for step, tokens, loss in losses]
    write_text(folder / "loss.csv", "\n".join(["step,tokens,loss", *rows]) + "\n")
    with quiet(bars=True):
        model.half().save_pretrained(folder)  # type: ignore[no-untyped-call]
