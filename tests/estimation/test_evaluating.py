import json
from pathlib import Path

import pytest
from architectures import CONFIGS, make_model

from codingspot.corpus import Corpus, Domain
from codingspot.estimation.domains import known_domains
from codingspot.estimation.evaluating import LOSSES, Tokens, evaluation_peaks, evaluation_tokens
from codingspot.estimation.footprint import DatalessModel
from codingspot.evaluation.adapter import ModelAdapter
from codingspot.evaluation.perplexity import HeldOutLoss
from codingspot.models import load_model
from codingspot.studies import DEMO
from codingspot.study import load_study
from codingspot.study.corpora import study_corpora
from codingspot.study.evaluation_section import EvaluationSection
from codingspot.study.planning import plan_cells
from codingspot.testbed.shipped import shipped_model

TEXTS = Corpus("texts", (Domain("go", "code", ("x" * 300,)), Domain("english", "general", ("y" * 30,))))
CELLS = plan_cells(load_study(DEMO), parameters=1000)


def test_losses_read_the_documents_or_as_much_of_them_as_is_asked() -> None:
    section = EvaluationSection(perplexity_tokens=1000)
    assert evaluation_tokens(section, CELLS, TEXTS, 5) == {LOSSES: Tokens(len(CELLS) * (500 + 50))}
    assert evaluation_tokens(section, CELLS, TEXTS, 50)[LOSSES] == Tokens(len(CELLS) * (1000 + 500))
    assert evaluation_tokens(section, CELLS, TEXTS, None)[LOSSES] == Tokens(len(CELLS) * 2000)


def test_losses_of_the_demo_are_nearly_as_many_tokens_as_are_read() -> None:
    corpus = load_study(DEMO).corpus.model_copy(update={"documents": 20})
    found = evaluation_tokens(EvaluationSection(), CELLS[:1], known_domains(corpus)[0], corpus.evaluation_documents)
    loaded = load_model(shipped_model(), device="cpu")
    losses = HeldOutLoss(ModelAdapter(loaded.model, loaded.tokenizer), study_corpora(corpus)[1].domains)
    read = sum(each.tokens for each in losses._documents)
    assert found[LOSSES] is not None
    assert found[LOSSES].read == pytest.approx(read, rel=0.35)


def test_tasks_count_where_their_items_are_here_and_at_the_cells_that_are_asked(tmp_path: Path) -> None:
    rows = [{"question": f"{n}: " + "How many?" * 10, "answer": "Two. #### 2"} for n in range(3)]
    (tmp_path / "test.jsonl").write_text("\n".join(map(json.dumps, rows)))
    section = EvaluationSection.model_validate(
        {
            "code": [{"name": "testbed_humaneval", "limit": 4, "max_new_tokens": 30}],
            "general": [{"name": "gsm8k", "data": tmp_path, "few_shot": 0}, "hellaswag"],
        }
    )
    found = evaluation_tokens(section, CELLS, TEXTS, None)
    assert found["hellaswag"] is None
    code, sums = found["testbed_humaneval"], found["gsm8k"]
    assert code is not None
    assert sums is not None
    with_tasks = [cell for cell in CELLS if cell.purpose != "draw"]  # of further draws perplexity alone is taken
    assert code.written == len(with_tasks) * 4 * 30 < len(CELLS) * 4 * 30
    assert len(with_tasks) * 3 * 30 < sums.read < len(with_tasks) * 3 * 60
    asked = sum(cell.spot is None or cell.purpose != "dose" or cell.k_percent == 0.25 for cell in with_tasks)
    assert 1 < asked < len(with_tasks)
    fewer = evaluation_tokens(section.model_copy(update={"tasks_at": (0.25,)}), CELLS, TEXTS, None)
    assert fewer["testbed_humaneval"] == Tokens(code.read // len(with_tasks) * asked, asked * 4 * 30)
    assert fewer[LOSSES] == found[LOSSES]


def llama(folder: Path) -> DatalessModel:
    model = make_model("llama", tied=True)
    model.config.architectures = [type(model).__name__]
    model.config.save_pretrained(folder)
    return DatalessModel(folder)


def test_peaks_are_weights_and_a_batch(tmp_path: Path) -> None:
    run = llama(tmp_path)
    alone = list(evaluation_peaks(run, 1000, EvaluationSection(batch_tokens=256), "cpu"))
    assert [(peak.stage, peak.place, peak.parts["weights"]) for peak in alone] == [(LOSSES, "device", 1000)]
    tasks = EvaluationSection(batch_tokens=512, other=("winogrande",))
    losses, choices, generation = evaluation_peaks(run, 1000, tasks, "cpu")
    assert 1.8 < (losses.total - 1000) / (alone[0].total - 1000) < 2.1
    assert choices.total > 1000
    config = run.model.config
    cache = 2 * 4 * 32_768 * config.num_hidden_layers * config.num_key_value_heads * config.head_dim
    assert (
        cache < generation.parts["key-value cache and activations"] < 4 * cache + 32_768 * 4 * 16 * config.hidden_size
    )
    on_gpu = {peak.stage: peak.total for peak in evaluation_peaks(run, 1000, tasks, "cuda")}
    assert on_gpu["generation"] > 1.9 * (generation.total - 1000)


@pytest.mark.parametrize("name", [name for name in CONFIGS if name not in ("qwen3-moe", "falcon-rw")])
def test_every_architecture_has_all_three(name: str, tmp_path: Path) -> None:
    model = make_model(name, tied=True)
    model.config.architectures = [type(model).__name__]
    model.config.save_pretrained(tmp_path)
    section = EvaluationSection(batch_tokens=64, other=("winogrande",))
    assert len(list(evaluation_peaks(DatalessModel(tmp_path), 0, section, "cpu"))) == 3
