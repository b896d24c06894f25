from pathlib import Path

import pytest
from transformers import LlamaConfig

from codingspot.estimation import estimate, measure_footprint
from codingspot.importance import score
from codingspot.models import load_model
from codingspot.spot import find_spot
from codingspot.studies import DEMO
from codingspot.studies.presets import preset_study
from codingspot.study import Study, load_study, parse_study
from codingspot.study.corpora import study_corpora
from codingspot.testbed.shipped import shipped_model


def study(**sections: object) -> Study:
    base = parse_study("name: small\nspots: [{name: paper, k_percent: [1], controls: [matched]}]", "small.yaml")
    return base.model_copy(update=sections)


def test_counts_are_those_of_the_run(tmp_path: Path) -> None:
    """Domains, tokens, disk and cells beside the real store and spot of the shipped model."""
    asked = load_study(DEMO)
    asked = asked.model_copy(
        update={
            "corpus": asked.corpus.model_copy(update={"documents": 20, "evaluation_documents": 2}),
            "scoring": asked.scoring.model_copy(update={"token_budget": 256, "draws": 1}),
            "spots": asked.spots[:1],
        }
    )
    found = estimate(asked)
    loaded = load_model(shipped_model(), device="cpu")
    store = score(loaded, study_corpora(asked.corpus)[0], tmp_path / "scores", token_budget=256, sequence_length=256)
    assert found.domains == len(store.domains)
    assert found.tokens == sum(domain.details["tokens"] for domain in store.domains)
    written = sum(file.stat().st_size for file in (tmp_path / "scores").glob("*.safetensors"))
    assert written == pytest.approx(found.disk["scores"], rel=0.001)
    spot = find_spot(store, max_k_percent=1)
    spot.save(tmp_path / "spot.safetensors")
    # The spot and six controls: two kinds, three seeds.
    assert 7 * (tmp_path / "spot.safetensors").stat().st_size == pytest.approx(found.disk["spots"], rel=0.05)
    assert found.cells == 1 + 5 * 7


def test_scoring_is_weights_accumulators_and_the_pass() -> None:
    found = estimate(study())
    one = measure_footprint(shipped_model(), sequences=8, sequence_length=256)
    scoring = found.peaks[0]
    assert scoring.total == (4 + 4) * one.parameters + one.pass_bytes
    assert found.flops["scoring"] == pytest.approx(1.5 * one.flops_per_token * found.tokens)
    assert found.disk["scores"] == 4 * one.parameters * found.domains


def test_draws_are_kept_at_a_sample_and_other_reductions_cost_a_pass_of_one() -> None:
    asked = study()
    found = estimate(asked)
    assert found.disk["draws"] == 4 * found.disk["scores"]  # the sample has all of so small a model
    alone = estimate(asked.model_copy(update={"analyses": ("overlap",)}))
    assert alone.flops["scoring"] == pytest.approx(found.flops["scoring"] / 1.5)


def test_fine_tuning_and_learning_have_peaks_of_their_own() -> None:
    region = preset_study("code-region")
    region = region.model_copy(update={"model": study().model, "spots": load_study(DEMO).spots})
    peaks = {(peak.stage, peak.place): peak for peak in estimate(region).peaks}
    assert set(peaks) == {
        ("scoring", "device"),
        ("fine-tuning", "device"),
        ("fine-tuning", "host"),
        ("learned mask", "device"),
        ("selection", "host"),
    }
    adafactor = peaks["fine-tuning", "device"].parts["optimizer"]
    tuning = region.scoring.finetune
    assert tuning is not None
    assert 0 < adafactor < 4 * 3_148_224 / 20
    assert peaks["fine-tuning", "host"].total == 4 * 3_148_224


def test_published_models_by_their_configuration(tmp_path: Path) -> None:
    """Llama-3.2-3B's shape: 3,212,749,824 parameters; in bfloat16 it is scored within 32 GB."""
    LlamaConfig(
        vocab_size=128_256,
        hidden_size=3072,
        intermediate_size=8192,
        num_hidden_layers=28,
        num_attention_heads=24,
        num_key_value_heads=8,
        head_dim=128,
        tie_word_embeddings=True,
        architectures=["LlamaForCausalLM"],
    ).save_pretrained(tmp_path)
    found = estimate(preset_study("paper", str(tmp_path)))
    assert found.footprint.parameters == 3_212_749_824
    assert (found.domains, found.tokens, found.cells) == (10, 40_960, 13)
    assert found.disk["scores"] == 4 * 3_212_749_824 * 10
    assert 19.3e9 < found.peaks[0].total < 32e9
    assert found.flops["scoring"] == pytest.approx(6 * 3.2e9 * 40_960, rel=0.05)
    assert found.to_json()["memory"][0]["parts"]["accumulators"] == 4 * 3_212_749_824
