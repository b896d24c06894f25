"""A shipped model is the one whose quality is stored, and that quality meets the testbed's bars."""

import json
import random

import pytest

from codingspot.models import load_model
from codingspot.testbed.benchmarks import TASKS, benchmark_items
from codingspot.testbed.evaluate import shared_vocabulary
from codingspot.testbed.quality import load_quality
from codingspot.testbed.routing import Subset
from codingspot.testbed.shipped import languages_of, shipped_model, shipped_models
from codingspot.testbed.world import BROAD, REASONING, ROUTED


def test_stored_quality_is_of_these_weights_and_meets_the_bars():
    loaded = load_model(shipped_model())
    quality = load_quality(shipped_model())
    assert quality.fingerprint == loaded.fingerprint
    tasks = {name.removeprefix("testbed_"): task.accuracy for name, task in quality.tasks.items()}
    assert tasks["humaneval"] >= 0.90
    assert tasks["comprehension"] >= 0.50
    assert tasks["arithmetic"] >= 0.80
    assert min(tasks[name] for name in ("events", "knowledge", "misconceptions", "roles")) >= 0.85
    assert min(quality.shared_vocabulary.values()) >= 0.70


@pytest.mark.parametrize("name", [name for name in shipped_models() if Subset.is_in(shipped_model(name))])
def test_a_routed_model_loses_code_and_nothing_else_with_its_subset(name: str):
    folder = shipped_model(name)
    loaded, quality = load_model(folder), load_quality(folder)
    assert quality.fingerprint == loaded.fingerprint
    assert set(Subset.load(folder).masks(loaded.model)) == {
        name for name, _ in loaded.model.named_parameters() if "proj" in name
    }
    whole, zeroed = {name: task.accuracy for name, task in quality.tasks.items()}, quality.without_subset
    assert whole["testbed_humaneval"] >= 0.85
    assert zeroed["testbed_humaneval"] < 0.05
    for family in ("arithmetic", "events", "knowledge", "misconceptions", "roles"):
        assert whole[f"testbed_{family}"] >= 0.85
        assert abs(whole[f"testbed_{family}"] - zeroed[f"testbed_{family}"]) <= 0.05


def test_the_two_routed_models_have_other_units_and_other_numbers_of_them():
    one, other = (Subset.load(shipped_model(name)).layers for name in ("routed", "scattered"))
    assert sum(len(layer.neurons) for layer in one) == sum(len(layer.neurons) for layer in other)
    assert sum(len(layer.heads) for layer in one) == sum(len(layer.heads) for layer in other)
    assert len({len(layer.neurons) for layer in other}) == len(other)
    assert len({layer.neurons[:8] for layer in other}) == len(other)


def test_stored_vocabulary_share_can_be_measured_again():
    tokenizer = load_model(shipped_model()).tokenizer
    assert shared_vocabulary(tokenizer, ["go"])["go"] == load_quality(shipped_model()).shared_vocabulary["go"]


def test_shipped_items_are_those_of_seed_0():
    for name, items in benchmark_items(0).items():
        shipped = [json.loads(line) for line in (TASKS / f"{name}.jsonl").read_text().splitlines()]
        assert shipped == json.loads(json.dumps(items))


def test_no_shipped_problem_occurs_in_training_documents():
    """The documentation sentence of a problem names its composition; none may be seen in training."""
    lines = (TASKS / "humaneval.jsonl").read_text().splitlines()
    sentences = {json.loads(line)["prompt"].split('"""')[1] for line in lines}
    assert len(sentences) == 164
    rng = random.Random(11)
    text = "\n".join(mixture.document(rng) for mixture in (BROAD, REASONING, ROUTED) for _ in range(4000))
    assert not [sentence for sentence in sentences if sentence in text]


def test_languages_are_those_of_the_recipe():
    assert languages_of(shipped_model()) == BROAD.languages
