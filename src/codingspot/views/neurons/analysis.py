"""The analysis of a model's language-specific neurons, from text to saved tables.

1. Activations are counted on every domain's packed text, in parts (counting.py).
2. Neurons are selected by entropy, and the sets compared over layers, domains, quantiles and amounts of text.
3. Each domain's neurons are silenced in turn, then random ones that match them: the loss of every domain's held-out
   text, and programs where tasks are given.

Counts and evaluations are saved piece by piece, so a run that was stopped resumes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd

from codingspot.analysis import Pieces
from codingspot.corpus import Corpus, Domain, pack
from codingspot.evaluation.adapter import ModelAdapter
from codingspot.evaluation.evaluator import Evaluator, require_answerable, sandbox_for
from codingspot.evaluation.results import Results
from codingspot.evaluation.tasks import TaskSpec, load_tasks
from codingspot.files import atomic_path, digest
from codingspot.models import LoadedModel
from codingspot.views import Say, Tables, ViewInputs, Work, what_is_read
from codingspot.views.neurons import NeuronSettings, Selection
from codingspot.views.neurons.ablation import matched_neurons, perplexity_ratios, silenced
from codingspot.views.neurons.counting import ActivationCounts, count_activations, load_parts, save_parts
from codingspot.views.neurons.selection import SELECTIONS, select
from codingspot.views.neurons.sites import NeuronLayout, find_sites
from codingspot.views.neurons.tables import layer_histogram, neuron_list, sharing, sweep

ORIGINAL: Final = ""
"""``ablated`` of the original model's rows."""
RANDOM: Final = "random"
"""``control`` of the matched random neurons' rows; empty for a domain's own neurons."""

_BATCH_TOKENS: Final = 4096


def prepare_neurons(given: ViewInputs, settings: NeuronSettings) -> Work:
    """What the analysis that ``settings`` describe depends on, and how it is made.

    Its tables are :mod:`codingspot.views.neurons.tables`, and of the edits: ``neurons_ablation``, one row an edit and
    evaluated domain: ``ablated``, ``control``, ``seed``, ``neurons`` silenced, ``evaluated``, ``tokens``, ``loss``
    (summed, nats), ``ratio`` of perplexities, and the ``selection``; ``neurons_tasks``, one row an edit and task:
    ``ablated``, ``control``, ``seed``, ``task``, ``items``, ``rate`` and the original model's rate.

    Raises:
        CodingSpotError: a task can't be loaded. The work itself refuses a model without MLP neurons, fewer than two
            domains, and a domain with less text than one sequence.
    """
    corpus, held_out = given.texts()
    tasks = load_tasks(tasks_of(settings))

    def make(pieces: Pieces, say: Say) -> Tables:
        with sandbox_for(tasks, unsafe=given.unsafe_no_sandbox) as sandbox:
            adapter = ModelAdapter(given.loaded.model, given.loaded.tokenizer)
            evaluator = Evaluator(adapter, tasks, held_out.domains, sandbox=sandbox, seed=settings.seed)
            return _tables(given.loaded, corpus, evaluator, settings, given.batch_tokens or _BATCH_TOKENS, pieces, say)

    return Work(neuron_inputs(given.loaded, corpus, held_out.domains, settings), make)


def check_neurons(given: ViewInputs, settings: NeuronSettings) -> None:
    """Check that the model has neurons that can be silenced, and can be evaluated on the tasks.

    Raises:
        CodingSpotError: it hasn't, or a task can't be loaded or run.
    """
    tasks = load_tasks(tasks_of(settings), tokenizer=given.loaded.tokenizer)
    if tasks:
        adapter = ModelAdapter(given.loaded.model, given.loaded.tokenizer, share_prefixes=False)
        with sandbox_for(tasks, workers=1, unsafe=given.unsafe_no_sandbox) as sandbox:
            require_answerable(adapter, tasks, sandbox)
    find_sites(given.loaded.model)  # it reads two tokens to see them, so after what needs no pass


def tasks_of(settings: NeuronSettings) -> list[TaskSpec]:
    """The tasks run with neurons silenced."""
    return [TaskSpec(name, limit=settings.limit) for name in settings.tasks]


def neuron_inputs(
    loaded: LoadedModel, corpus: Corpus, held_out: Sequence[Domain], settings: NeuronSettings
) -> dict[str, Any]:
    """What an analysis depends on: model, weights, texts and settings, as plain data."""
    return {
        **what_is_read(loaded, corpus),
        "held_out_fingerprint": digest(*(part for each in held_out for part in (each.name, *each.texts))),
        "settings": settings.model_dump(mode="json"),
    }


def _tables(
    loaded: LoadedModel,
    corpus: Corpus,
    evaluator: Evaluator,
    settings: NeuronSettings,
    batch_tokens: int,
    pieces: Pieces,
    progress: Say,
) -> Tables:
    layout = find_sites(loaded.model)
    edits = 1 + len(corpus.domains) * (1 + len(settings.control_seeds))
    steps = _Steps(progress, len(corpus.domains) + edits)
    parts = _counted(loaded, layout, corpus, pieces, settings, batch_tokens, steps)
    whole = sum(parts[1:], parts[0])
    found = {
        selection: select(
            whole.probabilities,
            whole.domains,
            selection=selection,
            size=settings.size,
            quantile=settings.quantile,
            exclusive=settings.exclusive,
        )
        for selection in SELECTIONS
    }
    evaluated = _Ablation(loaded, layout, evaluator, pieces, steps).matrix(
        whole, found[settings.selection], settings.control_seeds
    )

    def both(table: Callable[[Selection], pd.DataFrame]) -> pd.DataFrame:
        return pd.concat([table(each).assign(selection=each) for each in SELECTIONS], ignore_index=True)

    return {
        "neurons": both(lambda each: neuron_list(layout, whole, found[each])),
        "neurons_layers": both(lambda each: layer_histogram(layout, found[each])),
        "neurons_sharing": both(lambda each: sharing(layout, whole, found[each], settings.quantile)),
        "neurons_sweep": both(
            lambda each: sweep(
                parts, settings.quantiles, selection=each, size=settings.size, quantile=settings.quantile
            )
        ),
        "neurons_ablation": perplexity_ratios(evaluated[0]).assign(selection=settings.selection),
        "neurons_tasks": evaluated[1],
    }


@dataclass
class _Steps:
    """Turns finished pieces into a share of the whole."""

    progress: Say
    total: int
    done: int = 0

    def say(self, text: str) -> None:
        self.progress(text, self.done / self.total)
        self.done += 1


def _counted(
    loaded: LoadedModel,
    layout: NeuronLayout,
    corpus: Corpus,
    pieces: Pieces,
    settings: NeuronSettings,
    batch_tokens: int,
    steps: _Steps,
) -> list[ActivationCounts]:
    """Counts of all domains for each part of the text; a domain with less text has all of it in fewer parts."""
    by_domain = []
    for number, domain in enumerate(corpus.domains):
        steps.say(f"counting activations on {domain.name}")
        file = pieces.path(f"counts-{number}.safetensors")
        if not file.exists():
            packed = pack(
                domain,
                loaded.tokenizer,
                sequence_length=settings.sequence_length,
                token_budget=settings.token_budget,
                seed=settings.seed,
            )
            counted = count_activations(
                loaded.model,
                layout,
                domain.name,
                packed.input_ids,
                batch_tokens=batch_tokens,
                parts=min(settings.parts, len(packed.input_ids)),
            )
            save_parts(counted, file)
        by_domain.append(load_parts(file))
    wanted = max(map(len, by_domain))
    empty = [
        [ActivationCounts(each[0].domains, np.zeros_like(each[0].active), np.zeros_like(each[0].tokens))]
        for each in by_domain
    ]
    padded = [[*each, *(wanted - len(each)) * none] for each, none in zip(by_domain, empty, strict=True)]
    return [ActivationCounts.side_by_side(each) for each in zip(*padded, strict=True)]


@dataclass(frozen=True)
class _Edit:
    """What is silenced: a domain's neurons, a random draw like them, or nothing."""

    domain: str
    control: str = ""
    seed: int = -1
    neurons: np.ndarray | None = None

    @property
    def words(self) -> str:
        """What is being done."""
        control = f"{self.control} " if self.control else ""
        return f"silencing {control}neurons of {self.domain}" if self.domain else "evaluating the original model"

    def label(self, table: pd.DataFrame) -> pd.DataFrame:
        """``table`` with the columns that say which edit it is of."""
        number = 0 if self.neurons is None else len(self.neurons)
        return table.assign(ablated=self.domain, control=self.control, seed=self.seed, neurons=number)


@dataclass
class _Ablation:
    """Evaluates the model with neurons silenced, or finds what was evaluated before."""

    loaded: LoadedModel
    layout: NeuronLayout
    evaluator: Evaluator
    pieces: Pieces
    steps: _Steps

    def matrix(
        self, counts: ActivationCounts, found: dict[str, np.ndarray], seeds: Sequence[int]
    ) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Losses by edit and domain, and rates by edit and task."""
        edits = [_Edit(ORIGINAL)]
        for column, (domain, neurons) in enumerate(found.items()):
            edits.append(_Edit(domain, neurons=neurons))
            for seed in seeds:
                drawn = matched_neurons(self.layout, counts.probabilities[:, column], neurons, seed)
                edits.append(_Edit(domain, RANDOM, seed, drawn))
        losses, rates = [], []
        for number, edit in enumerate(edits):
            self.steps.say(edit.words)
            results = self._evaluate(f"edit-{number}", edit.neurons)
            losses.append(edit.label(_sums(results.losses)))
            rates.append(edit.label(_rates(results.outcomes)))
        tasks = pd.concat(rates, ignore_index=True)
        original = tasks[tasks["ablated"] == ORIGINAL].set_index("task")["rate"]
        tasks = tasks.assign(original=tasks["task"].map(original).astype(float))
        return pd.concat(losses, ignore_index=True), tasks[tasks["ablated"] != ORIGINAL].reset_index(drop=True)

    def _evaluate(self, name: str, neurons: np.ndarray | None) -> Results:
        folder = self.pieces.path(name)
        if not folder.exists():
            quiet = nullcontext() if neurons is None else silenced(self.loaded.model, self.layout, neurons)
            with quiet:
                results = self.evaluator.evaluate(name, require_finite=neurons is None)
            with atomic_path(folder) as temporary:
                temporary.mkdir()
                results.write(temporary)
        return Results.read(folder)


def _sums(losses: pd.DataFrame) -> pd.DataFrame:
    sums = losses.groupby("domain", sort=False, as_index=False)[["tokens", "loss"]].sum()
    return sums.rename(columns={"domain": "evaluated"})


def _rates(outcomes: pd.DataFrame) -> pd.DataFrame:
    grouped = outcomes.groupby("task", sort=False, as_index=False)
    return grouped.agg(items=("outcome", "size"), rate=("outcome", "mean"))
