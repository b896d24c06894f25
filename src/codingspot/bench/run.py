"""Running the benchmark: every method on the routed testbed models and on the plain one.

1. Each method ranks the parameters of the blocks of a model, from text without Python.
2. On a routed model its ranking is compared with the subset that code was routed to (:mod:`codingspot.bench.truth`),
   and with the part of it that code uses, where that was measured (:mod:`codingspot.bench.use`).
3. On all, its top parameters are zeroed at a few doses, and pass@1 in Python and the general families are evaluated:
   the area of the specificity curve (:mod:`codingspot.evaluation.area`).

A method's figures are saved as soon as they are there; a benchmark that was stopped goes on from there.
"""

from __future__ import annotations

import resource
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path

import pandas as pd
import torch
from pydantic import ConfigDict
from torch import Tensor

from codingspot.ablation import WeightEditor
from codingspot.bench.cost import measured
from codingspot.bench.entries import Entry, default_methods
from codingspot.bench.methods import LARGEST_K, BenchInput, Method
from codingspot.bench.truth import chance, ground_truth
from codingspot.bench.use import SubsetUse
from codingspot.directories import discard_scratch, held, scratch_folder
from codingspot.errors import FingerprintError
from codingspot.evaluation.adapter import ModelAdapter
from codingspot.evaluation.area import specificity_areas
from codingspot.evaluation.evaluator import Evaluator
from codingspot.evaluation.resampling import Resampling
from codingspot.evaluation.results import Results
from codingspot.evaluation.tasks import TaskSpec, load_tasks
from codingspot.files import atomic_path, write_json
from codingspot.models import load_model, shipped_model
from codingspot.outputs import holds_model
from codingspot.records import Count, Record, read_model, read_plain
from codingspot.sandbox import Sandbox
from codingspot.testbed.defaults import CODE_TASKS, GENERAL_TASKS
from codingspot.testbed.routing import Subset
from codingspot.testbed.shipped import languages_of
from codingspot.testbed.world import world_corpus

MODELS = ("routed", "scattered", "plain")
DOSES = (0.1, 0.5, LARGEST_K)
_DOCUMENTS = 400
_ORIGINAL = "original"
_SETTINGS = "settings.json"

OnMethod = Callable[[str, int, int], None]
"""Hears the method being run, how many are done, and how many there are, over both models."""


def run_bench(
    out: Path,
    *,
    methods: Iterable[Entry] | None = None,
    models: Iterable[str] = MODELS,
    token_budget: int = 4096,
    limit: int = 24,
    seed: int = 0,
    on_method: OnMethod = lambda _name, _done, _total: None,
) -> pd.DataFrame:
    """Run methods (the quick ones by default) on the shipped models, into the folder ``out``, and return the table.

    One row a method and model: ``model``, ``estimator``, ``recipe``, ``area`` with ``area_low`` and ``area_high``
    (95% bootstrap over items), ``tokens`` that were read to rank, ``passes`` over them and ``seconds``
    (:class:`codingspot.bench.cost.Cost`), ``peak_memory_gb`` of the process so far; on routed models the figures of
    :func:`codingspot.bench.truth.ground_truth`. A first row a model, of estimator
    ``chance``, has what a random ranking gets. The first ``limit`` items of each task are evaluated.

    Raises:
        FingerprintError: ``out`` holds a benchmark of other settings, or is none (:func:`codingspot.directories.held`).
        SandboxError: generated programs can't be run safely here.
        ModelError: a model does not ship with the package.
    """
    entries, names = list(default_methods() if methods is None else methods), list(models)
    settings = {"token_budget": token_budget, "limit": limit, "seed": seed}
    rows: list[dict[str, object]] = []
    with bench_directory(out):
        for name in names:
            _claim(out / name, settings)
        for number, name in enumerate(names):
            with _Model(name, out / name, token_budget, limit, seed) as model:
                rows.append(model.chance_row())
                for index, (estimator, recipe, method) in enumerate(entries):
                    on_method(f"{name}: {estimator} {recipe}", number * len(entries) + index, len(names) * len(entries))
                    rows.append(model.row(estimator, recipe, method))
        table = pd.DataFrame(rows)
        with atomic_path(out / "bench.parquet") as temporary:
            table.to_parquet(temporary, index=False)
    return table


def bench_directory(out: Path) -> AbstractContextManager[None]:
    """Hold ``out`` as the directory of a benchmark (:func:`codingspot.directories.held`)."""
    return held(out, "codingspot-bench", unmarked=lambda path: any(map(_has_settings, path.iterdir())))


def _has_settings(folder: Path) -> bool:
    return holds_model(_Settings, folder / _SETTINGS)


def _claim(folder: Path, settings: Mapping[str, int]) -> None:
    file = folder / _SETTINGS
    what = "the settings of a benchmark"
    known = read_model(file, _Settings, what=what, way_out="choose another --out").model_dump() if file.exists() else {}
    differing = [name for name, value in known.items() if settings[name] != value]
    if differing:
        raise FingerprintError(f"{folder} was measured with another {' and '.join(differing)}; choose another --out")
    write_json(file, dict(settings))


def _truth(folder: Path, fingerprint: str) -> tuple[Subset, Subset | None] | None:
    """The subset that code was routed to and the part that code uses, as far as they are known."""
    if not Subset.is_in(folder):
        return None
    subset, use = Subset.load(folder), SubsetUse.load(folder, fingerprint)
    return subset, None if use is None else use.used(subset)


class _Settings(Record):
    """``settings.json`` of one model under the benchmark."""

    model_config = ConfigDict(extra="forbid")

    token_budget: int
    limit: int
    seed: int


class _Row(Record):
    """One method's figures on one model, as they are saved."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, float | None]

    model: str
    estimator: str
    recipe: str
    area: float
    area_low: float
    area_high: float
    tokens: Count
    seconds: float
    peak_memory_gb: float


class _Model:
    """One model under the benchmark: its text, its subset where it is known, and its evaluator."""

    def __init__(self, name: str, folder: Path, token_budget: int, limit: int, seed: int) -> None:
        path = shipped_model(name)
        self.name, self._folder, self._seed = name, folder, seed
        self._loaded = load_model(path)
        self._truth = _truth(path, self._loaded.fingerprint)
        corpus = world_corpus(_DOCUMENTS, seed, languages_of(path))
        self._scratch = scratch_folder(folder, "scores")
        self._bench = BenchInput(self._loaded, corpus, self._scratch, token_budget, seed=seed)
        self._tasks = load_tasks([TaskSpec(task, limit=limit) for task in (*CODE_TASKS, *GENERAL_TASKS)])
        self._sandbox = Sandbox()

    def __enter__(self) -> _Model:
        self._sandbox.__enter__()
        self._evaluator = Evaluator(
            ModelAdapter(self._loaded.model, self._loaded.tokenizer), self._tasks, sandbox=self._sandbox
        )
        return self

    def __exit__(self, *error: object) -> None:
        self._sandbox.__exit__(*error)  # type: ignore[arg-type]
        discard_scratch(self._scratch)

    def chance_row(self) -> dict[str, object]:
        """What a random ranking gets."""
        known = chance(self._loaded.model, *self._truth) if self._truth else {}
        return {"model": self.name, "estimator": "chance", "recipe": "", **known}

    def row(self, estimator: str, recipe: str, method: Method) -> dict[str, object]:
        """The figures of one method, computed or read."""
        file = self._folder / f"{estimator}-{recipe}.json"
        if not file.exists():
            write_json(file, self._measure(estimator, recipe, method))
        row: dict[str, object] = read_plain(file, _Row, what="a method's row")
        return row

    def _measure(self, estimator: str, recipe: str, method: Method) -> dict[str, object]:
        bench = self._bench
        made_before = dict(bench.cost)
        bench.asked.clear()
        with measured(self._loaded.model) as cost:
            keys = method(bench)
        for name in bench.asked & made_before.keys():  # scores that an earlier method made count as this one's too
            cost.add(made_before[name])
        known = ground_truth(keys, self._loaded.model, *self._truth) if self._truth else {}
        area = self._area(keys)
        return {
            "model": self.name,
            "estimator": estimator,
            "recipe": recipe,
            **known,
            **area,
            "tokens": cost.tokens,
            "passes": cost.passes,
            "seconds": cost.seconds,
            "peak_memory_gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
        }

    def _area(self, keys: Tensor) -> dict[str, float]:
        count = len(keys)
        doses = [max(1, round(k / 100 * count)) for k in DOSES]
        order = torch.argsort(keys, descending=True, stable=True)[: doses[-1]]
        order = order[keys[order] > -torch.inf]
        parts = [self._original()]
        with WeightEditor(self._loaded) as editor:
            for dose in doses:
                editor.apply(order[:dose], "zero")
                parts.append(self._evaluator.evaluate(str(dose)))
        results = Results.concat(parts)
        chances = {task.name: task.chance for task in self._tasks}
        resampling = Resampling(results.outcomes, original=_ORIGINAL, chance=chances, seed=self._seed)
        curves = {"curve": results.cells()}
        found = specificity_areas(resampling, curves, code=CODE_TASKS, general=GENERAL_TASKS)["curve"]
        return {"area": found.value, "area_low": found.interval.low, "area_high": found.interval.high}

    def _original(self) -> Results:
        folder = self._folder / _ORIGINAL
        if not folder.exists():
            with atomic_path(folder) as temporary:
                temporary.mkdir()
                self._evaluator.evaluate(_ORIGINAL, require_finite=True).write(temporary)
        return Results.read(folder)
