"""The shipped presets: valid, and run to the end on a tiny random model with local text and benchmark rows."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import lm_eval.tasks
import pandas as pd
import pytest
import torch
import yaml
from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

from codingspot.corpus import Source
from codingspot.errors import StudyError
from codingspot.evaluation.results import Results
from codingspot.evaluation.task_spec import TaskSpec
from codingspot.report import build_report
from codingspot.sandbox import available
from codingspot.studies import PRESETS, PUBLISHED_MODELS
from codingspot.studies.presets import preset_study, short_name
from codingspot.study import Plan, Study, parse_study, run_study
from codingspot.testbed.shipped import shipped_model
from codingspot.testbed.world import general_english, pure_code

LANGUAGES = ("go", "rust", "python")
GENERATED = ("gsm8k", "humaneval")
CHAT = "{% for message in messages %}{{ message['content'] }}\n{% endfor %}"


@pytest.mark.parametrize(("preset", "model"), [(name, model) for name in PRESETS for model in PUBLISHED_MODELS[name]])
def test_presets_are_valid_studies_of_the_published_models(preset: str, model: str) -> None:
    study = preset_study(preset, model)
    assert study.model.id == model
    assert study.name.startswith(preset)
    assert short_name(model) in study.name
    assert parse_study(study.to_yaml(), "copy") == study
    assert study.spots[0].k_percent[:4] == (0.0025, 0.01, 0.09, 0.25)
    assert "python" in study.corpus.held_out
    assert len(set(study.corpus.languages) - {"python"}) == 10


def test_presets_say_what_the_publications_say() -> None:
    paper, released, region = (preset_study(name) for name in ("paper", "released-code", "code-region"))
    assert (paper.spots[0].recipe, paper.spots[0].scope, paper.spots[0].parameters) == ("sum", "all", {})
    assert (released.spots[0].scope, released.spots[0].parameters) == ("layers", {"per_tensor": True})
    assert (paper.corpus.variant, released.corpus.variant) == ("paper", "released-code")
    assert (region.spots[0].recipe, region.spots[0].k_percent[-1]) == ("consensus", 1)
    assert region.scoring.finetune is not None
    assert len(region.scoring.finetune.snapshots) >= 3
    general = {spec.name for role, spec in paper.evaluation.tasks() if role == "general"}
    assert general == {"gsm8k", "hellaswag", "mmlu", "truthfulqa_mc2", "winogrande"}
    assert {spec.name for role, spec in region.evaluation.tasks() if role == "general"} == {
        "hellaswag",
        "mmlu",
        "winogrande",
    }


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("section", [(), ("model",), ("corpus",), ("scoring",), ("evaluation",)])
def test_an_unknown_key_anywhere_is_an_error(preset: str, section: tuple[str, ...]) -> None:
    data = yaml.safe_load(PRESETS[preset].read_text(encoding="utf-8"))
    place = data
    for key in section:
        place = place[key]
    place["learning_rat"] = 1
    with pytest.raises(StudyError, match="learning_rat"):
        parse_study(yaml.safe_dump(data), "changed.yaml")


def test_unknown_presets_and_revisions() -> None:
    with pytest.raises(StudyError, match="unknown preset 'papers'; use one of paper, released-code, code-region"):
        preset_study("papers")
    section = preset_study("paper", "org/name@v2").model
    assert (section.id, section.revision) == ("org/name", "v2")
    assert short_name("/models/my model/") == "my-model"


def write_rows(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path.parent


@pytest.fixture(scope="session")
def local(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder, rows like those of tiny-codes with English beside, and rows of every benchmark."""
    folder = tmp_path_factory.mktemp("local")
    tokenizer = AutoTokenizer.from_pretrained(shipped_model())
    tokenizer.chat_template = CHAT
    tokenizer.save_pretrained(folder / "model")
    torch.manual_seed(0)
    LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=16,
            intermediate_size=24,
            num_hidden_layers=2,
            num_attention_heads=2,
            max_position_embeddings=4096,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
        )
    ).save_pretrained(folder / "model")
    codes = [
        {"prompt": "Write it.", "programming_language": language, "response": f"Here:\n```{language}\n{text}\n```\n"}
        for language in LANGUAGES
        for text in pure_code(language, 14, 3)
    ]
    write_rows(folder / "codes.jsonl", codes)
    (folder / "english.txt").write_text("\n\n".join(general_english(14, 3)))
    subjects = sorted(
        yaml.safe_load(file.read_text().replace("!function", ""))["dataset_name"]
        for file in (Path(lm_eval.tasks.__file__).parent / "mmlu/default").glob("mmlu_*.yaml")
    )
    quiz = {"question": "What is 2?", "choices": ["one", "two", "three", "four"], "answer": 1}
    rows: dict[str, dict[str, list[dict[str, Any]]]] = {
        "humaneval": {
            "test": [
                {
                    "task_id": "HumanEval/0",
                    "prompt": "def one():\n",
                    "canonical_solution": "    return 1\n",
                    "test": "def check(candidate):\n    assert candidate() == 1\n",
                    "entry_point": "one",
                }
            ]
        },
        "gsm8k": {
            "train": [{"question": f"What is {n} and 1?", "answer": f"It is {n + 1}.\n#### {n + 1}"} for n in range(6)],
            "test": [{"question": "What is 1 and 1?", "answer": "It is 2.\n#### 2"}],
        },
        "hellaswag": {
            "validation": [
                {
                    "activity_label": "Cooking",
                    "ctx_a": "A man cooks.",
                    "ctx_b": "he",
                    "endings": ["eats.", "flies.", "sings.", "melts."],
                    "label": "0",
                }
            ]
        },
        "mmlu": {split: [{**quiz, "subject": subject} for subject in subjects] for split in ("test", "dev")},
        "truthfulqa": {
            "validation": [
                {
                    "question": "Is the sky green?",
                    "mc1_targets": {"choices": ["No.", "Yes."], "labels": [1, 0]},
                    "mc2_targets": {"choices": ["No.", "Yes."], "labels": [1, 0]},
                }
            ]
        },
        "winogrande": {
            "validation": [{"sentence": "Ann saw Eve and _ waved.", "option1": "Ann", "option2": "Eve", "answer": "1"}]
        },
    }
    for task, splits in rows.items():
        for split, found in splits.items():
            write_rows(folder / "data" / task / f"{split}.jsonl", found)
    return folder


def shrunk(preset: str, local: Path) -> Study:
    """The preset as it is, but for the model, the text, the rows, the sizes, and fewer doses."""
    study = preset_study(preset, str(local / "model"))
    scoring = study.scoring.model_copy(update={"token_budget": 192, "sequence_length": 64})
    if scoring.finetune is not None:
        finetune = replace(scoring.finetune, steps=2, sequences_per_step=2, snapshots=(0, 1, 2))
        scoring = scoring.model_copy(update={"finetune": finetune})
    corpus = study.corpus.model_copy(
        update={
            "source": (Source(str(local / "codes.jsonl")), Source(str(local / "english.txt"))),
            "languages": LANGUAGES,
            "documents": 10,
            "evaluation_documents": 2,
        }
    )

    def rows_of(task: TaskSpec) -> TaskSpec:
        family = task.name.split("_")[0]
        return replace(task, data=local / "data" / family, limit=1, max_new_tokens=4 if family in GENERATED else None)

    entries = {role: [] for role in ("code", "general", "other")}
    for role, task in study.evaluation.tasks():
        entries[role].append(rows_of(task))
    return study.model_copy(
        update={
            "model": study.model.model_copy(update={"dtype": "float32"}),
            "corpus": corpus,
            "scoring": scoring,
            "spots": tuple(spot.model_copy(update={"k_percent": spot.k_percent[-2:]}) for spot in study.spots),
            "evaluation": study.evaluation.model_copy(update={k: tuple(v) for k, v in entries.items()}),
        }
    )


@pytest.mark.skipif(available() is None, reason="no sandbox works on this machine")
@pytest.mark.parametrize("preset", PRESETS)
def test_a_preset_runs_to_its_end(preset: str, local: Path, tmp_path: Path) -> None:
    study = shrunk(preset, local)
    directory = run_study(study, tmp_path / "run")
    plan = Plan.model_validate_json((tmp_path / "run" / "plan.json").read_text())
    results = Results.read(tmp_path / "run")
    assert results.cells() == [cell.name for cell in plan.cells]
    assert [task.items for task in plan.tasks if task.name == "mmlu"] == [57]
    assert {domain.name: domain.held_out for domain in plan.domains} == {
        "go": False,
        "rust": False,
        "python": True,
        "english": True,
    }
    if preset == "code-region":
        losses = pd.read_parquet(directory.analysis / "finetuning_losses.parquet")
        assert losses.groupby(["seed", "domain"]).size().to_dict() == dict.fromkeys(
            [(seed, domain) for seed in (0, 1) for domain in ("go", "rust")], 2
        )
        moved = pd.read_parquet(directory.analysis / "importance_evolution.parquet")
        assert set(moved["comparison"]) == {"steps", "domains", "seeds"}
        assert len(pd.read_parquet(directory.analysis / "importance_distribution.parquet"))
        build_report(tmp_path / "run")
        assert (tmp_path / "run" / "figures" / "evolution.png").exists()
