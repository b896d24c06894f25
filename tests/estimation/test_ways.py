from pathlib import Path

import pytest
from transformers import FalconConfig, LlamaConfig

from codingspot.estimation import Way, estimate, measure_footprint
from codingspot.estimation.footprint import DatalessModel
from codingspot.estimation.ways import ScoredText, ways_to_score
from codingspot.study import parse_study

STUDY = """
name: small
spots: [{name: paper, k_percent: [1]}]
evaluation: {code: [], general: [], other: []}
"""
TEXT = ScoredText(domains=3, tokens=1024, sequences=4, length=64, max_logits=1 << 26)
WIDTH, VOCABULARY = 128, 500


def llama(folder: Path, layers: int) -> str:
    LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=WIDTH,
        intermediate_size=320,
        num_hidden_layers=layers,
        num_attention_heads=4,
        tie_word_embeddings=False,
        architectures=["LlamaForCausalLM"],
    ).save_pretrained(folder / str(layers))
    return str(folder / str(layers))


def ways(source: str, memory: int | None = None, *, on_cpu: bool = False) -> dict[str, Way]:
    run = DatalessModel(source)
    whole = run.footprint(TEXT.sequences, TEXT.length, TEXT.max_logits)
    return {way.name: way for way in ways_to_score(run, whole, TEXT, memory=memory, on_cpu=on_cpu)}


def test_layer_by_layer_doesnt_grow_with_layers_but_on_disk(tmp_path: Path) -> None:
    few, many = (ways(llama(tmp_path, layers))["layer by layer"] for layers in (2, 6))
    assert many.device == few.device
    assert (few.disk, many.disk) == (3 * 1024 * WIDTH * 4, 7 * 1024 * WIDTH * 4)
    assert few.host == many.host == 2 * 1024 * WIDTH * 4
    layer = 4 * WIDTH**2 + 3 * WIDTH * 320 + 2 * WIDTH
    weights = 4 * (2 * VOCABULARY * WIDTH + WIDTH + 6 * layer)
    assert many.read == 7 * weights  # once, and twice for each of three domains
    # The larger part, a layer, its accumulators and the largest gradient at the least.
    assert many.device > 8 * layer + 4 * VOCABULARY * WIDTH


def test_layer_by_layer_of_one_layer_takes_the_pass_of_the_whole(tmp_path: Path) -> None:
    found = ways(llama(tmp_path, 1))
    whole, apart = found["whole"], found["layer by layer"]
    layer, outside = 4 * WIDTH**2 + 3 * WIDTH * 320 + 2 * WIDTH, 2 * VOCABULARY * WIDTH + WIDTH
    assert whole.device - apart.device == 8 * min(layer, outside)  # float32 weights and accumulators
    assert apart.operations == pytest.approx(4 / 3 * whole.operations)


def test_a_rank_has_its_part_what_is_outside_a_layer_and_its_sequences(tmp_path: Path) -> None:
    source = llama(tmp_path, 4)
    layer, outside = 4 * WIDTH**2 + 3 * WIDTH * 320 + 2 * WIDTH, 2 * VOCABULARY * WIDTH + WIDTH
    share = measure_footprint(source, sequences=1, sequence_length=64).pass_bytes  # of 4
    shards = (outside + 4 * layer) * 8 // 8
    found = ways(source)["8 ranks"]
    assert found.device == shards + 8 * outside + 4 * layer + share
    assert found.host == 4 * (outside + 4 * layer)


def test_as_many_ranks_as_fit(tmp_path: Path) -> None:
    source = llama(tmp_path, 4)
    unknown = ways(source)
    assert [way.fits for way in unknown.values()] == [None, None, None]
    memory = unknown["8 ranks"].device
    enough = ways(source, memory)
    assert list(enough) == ["whole", "8 ranks", "layer by layer"]
    assert all(way.fits == (way.device <= memory) for way in enough.values())
    assert enough["8 ranks"].fits
    assert not enough["whole"].fits
    on_cpu = ways(source, memory, on_cpu=True)  # which holds what the host does as well
    assert not any(way.fits for way in on_cpu.values() if way.name.endswith("ranks"))
    none = ways(source, 1)
    assert [(way.name, way.fits) for way in none.values()] == [
        ("whole", False),
        ("1024 ranks", False),
        ("layer by layer", False),
    ]


def test_what_fits_as_a_whole_is_scored_so(tmp_path: Path) -> None:
    source = llama(tmp_path, 2)
    needed = ways(source)["whole"].device
    assert list(ways(source, needed)) == ["whole"]
    assert list(ways(source, needed - 1)) != ["whole"]


def test_layers_that_give_a_tuple(tmp_path: Path) -> None:
    FalconConfig(
        vocab_size=VOCABULARY,
        hidden_size=64,
        num_hidden_layers=3,
        num_attention_heads=4,
        architectures=["FalconForCausalLM"],
    ).save_pretrained(tmp_path)
    found = ways(str(tmp_path))
    assert found["layer by layer"].device < found["whole"].device


def test_of_a_study(tmp_path: Path) -> None:
    study = parse_study(STUDY, "small.yaml")
    assert [way.name for way in estimate(study).ways] == ["whole"]  # on this machine
    found = estimate(study, memory=100_000_000)
    assert found.ways[0].device == found.peaks[0].total
    assert [way["name"] for way in found.to_json()["ways_to_score"]] == ["whole", "4 ranks", "layer by layer"]
    assert found.to_json()["device_memory"] == 100_000_000
    wanda = study.model_copy(
        update={"scoring": study.scoring.model_copy(update={"estimator": "wanda", "parameters": {}})}
    )
    assert estimate(wanda).ways == ()
