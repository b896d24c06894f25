import json
from pathlib import Path

import pytest
import torch
from transformers import AutoTokenizer

from codingspot.study import Study, parse_study
from codingspot.testbed.architecture import build_model
from codingspot.testbed.shipped import shipped_model
from codingspot.testbed.world import general_english, pure_code


@pytest.fixture(scope="session")
def corpus_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Texts of three domains, shared: a test leaves them as they are."""
    folder = tmp_path_factory.mktemp("texts") / "corpus"
    folder.mkdir()
    texts = {"go": pure_code("go", 12, 5), "python": pure_code("python", 12, 5), "english": general_english(12, 5)}
    for name, domain in texts.items():
        lines = "".join(json.dumps({"text": text}) + "\n" for text in domain)
        (folder / f"{name}.jsonl").write_text(lines)
    return folder


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that has learned nothing, with the shipped model's tokenizer: a run of it takes a third of the time."""
    folder = tmp_path_factory.mktemp("models") / "tiny"
    tokenizer = AutoTokenizer.from_pretrained(shipped_model())
    sizes = {"hidden_size": 64, "layers": 2, "heads": 4, "key_value_heads": 2, "mlp_size": 128, "context": 512}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        end = int(tokenizer.eos_token_id)
        model = build_model("llama", **sizes, vocabulary_size=len(tokenizer), end_of_text=end)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def small_study(corpus_folder: Path, tiny_model: Path) -> Study:
    return parse_study(
        f"""
name: small
model: {{id: "{tiny_model}"}}
corpus: {{source: "{corpus_folder}", evaluation_documents: 2, held_out: [python]}}
scoring: {{token_budget: 256, sequence_length: 64, draws: 2}}
spots:
  - {{name: paper, k_percent: [0.01, 1], controls: [uniform, matched], control_seeds: [3]}}
  - {{name: blocks, recipe: set_difference, parameters: {{general_percent: 20}}, scope: blocks, k_percent: [1]}}
evaluation:
  code: [{{name: testbed_humaneval, max_new_tokens: 24}}]
  general: [testbed_events]
  other: []
  limit: 2
  code_limit: 2
""",
        "small.yaml",
    )
