"""The three views of one model beside a study's spots: neurons, alignment, logit lens, and how they agree.

Each is an analysis of its own in the run directory: made once, read where it is saved, resumed where it was stopped.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from codingspot.ablation import WeightEditor
from codingspot.across import layer_profiles, neuron_parameters, pair_correlation, spot_in_neurons, without
from codingspot.alignment import DISTINCT_ROWS, Alignment, AlignSettings, align, alignment_inputs
from codingspot.alignment.align import NAME as ALIGNMENT
from codingspot.analysis import Pieces, is_saved, save_analysis
from codingspot.corpus import Corpus
from codingspot.directories import held
from codingspot.errors import SelectionError
from codingspot.evaluation.adapter import ModelAdapter
from codingspot.evaluation.evaluator import Evaluator
from codingspot.evaluation.tasks import TaskSpec, load_tasks
from codingspot.files import digest
from codingspot.lens import LensAnalysis, LensSettings, analyse_lens
from codingspot.models import LoadedModel
from codingspot.neurons import NeuronAnalysis, NeuronSettings, analyse_neurons, find_sites, neuron_inputs
from codingspot.neurons.ablation import perplexity_ratios
from codingspot.sandbox import Sandbox
from codingspot.spot import Spot, density
from codingspot.study.parallel import open_parallel
from codingspot.study.views_config import ViewsSection

ACROSS: Final = "across"
Say = Callable[[str, float], None]
"""Told what is being done and the share of the work that is done."""


def _silent(_text: str, _share: float) -> None:
    """Ignored."""


def study_neurons(
    loaded: LoadedModel,
    corpus: Corpus,
    held_out: Corpus,
    settings: NeuronSettings,
    directory: Path,
    *,
    batch_tokens: int = 4096,
    unsafe_no_sandbox: bool = False,
    say: Say = _silent,
) -> NeuronAnalysis:
    """The neurons that ``settings`` describe, made and saved in ``directory``, or read from it.

    Raises:
        CodingSpotError: as :func:`analyse_neurons`, or a task can't be loaded.
    """
    inputs = neuron_inputs(loaded, corpus, held_out.domains, settings)
    tasks = load_tasks([TaskSpec(name, limit=settings.limit) for name in settings.tasks])
    with Sandbox(unsafe=unsafe_no_sandbox) if tasks else nullcontext() as sandbox:
        adapter = ModelAdapter(loaded.model, loaded.tokenizer)
        evaluator = Evaluator(adapter, tasks, held_out.domains, sandbox=sandbox, seed=settings.seed)
        return analyse_neurons(
            loaded, corpus, evaluator, inputs, directory, settings, batch_tokens=batch_tokens, progress=say
        )


def study_alignment(
    loaded: LoadedModel,
    settings: AlignSettings,
    directory: Path,
    *,
    batch_tokens: int | None = None,
    say: Say = _silent,
) -> Alignment:
    """The alignment that ``settings`` describe, made and saved in ``directory``, or read from it.

    Raises:
        FingerprintError: ``directory`` holds one of other inputs.
        CorpusError: the parallel code can't be read.
    """
    corpus = open_parallel(settings.parallel, languages=settings.languages, rows=settings.rows, seed=settings.seed)
    inputs = alignment_inputs(loaded, corpus, pooling=settings.pooling, special_tokens=settings.special_tokens)
    with held(directory, inputs=[loaded.folder, settings.parallel]):
        if is_saved(directory, ALIGNMENT, inputs):
            return Alignment.load(directory, inputs)
        pieces = Pieces(directory, ALIGNMENT, inputs)
        found = align(
            loaded,
            corpus,
            pooling=settings.pooling,
            special_tokens=settings.special_tokens,
            batch_tokens=batch_tokens,
            scratch=pieces.folder,
            progress=say,
        )
        found.save(directory)
        pieces.discard()
        return found


def study_lens(
    loaded: LoadedModel,
    settings: LensSettings,
    directory: Path,
    *,
    batch_tokens: int | None = None,
    say: Say = _silent,
) -> LensAnalysis:
    """The logit lens that ``settings`` describe, made and saved in ``directory``, or read from it.

    Raises:
        CodingSpotError: as :func:`analyse_lens`, or the parallel code can't be read.
    """
    corpus = open_parallel(
        settings.parallel, languages=settings.languages, rows=settings.rows, one_line=True, seed=settings.seed
    )
    return analyse_lens(loaded, corpus, directory, settings, batch_tokens=batch_tokens, progress=say)


def study_views(
    section: ViewsSection,
    loaded: LoadedModel,
    corpus: Corpus,
    held_out: Corpus,
    spots: Mapping[str, Spot],
    directory: Path,
    *,
    unsafe_no_sandbox: bool = False,
    stage: Callable[[str], None] = lambda _: None,
) -> None:
    """Make every view that ``section`` asks for, and what they say of one another.

    Args:
        section: of the study.
        loaded: the model, unedited.
        corpus: whose activations are counted, all domains.
        held_out: whose perplexity is taken.
        spots: the study's spots by name, without controls.
        directory: the run directory.
        unsafe_no_sandbox: run generated programs without a sandbox.
        stage: told what is being done.

    Raises:
        CodingSpotError: whatever an analysis refuses; what was saved before stays.
    """

    def say(text: str, _share: float) -> None:
        stage(text)

    neurons = alignment = lens = None
    if section.neurons is not None:
        neurons = study_neurons(
            loaded,
            corpus,
            held_out,
            section.neurons,
            directory,
            unsafe_no_sandbox=unsafe_no_sandbox,
            say=say,
        )
    if section.align is not None:
        alignment = study_alignment(loaded, section.align, directory, say=say)
    if section.lens is not None:
        lens = study_lens(loaded, section.lens, directory, say=say)
    if section.across and (neurons is not None or spots):
        stage("comparing the views")
        _across(loaded, held_out, spots, neurons, alignment, lens, directory)


def _across(
    loaded: LoadedModel,
    held_out: Corpus,
    spots: Mapping[str, Spot],
    neurons: NeuronAnalysis | None,
    alignment: Alignment | None,
    lens: LensAnalysis | None,
    directory: Path,
) -> None:
    """Tables of agreement: ``across_profiles``, ``across_pairs``, ``across_spots`` and ``across_ablation``."""
    inputs: dict[str, Any] = {
        "spots": {name: digest(spot.positions.numpy().tobytes()) for name, spot in spots.items()},
        **{
            name: None if view is None else dict(view.inputs)
            for name, view in (("neurons", neurons), ("alignment", alignment), ("lens", lens))
        },
    }
    if is_saved(directory, ACROSS, inputs):
        return
    chosen = None if neurons is None else str(neurons.inputs["settings"]["selection"])
    tables = {"across_profiles": _profiles(spots, neurons, chosen, alignment, lens)}
    if neurons is not None and alignment is not None:
        tables["across_pairs"] = _pairs(neurons, chosen, alignment)
    if neurons is not None and spots:
        sets = _neuron_sets(loaded, neurons, chosen)
        layout = find_sites(loaded.model)
        inside = [
            spot_in_neurons(loaded.model, layout, spot.positions, sets).assign(spot_name=name)
            for name, spot in spots.items()
        ]
        tables["across_spots"] = pd.concat(inside, ignore_index=True)
        code = [sets[domain.name] for domain in held_out.code if domain.name in sets]
        union = np.unique(np.concatenate(code)) if code else np.empty(0, dtype=np.int64)
        tables["across_ablation"] = _ablation(loaded, held_out, spots, neuron_parameters(loaded.model, layout, union))
    save_analysis(directory, ACROSS, tables, inputs)


def _neuron_sets(loaded: LoadedModel, neurons: NeuronAnalysis, chosen: str | None) -> dict[str, np.ndarray]:
    """Domain to the numbers of its neurons, from the saved list."""
    layout = find_sites(loaded.model)
    places = zip(layout.layers.tolist(), layout.experts.tolist(), layout.indices.tolist(), strict=True)
    number = {place: index for index, place in enumerate(places)}
    rows = neurons.neurons[neurons.neurons["selection"] == chosen]
    return {
        str(domain): np.array(
            [number[place] for place in group[["layer", "expert", "neuron"]].itertuples(index=False, name=None)],
            dtype=np.int64,
        )
        for domain, group in rows.groupby("domain", sort=False)
    }


def _profiles(
    spots: Mapping[str, Spot],
    neurons: NeuronAnalysis | None,
    chosen: str | None,
    alignment: Alignment | None,
    lens: LensAnalysis | None,
) -> pd.DataFrame:
    """Layer profiles: of every spot, and of the other views once."""
    own = [layer_profiles(density=density(spot)).assign(spot=name) for name, spot in spots.items()]
    others = layer_profiles(
        neurons=None if neurons is None else neurons.layers[neurons.layers["selection"] == chosen],
        alignment=None if alignment is None else alignment.scores[alignment.scores["pairs"] == DISTINCT_ROWS],
        lens=None if lens is None else lens.sets,
    )
    return pd.concat([*own, others.assign(spot="")], ignore_index=True)


def _pairs(neurons: NeuronAnalysis, chosen: str | None, alignment: Alignment) -> pd.DataFrame:
    """Rank correlation of alignment with the overlap of neurons over pairs of languages, one row a kind of overlap."""
    pooled = alignment.pooled[alignment.pooled["pairs"] == DISTINCT_ROWS]
    aligned = {(str(a), str(b)): float(m) for a, b, m in pooled[["first", "second", "mean"]].itertuples(index=False)}
    shared = neurons.sharing[(neurons.sharing["selection"] == chosen) & (neurons.sharing["layer"] == -1)]
    rows = []
    for kind in ("specific", "active"):
        overlap = {(str(a), str(b)): float(m) for a, b, m in shared[["first", "second", kind]].itertuples(index=False)}
        try:
            found = pair_correlation(aligned, overlap)
        except SelectionError:  # fewer than four languages in both: nothing to correlate
            continue
        rows.append((kind, found.pairs, found.rho, found.p_value))
    return pd.DataFrame(rows, columns=["overlap", "pairs", "rho", "p_value"])


def _ablation(loaded: LoadedModel, held_out: Corpus, spots: Mapping[str, Spot], neurons: Any) -> pd.DataFrame:
    """Perplexity ratios with a spot zeroed, the code domains' neurons, and each without the other."""
    evaluator = Evaluator(ModelAdapter(loaded.model, loaded.tokenizer), [], held_out.domains)

    @contextmanager
    def zeroed(positions: Any) -> Iterator[None]:
        with WeightEditor(loaded) as editor:
            editor.apply(positions, "zero")
            yield

    edits: list[tuple[str, str, Any]] = [("", "", None), ("neurons", "", neurons)]
    for name, spot in spots.items():
        edits += [
            ("spot", name, spot.positions),
            ("spot without neurons", name, without(spot.positions, neurons)),
            ("neurons without spot", name, without(neurons, spot.positions)),
        ]
    rows = []
    for ablated, name, positions in edits:
        with nullcontext() if positions is None else zeroed(positions):
            losses = evaluator.evaluate("across", require_finite=positions is None).losses
        sums = losses.groupby("domain", sort=False, as_index=False)[["tokens", "loss"]].sum()
        number = 0 if positions is None else len(positions)
        rows.append(sums.rename(columns={"domain": "evaluated"}).assign(ablated=ablated, spot=name, parameters=number))
    return perplexity_ratios(pd.concat(rows, ignore_index=True))
