"""One small artefact of every kind, of a tiny model."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from codingspot.analysis import save_analysis
from codingspot.analysis_registry import analysis_schemas
from codingspot.analysis_tables import LEARNING, TABLES, write_table
from codingspot.corpus import Corpus, Domain
from codingspot.evaluation.results import DocumentLoss, ItemOutcome, Results
from codingspot.files import write_json
from codingspot.importance import NewDomainScores, ScoreStore
from codingspot.models import ParameterLayout, fingerprint, unique_parameters
from codingspot.spot import find_spot
from codingspot.study.cells import ORIGINAL, Cell, EvaluatedDomain, ModelSummary, Plan, Task
from codingspot.study.config import Study
from codingspot.tables import Column, TableSchema
from codingspot.views import VIEWS, saved_name, views

DOMAINS = {"go": "code", "rust": "code", "english": "general"}
TASKS = {"humaneval": ("code", 0.0), "hellaswag": ("general", 0.25)}
STUDY = {
    "name": "small",
    "scoring": {"estimator": "taylor", "token_budget": 256, "draws": 1},
    "spots": [{"name": "paper", "recipe": "sum", "k_percent": [1.0, 10.0], "controls": ["matched"]}],
    "evaluation": {"code": ["humaneval"], "general": ["hellaswag"], "other": [], "samples": 2},
}
OF_VIEWS = {saved_name(name): VIEWS.traits(name).load().schemas for name in views()}
"""The tables of each view, by the name it is saved under."""


def make_all(folder: Path) -> None:
    """``model/``, ``scores/``, ``spot.safetensors``, ``corpus/``, ``study.yaml`` and ``run/`` in ``folder``."""
    model = _model(folder / "model")
    store = _store(folder / "scores", model)
    find_spot(store, max_k_percent=10).save(folder / "spot.safetensors")
    texts = {name: tuple(f"text {n} of {name}" for n in range(60)) for name in DOMAINS}
    domains = tuple(Domain(name, kind, texts[name], dropped={"empty": 1}) for name, kind in DOMAINS.items())
    Corpus("words", domains, {"languages": ["go"], "dropped": {}, "tokens": {"go": 9}}).save(folder / "corpus")
    study = Study.model_validate(STUDY)
    (folder / "study.yaml").write_text(json.dumps(study.model_dump(mode="json")))
    run = folder / "run"
    run.mkdir()
    (run / "study.yaml").write_text((folder / "study.yaml").read_text())
    write_json(run / "manifest.json", {"format": "codingspot-run"})
    write_json(run / "inputs.json", {"weights": "a", "corpus": "b"})
    _store(run / "scores", model)
    plan = _plan(ParameterLayout.of(model).total)
    write_json(run / "plan.json", plan.model_dump(mode="json"))
    Results.concat(list(_results(plan))).write(run)
    for schemas in (TABLES, analysis_schemas()):
        for stem, schema in schemas.items():
            name = f"{LEARNING}paper" if stem == LEARNING else stem
            write_table(run / "analysis", name, frame_of(schema, plan), schemas)
    for view, schemas in OF_VIEWS.items():
        save_analysis(run, view, {stem: frame_of(schemas[stem], plan) for stem in schemas}, _inputs(), schemas)


def _model(folder: Path) -> LlamaForCausalLM:
    torch.manual_seed(0)
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=24,
            hidden_size=16,
            intermediate_size=24,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            max_position_embeddings=32,
        )
    )
    words = Tokenizer(models.WordLevel({"<unk>": 0, "<eos>": 1, "text": 2}, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    model.save_pretrained(folder)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=words, unk_token="<unk>", eos_token="<eos>")
    tokenizer.save_pretrained(folder)
    return model


def _store(folder: Path, model: LlamaForCausalLM) -> ScoreStore:
    draw = torch.Generator().manual_seed(0)
    tensors = unique_parameters(model)
    provenance = {
        "model": {"id": "tiny", "revision": None, "fingerprint": fingerprint(model)},
        "corpus": {"name": "words", "fingerprint": "b"},
        "estimator": {"name": "taylor", "reduction": "corpus", "norm": "l1"},
        "settings": {"sequence_length": 8, "token_budget": 16, "seed": 0, "finetune": None},
    }
    domains = (
        NewDomainScores(
            name,
            kind,
            {each: torch.randn(tensor.shape, generator=draw) for each, tensor in tensors.items()},
            predicted_tokens=14,
            details={"tokens": 16, "loss": 1.5},
        )
        for name, kind in DOMAINS.items()
    )
    return ScoreStore.write(folder, domains, provenance=provenance)


def _plan(parameters: int) -> Plan:
    def cell(k: float, control: str | None = None) -> Cell:
        return Cell(
            name=f"paper{'-matched-s0' if control else ''}-k{k:g}",
            spot="paper",
            recipe="sum",
            scope="all",
            estimator="taylor",
            control=control,
            edit="zero",
            k_percent=k,
            parameters=round(k / 100 * parameters),
            seed=0 if control else None,
        )

    return Plan(
        study="small",
        model=ModelSummary(
            id="tiny", revision=None, fingerprint="f" * 64, parameters=parameters, scopes={"all": parameters}
        ),
        tasks=tuple(Task(name=name, role=role, chance=chance, items=8) for name, (role, chance) in TASKS.items()),
        domains=tuple(
            EvaluatedDomain(name=n, kind=kind, held_out=n == "rust", documents=2) for n, kind in DOMAINS.items()
        ),
        cells=(Cell(name=ORIGINAL), cell(1.0), cell(10.0), cell(1.0, "matched"), cell(10.0, "matched")),
    )


def _results(plan: Plan) -> Iterator[Results]:
    for cell in plan.cells:
        solved = 8 - min(6, round(cell.k_percent))
        several = ("return 1", "passed", ("return 2",), ("wrong answer",))
        outcomes = [ItemOutcome("humaneval", item, float(item < solved) / 2, *several) for item in range(8)]
        outcomes += [ItemOutcome("hellaswag", item, float(item < 6), "0") for item in range(8)]
        losses = [DocumentLoss(name, n, 9, 9.0 + n + cell.k_percent) for name in DOMAINS for n in range(2)]
        yield Results.of_cell(cell.name, outcomes, losses)


def frame_of(schema: TableSchema, plan: Plan) -> pd.DataFrame:
    """A table of up to four rows with values that its declaration allows, and names that the plan has."""
    frame = pd.DataFrame({column.name: _values(column, plan) for column in schema.columns})
    return frame.drop_duplicates(list(schema.key), ignore_index=True) if schema.key else frame


def _values(column: Column, plan: Plan) -> Any:
    names = {
        "cell": [cell.name for cell in plan.cells[1:]],
        "spot": ["paper"] * 4,
        "spot_name": ["paper"] * 4,
        "selection": ["lape", "lape", "per-language", "per-language"],
        "of": ["go", "rust", "english", "humaneval"],
        "pairs": ["distinct"] * 4,
        "split": ["halves", "halves", "draws", "draws"],
        "comparison": ["budget", "budget", "reduction", "reduction"],
        "ablated": ["go", "go", "english", "english"],
        "group": ["spot", "spot", "random", "random"],
        "question": ["code", "general", "code", "general"],
        "kind": ["code", "general", "code", "general"] if column.values else ["q", "k", "q", "k"],
        "block": ["attention"] * 4,
        "set": ["go", "english", "shared", "go"],
    }
    if pa.types.is_large_string(column.type):
        values = names.get(column.name, ["go", "go", "rust", "english"])
        return values if not column.values or set(values) <= set(column.values) else [column.values[0]] * 4
    if pa.types.is_boolean(column.type):
        return [True, False, True, False]
    if column.name in ("k_percent", "seed"):
        return [1.0, 10.0, 1.0, 10.0] if column.name == "k_percent" else [0, 0, 0, 0]
    if pa.types.is_integer(column.type):
        return [1, 2, 1, 2]
    return np.linspace(1.0 if column.low == 1 else 0.2, 1.0, 4)


def _inputs() -> dict[str, Any]:
    text = dict.fromkeys(("model", "weights", "corpus", "corpus_fingerprint", "held_out_fingerprint"), "x")
    return {**text, "revision": None, "settings": {"selection": "lape", "quantile": 0.95}}
