"""The analysis of a model's language-specific neurons, from text to saved tables.

1. Activations are counted on every domain's packed text, in parts (counting.py).
2. Neurons are selected by entropy, and the sets compared over layers, domains, quantiles and amounts of text.
3. Each domain's neurons are silenced in turn, then random ones that match them: the loss of every domain's held-out
   text, and programs where tasks are given.

Counts and evaluations are saved piece by piece, so a run that was stopped resumes.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final

import numpy as np
import pandas as pd
from pydantic import Field

from codingspot.analysis import Pieces, is_saved, load_table, save_analysis, saved_inputs
from codingspot.corpus import Corpus, Domain, pack
from codingspot.directories import held
from codingspot.errors import ArtefactError
from codingspot.evaluation.evaluator import Evaluator
from codingspot.evaluation.results import Results
from codingspot.files import atomic_path, digest
from codingspot.models import LoadedModel
from codingspot.neurons.ablation import matched_neurons, perplexity_ratios, silenced
from codingspot.neurons.counting import ActivationCounts, count_activations, load_parts, save_parts
from codingspot.neurons.selection import SELECTIONS, Selection, select
from codingspot.neurons.sites import NeuronLayout, find_sites
from codingspot.neurons.tables import layer_histogram, neuron_list, sharing, sweep
from codingspot.records import Record, parse_model
from codingspot.settings import Count, Name, Seed, Settings

NAME: Final = "neurons"
ORIGINAL: Final = ""
"""``ablated`` of the original model's rows."""
RANDOM: Final = "random"
"""``control`` of the matched random neurons' rows; empty for a domain's own neurons."""

_TABLES: Final = ("neurons", "neurons_layers", "neurons_sharing", "neurons_sweep", "neurons_ablation", "neurons_tasks")


class NeuronSettings(Settings):
    """Settings of the analysis; a study file's ``views.neurons``."""

    token_budget: Count = Field(8192, description="tokens a domain")
    sequence_length: Count = Field(256, gt=1)
    size: float = Field(0.01, gt=0, description="neurons: a share of all below 1, a number from 1 on")
    selection: Selection = Field("per-language", description="whose neurons are silenced; both are listed")
    quantile: float = Field(0.95, gt=0, lt=1, description="of all activation probabilities: threshold and bar")
    exclusive: bool = Field(False, description="only neurons specific to one domain")
    quantiles: tuple[Annotated[float, Field(gt=0, lt=1)], ...] = Field(
        (0.9, 0.95, 0.99), description="compared in the sweep"
    )
    parts: Count = Field(4, description="amounts of text compared in the sweep")
    control_seeds: tuple[Seed, ...] = Field((0, 1, 2, 3, 4), description="of the matched random neurons; empty: none")
    tasks: tuple[Name, ...] = Field((), description="run under each edit, such as testbed_humaneval")
    limit: Count | None = Field(None, description="first items of each task; all by default")
    seed: Seed = 0


@dataclass(frozen=True)
class NeuronAnalysis:
    """Tables of one analysis; see :mod:`codingspot.neurons.tables` for most of their columns.

    Attributes:
        neurons: the selected neurons, one row a ``selection``, domain and neuron.
        layers: how many there are by ``selection``, domain and layer.
        sharing: overlap of domains by ``selection`` and layer.
        sweep: how firm the sets are, by ``selection``.
        ablation: one row an edit and evaluated domain: ``ablated``, ``control``, ``seed``, ``neurons`` silenced,
            ``evaluated``, ``tokens``, ``loss`` (summed, nats), ``ratio`` of perplexities, and the ``selection``.
        tasks: one row an edit and task: ``ablated``, ``control``, ``seed``, ``task``, ``items``, ``rate`` and the
            original model's rate.
        inputs: what it was made from.
    """

    neurons: pd.DataFrame
    layers: pd.DataFrame
    sharing: pd.DataFrame
    sweep: pd.DataFrame
    ablation: pd.DataFrame
    tasks: pd.DataFrame
    inputs: dict[str, Any]

    def save(self, directory: Path) -> None:
        """Write the tables and the record of the inputs into ``directory/analysis``."""
        frames = (self.neurons, self.layers, self.sharing, self.sweep, self.ablation, self.tasks)
        save_analysis(directory, NAME, dict(zip(_TABLES, frames, strict=True)), self.inputs)

    @classmethod
    def load(cls, directory: Path, inputs: dict[str, Any]) -> NeuronAnalysis:
        """Read what :meth:`save` wrote.

        Raises:
            ArtefactError: a table is missing or corrupt.
        """
        neurons, layers, shared, swept, ablation, tasks = (load_table(directory, stem) for stem in _TABLES)
        return cls(neurons, layers, shared, swept, ablation, tasks, inputs)


class _Inputs(Record):
    """What an analysis that is compared with others records of what it was made from (:func:`neuron_inputs`)."""

    model: str
    revision: str | None
    weights: str
    bos: str = "tokenizer"
    corpus: str
    corpus_fingerprint: str
    held_out_fingerprint: str
    settings: NeuronSettings


def saved_neurons(directory: Path) -> NeuronAnalysis:
    """The analysis saved in ``directory``, whatever it was made from.

    Raises:
        ArtefactError: there is none, or it is corrupt.
    """
    inputs = saved_inputs(directory, NAME)
    if inputs is None:
        raise ArtefactError(
            f"{directory} holds no finished analysis of neurons; run `codingspot neurons MODEL --out {directory}`"
        )
    origin = f"{directory}: the record of its neurons"
    parse_model(json.dumps(inputs), _Inputs, origin, what="one of such an analysis", way_out="run the analysis again")
    return NeuronAnalysis.load(directory, dict(inputs))


def neuron_inputs(
    loaded: LoadedModel, corpus: Corpus, held_out: Sequence[Domain], settings: NeuronSettings
) -> dict[str, Any]:
    """What an analysis depends on: model, weights, texts and settings, as plain data."""
    return {
        "model": loaded.id,
        "revision": loaded.revision,
        "weights": loaded.fingerprint,
        "bos": loaded.bos,
        "corpus": corpus.name,
        "corpus_fingerprint": corpus.fingerprint,
        "held_out_fingerprint": digest(*(part for each in held_out for part in (each.name, *each.texts))),
        "settings": settings.model_dump(mode="json"),
    }


def analyse_neurons(
    loaded: LoadedModel,
    corpus: Corpus,
    evaluator: Evaluator,
    inputs: dict[str, Any],
    directory: Path,
    settings: NeuronSettings,
    *,
    batch_tokens: int = 4096,
    progress: Callable[[str, float], None] = lambda _text, _share: None,
) -> NeuronAnalysis:
    """Find each domain's neurons, silence them, and save the tables in ``directory``; or read those saved there.

    Args:
        loaded: any causal language model of the transformers library with MLP neurons.
        corpus: at least two domains.
        evaluator: of the same model; its domains are held-out text, its tasks may be none.
        inputs: from :func:`neuron_inputs`.
        directory: run directory. One stopped midway resumes.
        settings: see :class:`NeuronSettings`.
        batch_tokens: most tokens of a forward pass; results don't depend on it.
        progress: told what is being done and the share of the work that is done.

    Raises:
        FingerprintError: ``directory`` holds an analysis of other inputs, or is no run directory
            (:func:`codingspot.directories.held`).
        ModelError: the model has no MLP neurons that can be seen.
        SelectionError: fewer than two domains, or a setting is out of range.
        CorpusError: a domain has less text than one sequence.
    """
    with held(directory, inputs=[loaded.folder]):
        if is_saved(directory, NAME, inputs):
            return NeuronAnalysis.load(directory, inputs)
        return _analyse(loaded, corpus, evaluator, inputs, directory, settings, batch_tokens, progress)


def _analyse(
    loaded: LoadedModel,
    corpus: Corpus,
    evaluator: Evaluator,
    inputs: dict[str, Any],
    directory: Path,
    settings: NeuronSettings,
    batch_tokens: int,
    progress: Callable[[str, float], None],
) -> NeuronAnalysis:
    pieces = Pieces(directory, NAME, inputs)
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

    analysis = NeuronAnalysis(
        neurons=both(lambda each: neuron_list(layout, whole, found[each])),
        layers=both(lambda each: layer_histogram(layout, found[each])),
        sharing=both(lambda each: sharing(layout, whole, found[each], settings.quantile)),
        sweep=both(
            lambda each: sweep(
                parts, settings.quantiles, selection=each, size=settings.size, quantile=settings.quantile
            )
        ),
        ablation=perplexity_ratios(evaluated[0]).assign(selection=settings.selection),
        tasks=evaluated[1],
        inputs=inputs,
    )
    analysis.save(directory)
    pieces.discard()
    return analysis


@dataclass
class _Steps:
    """Turns finished pieces into a share of the whole."""

    progress: Callable[[str, float], None]
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
