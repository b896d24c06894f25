"""Synthetic run directories: a plan like the demo's and seeded results whose effects are known by construction."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import yaml

from codingspot.evaluation.items import ITEMS, ITEMS_FILE
from codingspot.evaluation.results import DocumentLoss, ItemOutcome, Results
from codingspot.study.cells import ORIGINAL, Cell, EvaluatedDomain, ModelSummary, Plan, Task

PARAMETERS = 4_194_304
SCOPES = {
    "all": PARAMETERS,
    "blocks": 3_145_728,
    "layers": 3_149_824,
    "vocabulary": 1_044_480,
    "norms": 4_096,
    "mlp": 2_359_296,
    "attention": 786_432,
}
TASKS = (
    Task(name="testbed_humaneval", role="code", chance=0.0, items=164),
    Task(name="testbed_arithmetic", role="general", chance=0.0, items=100),
    Task(name="testbed_events", role="general", chance=0.25, items=100),
    Task(name="testbed_knowledge", role="general", chance=0.25, items=100),
    Task(name="testbed_misconceptions", role="general", chance=0.25, items=100),
    Task(name="testbed_roles", role="general", chance=0.5, items=100),
    Task(name="testbed_comprehension", role="other", chance=0.25, items=100),
)
ACCURACY = {
    "testbed_humaneval": 0.98,
    "testbed_arithmetic": 0.86,
    "testbed_events": 0.93,
    "testbed_knowledge": 0.9,
    "testbed_misconceptions": 0.91,
    "testbed_roles": 0.95,
    "testbed_comprehension": 0.62,
}
LANGUAGES = ("bash", "csharp", "cpp", "go", "java", "javascript", "julia", "ruby", "rust", "typescript", "python")
DOMAINS = (
    *(EvaluatedDomain(name=name, kind="code", held_out=name == "python", documents=8) for name in LANGUAGES),
    EvaluatedDomain(name="english", kind="general", held_out=False, documents=8),
)
DOSES = (0.0025, 0.01, 0.09, 0.25, 1.0)
MORE_DOSES = (*DOSES, 2.0, 4.0)

GOOD_PROGRAM = "\n    total = 0\n    for value in values:\n        total += value\n    return total % 7\n"
BAD_PROGRAM = "\n    the the of , and 3 3 3 the"


@dataclass(frozen=True)
class Effect:
    """What an edit leaves: shares of ability above chance, and factors on perplexity."""

    code: float = 1.0
    general: float = 1.0
    code_perplexity: float = 1.0
    general_perplexity: float = 1.0


Behaviour = Callable[[Cell], Effect]


def _falling(k: float, half: float, steepness: float = 2.0) -> float:
    return 1 / (1 + (k / half) ** steepness)


def typical(cell: Cell) -> Effect:
    """The paper's recipe breaks everything, the contrast is specific, inside the blocks it is half so."""
    k = cell.k_percent
    if cell.control == "uniform":
        general = _falling(k, 9.0)
        return Effect(_falling(k, 6.0), general, 1 / general, 1 / general)
    if cell.control == "matched":
        left = max(_falling(k, 0.3 + 0.1 * (cell.seed or 0), 1.2), 0.2)
        return Effect(left, left**0.6, left**-3, left**-2)
    if cell.spot == "paper":
        code, general = _falling(k, 0.015, 2.6), _falling(k, 0.03, 1.3)
        return Effect(code, general, min(code**-1.5, 900), min(general**-3, 700))
    if cell.spot == "contrast":
        code, general = _falling(k, 0.12, 2.4), _falling(k, 30.0, 1.0)
        return Effect(code, general, min(code**-1, 400), general**-1.5)
    code, general = _falling(k, 1.9, 1.1), _falling(k, 18.0, 1.0)
    return Effect(code, general, code**-1.4, general**-1.5)


def nothing(cell: Cell) -> Effect:
    """No edit does anything."""
    return Effect()


def collapse(cell: Cell) -> Effect:
    """Every edit of a spot destroys everything; its controls do nothing."""
    return Effect() if cell.control or cell.spot is None else Effect(0.0, 0.0, 500.0, 500.0)


def specific(cell: Cell) -> Effect:
    """Every spot takes code alone; controls do nothing."""
    if cell.control or cell.spot is None:
        return Effect()
    code = _falling(cell.k_percent, 0.02, 3)
    return Effect(code, 0.99, min(1 / code, 300), 1.02)


def controls_equal(cell: Cell) -> Effect:
    """The controls take code alone, as much as the spots do."""
    return specific(cell.model_copy(update={"control": None}))


def general_only(cell: Cell) -> Effect:
    """Spots take general ability and leave code."""
    if cell.control or cell.spot is None:
        return Effect()
    return Effect(0.98, _falling(cell.k_percent, 0.02, 3), 1.05, 1 / _falling(cell.k_percent, 0.02, 2))


BEHAVIOURS: dict[str, Behaviour] = {
    behaviour.__name__: behaviour for behaviour in (typical, nothing, collapse, specific, controls_equal, general_only)
}


@dataclass(frozen=True)
class RunMaker:
    """Writes a run directory; every part of what it writes can be replaced."""

    behaviour: Behaviour = typical
    controls: tuple[str, ...] = ("uniform", "matched")
    controlled_spots: tuple[str, ...] = ("paper",)
    seeds: int = 3
    judged: float | None = None
    further: int = 0
    """Draws of matched controls at the dose judged, of which perplexity alone is known."""
    without: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    spots: tuple[tuple[str, str, str, tuple[float, ...]], ...] = (
        ("paper", "sum", "all", DOSES),
        ("contrast", "set_difference", "all", MORE_DOSES),
        ("contrast-blocks", "set_difference", "blocks", MORE_DOSES),
    )
    accuracy: float | None = None
    model_id: str = "testbed"
    study: str = "demo"
    bad_program: str = BAD_PROGRAM
    analysis: bool = True
    prompt: str | None = "What is it?"
    """Begins every item's question; None where questions weren't kept."""
    tasks: tuple[Task, ...] = TASKS
    target: tuple[str, ...] = ()

    def cells(self) -> tuple[Cell, ...]:
        cells = [Cell(name=ORIGINAL)]
        for spot, recipe, scope, doses in self.spots:
            drawn = [(c, s) for c in self.controls for s in range(self.seeds)] if spot in self.controlled_spots else []
            for control, seed in [(None, None), *drawn]:
                stem = spot if control is None else f"{spot}-{control}-s{seed}"
                cells += [
                    Cell(
                        name=f"{stem}-k{k:g}",
                        spot=spot,
                        recipe=recipe,
                        scope=scope,
                        estimator="taylor",
                        without=self.without.get(spot, ()),
                        control=control,
                        edit="zero",
                        k_percent=k,
                        parameters=round(k * PARAMETERS / 100),
                        seed=seed,
                    )
                    for k in doses
                ]
        return (*cells, *self._further(cells))

    def _further(self, cells: Sequence[Cell]) -> Iterator[Cell]:
        for cell in cells:
            if (cell.control, cell.seed, cell.k_percent) == ("matched", 0, self.judged):
                for seed in range(self.seeds, self.seeds + self.further):
                    name = f"{cell.spot}-matched-s{seed}-k{cell.k_percent:g}"
                    yield cell.model_copy(update={"name": name, "seed": seed, "purpose": "draw"})

    def write(self, folder: Path) -> Path:
        plan = Plan(
            study=self.study,
            model=ModelSummary(
                id=self.model_id, revision=None, fingerprint="3f9a" * 16, parameters=PARAMETERS, scopes=SCOPES
            ),
            tasks=self.tasks,
            target=self.target,
            domains=DOMAINS,
            cells=self.cells(),
        )
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "manifest.json").write_text(json.dumps({"format": "codingspot-run"}))
        (folder / "plan.json").write_text(json.dumps(plan.model_dump(mode="json")), encoding="utf-8")
        (folder / "study.yaml").write_text(yaml.safe_dump(self._study(), sort_keys=False), encoding="utf-8")
        Results.concat([self._results(cell) for cell in plan.cells]).write(folder)
        if self.prompt is not None:
            ITEMS.write(folder / ITEMS_FILE, self._items())
        if self.analysis:
            write_manifest(folder / "scores")
            write_analysis(folder / "analysis", plan)
        asked = [{"cell": cell.name, "asked": "draw", "items": 0} for cell in plan.cells if cell.purpose == "draw"]
        if asked:
            pd.DataFrame(asked).to_parquet(folder / "analysis" / "asked.parquet", index=False)
        return folder

    def with_(self, **changes: object) -> RunMaker:
        return replace(self, **changes)  # type: ignore[arg-type]

    def _study(self) -> dict[str, object]:
        return {
            "name": self.study,
            "description": "The paper's recipe, its controls, and the same spot with English taken out.",
            "model": {"id": self.model_id, "revision": None, "dtype": "float32"},
            "corpus": {
                "source": "testbed",
                "documents": 600,
                "general": ["english"],
                "held_out": ["python"],
                "seed": 0,
            },
            "scoring": {
                "estimator": "taylor",
                "parameters": {"reduction": "corpus"},
                "normalise": "tokens",
                "sequence_length": 256,
                "token_budget": 16384,
                "draws": 4,
                "seed": 0,
                "finetune": None,
            },
            "spots": [
                {
                    "name": spot,
                    "recipe": recipe,
                    "scope": scope,
                    "parameters": {"general_percent": 20} if recipe == "set_difference" else {},
                    "k_percent": list(doses),
                    "edit": "zero",
                    "judged": None if self.judged is None else {"k_percent": self.judged, "draws": 19},
                }
                for spot, recipe, scope, doses in self.spots
            ],
            "evaluation": {"samples": 1, "temperature": 0.0, "limit": 100, "code_limit": None},
        }

    def _items(self) -> pd.DataFrame:
        rows = [
            (task.name, item, f"{self.prompt} ({item})", [] if task.chance == 0 else ["this", "that"], "0")
            for task in self.tasks
            for item in range(task.items)
        ]
        return pd.DataFrame(rows, columns=ITEMS.names)

    def _results(self, cell: Cell) -> Results:
        effect = Effect() if cell.name == ORIGINAL else self.behaviour(cell)
        tasks = () if cell.purpose == "draw" else self.tasks
        found = _measured(effect, tasks, self.accuracy, self.bad_program)
        return Results(found.outcomes.assign(cell=cell.name), found.losses.assign(cell=cell.name))


@cache  # the same effects come in many cells of many runs
def _measured(effect: Effect, tasks: tuple[Task, ...], accuracy: float | None, bad_program: str) -> Results:
    return Results.of_cell("", _outcomes(effect, tasks, accuracy, bad_program), _losses(effect))


def _outcomes(effect: Effect, tasks: Sequence[Task], accuracy: float | None, bad_program: str) -> Iterator[ItemOutcome]:
    for number, task in enumerate(tasks):
        kept = effect.general if task.role == "general" else effect.code
        at_first = ACCURACY[task.name] if accuracy is None else accuracy
        rate = task.chance + kept * (at_first - task.chance)
        # The same items are hard in every cell, so that cells are paired as real ones are.
        difficulty = (np.random.default_rng(number).permutation(task.items) + 0.5) / task.items
        for item, hard in enumerate(difficulty):
            right = bool(hard < rate)
            if task.role != "code":
                yield ItemOutcome(task.name, item, float(right), str(int(not right)))
            elif right:
                yield ItemOutcome(task.name, item, 1.0, GOOD_PROGRAM, "passed")
            else:
                verdict = "wrong answer" if hard < (1 + rate) / 2 else "syntax error"
                yield ItemOutcome(task.name, item, 0.0, bad_program, verdict)


def _losses(effect: Effect) -> Iterator[DocumentLoss]:
    for number, domain in enumerate(DOMAINS):
        generator = np.random.default_rng(100 + number)
        factor = effect.code_perplexity if domain.kind == "code" else effect.general_perplexity
        for document in range(domain.documents):
            tokens = int(generator.integers(80, 240))
            nats = 0.6 + 0.05 * number + generator.normal(0, 0.05) + math.log(factor) * (1 + 0.03 * number)
            yield DocumentLoss(domain.name, document, tokens, tokens * nats)


LAYERS = 6
KINDS = {
    "q": ("attention", 65_536),
    "k": ("attention", 16_384),
    "v": ("attention", 16_384),
    "o": ("attention", 65_536),
    "gate": ("mlp", 131_072),
    "up": ("mlp", 131_072),
    "down": ("mlp", 131_072),
    "norm": ("norm", 512),
}
OUTSIDE = {"embedding": ("embedding", 524_288), "head": ("head", 524_288), "norm": ("norm", 256)}


def write_manifest(folder: Path) -> None:
    """What a report reads of a score store."""
    folder.mkdir(exist_ok=True)
    scored = [domain for domain in DOMAINS if domain.name != "python"]
    manifest = {
        "model": {"id": "testbed", "revision": None, "fingerprint": "3f9a" * 16},
        "corpus": {"name": "testbed", "fingerprint": "c0de" * 16},
        "estimator": {"name": "taylor", "reduction": "corpus", "norm": "l1"},
        "settings": {"sequence_length": 256, "token_budget": 16384, "seed": 0},
        "versions": {"python": "3.11.2", "torch": "2.13.0", "transformers": "5.23.0"},
        "format": "codingspot-scores",
        "normalise": "tokens",
        "domains": [
            {
                "name": d.name,
                "kind": d.kind,
                "predicted_tokens": 16320,
                "mean": 1e-6,
                "deviation": 1e-5,
                "files": [f"{d.name}.safetensors"],
                "details": {"tokens": 16384, "loss": 0.5},
            }
            for d in scored
        ],
        "layout": [["model.norm.weight", [256]]],
    }
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")


def write_analysis(folder: Path, plan: Plan) -> None:
    """Density of every spot at every dose, pairs of scoring choices, and agreement by token budget."""
    folder.mkdir(exist_ok=True)
    density = [row for cell in plan.cells if cell.spot and not cell.control for row in _density(cell)]
    pd.DataFrame(density).astype({"layer": "Int64"}).to_parquet(folder / "density.parquet", index=False)
    names = ("corpus", "microbatch", "sequence")
    pairs = [
        {
            "first": first,
            "second": second,
            "k_percent": k,
            "jaccard": 0.5 + 0.08 * math.log10(k * 1000),
            "expected_jaccard": k / 200,
            "spearman": 0.9,
            "comparison": "reduction",
        }
        for first, second in (names[:2], names[1:], (names[0], names[2]))
        for k in DOSES
    ]
    budgets = [
        {
            "token_budget": budget,
            "k_percent": k,
            "pairs": 3,
            "jaccard": 1 - 0.7 * (1024 / budget) ** 0.5 / (1 + k),
            "spearman": 1 - 0.2 * (1024 / budget) ** 0.5,
            "comparison": "budget",
            "lowest_jaccard": 0.97 - 0.7 * (1024 / budget) ** 0.5 / (1 + k),
        }
        for budget in (1024, 2048, 4096, 8192, 16384)
        for k in (0.09, 0.25, 1.0)
    ]
    both = pd.concat([pd.DataFrame(pairs), pd.DataFrame(budgets)], ignore_index=True)
    both.to_parquet(folder / "agreement.parquet", index=False)


def _density(cell: Cell) -> Iterator[dict[str, object]]:
    generator = np.random.default_rng(len(cell.name))
    places = [(layer, kind, *KINDS[kind]) for layer in range(LAYERS) for kind in KINDS]
    places += [(None, kind, *OUTSIDE[kind]) for kind in OUTSIDE]
    weights = np.array(
        [
            size
            * generator.uniform(0.2, 2)
            * (0.0 if cell.scope == "blocks" and block not in ("attention", "mlp") else 1)
            * (18.0 if kind == "head" else 3.0 if kind in ("down", "v") else 1.0)
            for _, kind, block, size in places
        ]
    )
    selected = np.floor(weights / weights.sum() * cell.parameters).astype(int)
    for (layer, kind, block, size), count in zip(places, selected, strict=True):
        yield {
            "spot": cell.spot,
            "k_percent": cell.k_percent,
            "tensor": f"layers.{layer}.{kind}" if layer is not None else kind,
            "layer": layer,
            "block": block,
            "kind": kind,
            "parameters": size,
            "selected": min(int(count), size),
            "density": min(int(count), size) / size,
            "share": int(count) / max(cell.parameters, 1),
        }
