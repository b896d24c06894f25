"""What evaluating a study's cells takes: the tokens that are read and written over all of them, and memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import groupby

import torch
from lm_eval.models.utils import normalize_gen_kwargs
from transformers import PreTrainedModel

from codingspot.corpus import Corpus
from codingspot.errors import ModelError
from codingspot.estimation.footprint import DatalessModel
from codingspot.estimation.peaks import MemoryPeak
from codingspot.evaluation.adapter import BATCH_TOKENS, CACHE_TOKENS, MAX_NEW_TOKENS
from codingspot.evaluation.batch_support import smallest_window
from codingspot.evaluation.cached_batch import CachedBatch
from codingspot.evaluation.harness import TaskLibrary
from codingspot.evaluation.prefix_tree import ancestor_mask
from codingspot.evaluation.tasks import EvaluationTask, load_tasks
from codingspot.models import MAX_LOGITS
from codingspot.study.cells import Cell
from codingspot.study.evaluation_section import EvaluationSection

LOSSES = "held-out losses"
_BYTES_A_TOKEN = 3  # of code and of English, by vocabularies of 2,000 to 150,000: 2.5 to 4.5
_GENERATED_ROW = 512  # tokens of a prompt and its completion


@dataclass(frozen=True)
class Tokens:
    """Tokens that a stage reads, and those that it generates, at most."""

    read: int
    written: int = 0


def evaluation_tokens(
    section: EvaluationSection, cells: Sequence[Cell], domains: Corpus, documents: int | None
) -> dict[str, Tokens | None]:
    """Tokens of the held-out losses and of every task, over all ``cells``; None of a task whose items are on the Hub.

    ``documents`` are those held out of each of ``domains``, whose texts tell how long they are; None where they don't.
    """
    lengths = [sum(map(_tokens, each.texts)) / len(each.texts) for each in domains.domains]
    most = section.perplexity_tokens
    losses = sum(most if documents is None else min(most, round(documents * length)) for length in lengths)
    asked = sum(map(section.asks_at, cells))
    found: dict[str, Tokens | None] = {LOSSES: Tokens(len(cells) * losses)}
    library = TaskLibrary() if section.tasks() else None
    for _, spec in section.tasks():
        found[spec.name] = None
        if library is not None and (spec.data is not None or library.has_items(spec.name)):
            (task,) = load_tasks([replace(spec, chat_template=False)], library)  # a template needs the tokenizer
            once = _of_task(task)
            found[spec.name] = Tokens(asked * once.read, asked * once.written)
    return found


def _of_task(task: EvaluationTask) -> Tokens:
    """Of one cell: a question is read once for all its choices, and completions are as long as they may be."""
    read = written = 0
    for context, requests in groupby(task.requests, key=lambda request: str(request.args[0])):
        read += _tokens(context)
        for request in requests:
            if request.request_type == "generate_until":
                written += int(normalize_gen_kwargs(request.args[1], MAX_NEW_TOKENS)["max_gen_toks"])
            else:
                read += _tokens(str(request.args[1]))
    return Tokens(read, written)


def _tokens(text: str) -> int:
    return -(-len(text.encode(errors="replace")) // _BYTES_A_TOKEN)


def evaluation_peaks(
    model: DatalessModel, weight_bytes: int, section: EvaluationSection, device: str
) -> Iterator[MemoryPeak]:
    """Weights and a batch of held-out text and, where there are tasks, of choices, and of prompts with their cache.

    A stage that doesn't run without data is left out.
    """
    batch, cache = section.batch_tokens or BATCH_TOKENS[device], CACHE_TOKENS[device]
    config = model.model.config.get_text_config()
    longest = int(getattr(config, "max_position_embeddings", None) or batch)
    row = min(smallest_window(model.model, longest), batch)

    def text(_run: PreTrainedModel) -> None:
        window = min(section.perplexity_window, longest)
        ids = torch.zeros((max(1, batch // window), window), dtype=torch.int64)
        model.head(MAX_LOGITS[device]).text_loss(ids)

    def choices(run: PreTrainedModel) -> None:
        head = model.head(MAX_LOGITS[device])
        ids = torch.zeros((batch // row, row), dtype=torch.int64)
        mask = ancestor_mask(ids, run.dtype)  # of rows in which texts share their beginnings
        states = head.states(ids, position_ids=ids, attention_mask=mask).flatten(0, 1)
        del mask
        head.summed_loss(states, ids.flatten())

    def generation(run: PreTrainedModel) -> None:
        length = min(_GENERATED_ROW, longest)
        rows = max(1, cache // length)
        CachedBatch(run, [[0] * (length - 1)] * rows).extend([0] * rows)

    known: dict[str, tuple[str, Callable[[PreTrainedModel], None]]] = {LOSSES: ("activations and logits", text)}
    if section.tasks():
        known["choices of tasks"] = ("activations and logits", choices)
        known["generation"] = ("key-value cache and activations", generation)
    for stage, (what, run) in known.items():
        try:
            peak = model.takes(partial(partial, torch.no_grad()(run)))
        except ModelError:
            continue
        yield MemoryPeak(stage, "device", {"weights": weight_bytes, what: peak})
