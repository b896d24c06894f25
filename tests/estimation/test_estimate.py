from pathlib import Path

import pytest
from transformers import LlamaConfig

from codingspot.errors import ModelError
from codingspot.estimation import estimate, measure_footprint
from codingspot.importance import score
from codingspot.models import MAX_LOGITS, load_model
from codingspot.spot import find_spot
from codingspot.studies import DEMO
from codingspot.studies.presets import preset_study
from codingspot.study import Study, load_study, parse_study
from codingspot.study.corpora import study_corpora
from codingspot.testbed.shipped import shipped_model

NO_TASKS = "evaluation: {code: [], general: [], other: []}"


def llama(folder: Path, **shape: object) -> str:
    """A folder with nothing but the configuration of a model of Llama 3's vocabulary."""
    LlamaConfig(
        vocab_size=128_256,
        num_key_value_heads=8,
        head_dim=128,
        max_position_embeddings=131_072,
        architectures=["LlamaForCausalLM"],
        **shape,
    ).save_pretrained(folder)
    return str(folder)


def study(**sections: object) -> Study:
    spots = "spots: [{name: paper, k_percent: [1], controls: [matched]}]"
    base = parse_study(f"name: small\n{spots}\n{NO_TASKS}", "small.yaml")
    return base.model_copy(update=sections)


def test_counts_are_those_of_the_run(tmp_path: Path) -> None:
    """Domains, tokens, disk and cells beside the real store and spot of the shipped model."""
    asked = load_study(DEMO)
    asked = asked.model_copy(
        update={
            "corpus": asked.corpus.model_copy(update={"documents": 20, "evaluation_documents": 2}),
            "scoring": asked.scoring.model_copy(update={"token_budget": 256, "draws": 1}),
            "spots": tuple(spot for spot in asked.spots if spot.name == "paper"),
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
    # Four draws, and one of them by two other reductions; the sample has all of so small a model.
    assert found.disk["draws"] == 6 * found.disk["scores"]
    alone = estimate(asked.model_copy(update={"analyses": ("overlap",)}))
    assert alone.flops["scoring"] == pytest.approx(found.flops["scoring"] / 1.5)
    assert alone.disk["draws"] == 4 * alone.disk["scores"]


def test_fine_tuning_and_learning_have_peaks_of_their_own() -> None:
    region = preset_study("code-region")
    region = region.model_copy(update={"model": study().model, "spots": load_study(DEMO).spots})
    peaks = {(peak.stage, peak.place): peak for peak in estimate(region).peaks}
    assert set(peaks) == {
        ("scoring", "device"),
        ("fine-tuning", "device"),
        ("fine-tuning", "host"),
        ("unit scores", "device"),
        ("learned mask", "device"),
        ("selection", "host"),
        ("held-out losses", "device"),
        ("choices of tasks", "device"),
        ("generation", "device"),
    }
    adafactor = peaks["fine-tuning", "device"].parts["optimizer"]
    tuning = region.scoring.finetune
    assert tuning is not None
    assert 0 < adafactor < 4 * 3_148_224 / 20
    assert peaks["fine-tuning", "host"].total == 4 * 3_148_224


def test_a_sum_of_scores_is_one_domain_and_no_scores_are_none() -> None:
    folded = estimate(study(scoring=study().scoring.model_copy(update={"keep": "folded"})))
    own = estimate(study())
    languages = own.domains - 1  # and english
    assert folded.disk["scores"] == 2 * own.disk["scores"] / own.domains
    assert folded.disk["draws"] == own.disk["draws"]
    halved = estimate(study(scoring=study().scoring.model_copy(update={"keep": "folded", "keep_dtype": "float16"})))
    assert halved.disk == {**folded.disk, "scores": folded.disk["scores"] / 2}
    assert folded.selected_from == own.selected_from / languages == own.footprint.parameters
    contrast = next(spot for spot in load_study(DEMO).spots if spot.traits.contrast and spot.traits.scored)
    assert estimate(study(spots=(contrast,))).selected_from == own.domains * own.footprint.parameters

    text = f"name: u\nspots: [{{name: u, recipe: units, k_percent: [5]}}]\n{NO_TASKS}"
    units = estimate(parse_study(text, "units.yaml"))
    assert (units.disk["scores"], units.disk["draws"], units.tokens, units.selected_from) == (0, 0, 0, 0)
    assert {peak.stage for peak in units.peaks} & {"scoring", "selection", "unit scores"} == {"unit scores"}


@pytest.fixture
def tiny(tmp_path: Path) -> str:
    """A model of one layer, run without data in a moment."""
    shape = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 1, "num_attention_heads": 8}
    return llama(tmp_path / "tiny", **shape)


def test_units_are_read_once_for_several_spots_and_again_in_rounds_and_trials(tiny: str) -> None:
    def passes(*spots: str) -> float:
        listed = ", ".join(f"{{name: s{n}, recipe: units, k_percent: [5], {each}}}" for n, each in enumerate(spots))
        text = f"name: u\nmodel: {{id: {tiny}}}\nscoring: {{token_budget: 1024}}\nspots: [{listed}]\n{NO_TASKS}"
        found = estimate(parse_study(text, "units.yaml"))
        return found.flops.get("unit scores", 0.0) / found.footprint.flops_per_token / found.domains / 1024

    once = passes("parameters: {}")
    assert once == pytest.approx(1 / 3)
    assert passes("parameters: {}", "parameters: {contrast: share}") == pytest.approx(once)
    assert passes("parameters: {score: pls, contrast: difference}") == pytest.approx(2 / 3)
    assert passes("parameters: {rounds: 4}") == pytest.approx(4 / 3)
    assert passes("parameters: {}", "parameters: {unit: head, score: rollout}") == pytest.approx(2 / 3)
    assert passes("parameters: {refined: 8, refined_tokens: 512}") == pytest.approx(5 / 3)
    assert passes("parameters: {refined: 8, refined_tokens: 512, masks: 100}") == pytest.approx(51 / 3)
    assert passes("parameters: {score: weights}") == 0  # of which nothing is read


def test_attention_probabilities_are_in_memory_of_all_layers_for_gradients_and_of_one_otherwise(tmp_path: Path) -> None:
    layers, heads, length = 4, 8, 1024
    shape = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": layers, "num_attention_heads": heads}
    model = llama(tmp_path / "tiny", **shape)

    def read(score: str) -> int:
        spots = f"spots: [{{name: u, recipe: units, k_percent: [5], parameters: {{unit: head, score: {score}}}}}]"
        scoring = f"scoring: {{token_budget: 4096, sequence_length: {length}, micro_batch_tokens: {length}}}"
        found = estimate(parse_study(f"name: u\nmodel: {{id: {model}}}\n{scoring}\n{spots}\n{NO_TASKS}", "units.yaml"))
        return next(peak.total for peak in found.peaks if peak.stage == "unit scores")

    layer = 4 * heads * length**2
    activations = read("rms")
    assert (layers - 1) * layer < read("attention_gradient") - activations < (layers + 1) * layer
    assert activations <= read("rollout") < activations + 2 * layer


def test_a_gpu_holds_more_logits_at_once(tiny: str) -> None:
    def scoring(**model: str) -> int:
        return estimate(study(model=study().model.model_copy(update={"id": tiny, **model}))).peaks[0].total

    model = measure_footprint(tiny, sequences=8, sequence_length=256, max_logits=MAX_LOGITS["cuda"])
    assert scoring(device="cuda:0") == 8 * model.parameters + model.pass_bytes
    assert scoring(device="cpu") <= scoring(device="cuda") == scoring(device_map="auto")
    with pytest.raises(ModelError, match="unknown device 'gpu'; use cpu, or cuda for a GPU"):
        scoring(device="gpu")


def test_the_paper_s_study_of_eight_billion_parameters_fits_a_gpu_of_80_gb(tmp_path: Path) -> None:
    """Llama-3.1-8B's shape. On an H100 scoring 2,048 tokens at once peaked at 65.7 GB."""
    shape = {"hidden_size": 4096, "intermediate_size": 14_336, "num_hidden_layers": 32, "num_attention_heads": 32}
    asked = preset_study("paper", llama(tmp_path, **shape))
    found = estimate(asked.model_copy(update={"model": asked.model.model_copy(update={"device": "cuda"})}))
    assert found.footprint.parameters == 8_030_261_248
    peaks = {peak.stage: peak.total for peak in found.peaks}
    assert set(peaks) == {"scoring", "selection", "held-out losses", "choices of tasks", "generation"}
    assert max(peaks.values()) < 80e9
    assert peaks["scoring"] == pytest.approx(65.7e9, rel=0.03)
    assert found.disk["scores"] == 4 * 8_030_261_248
    assert sum(found.disk.values()) < 200e9
    assert {name for name, tokens in found.evaluation.items() if tokens} == {"held-out losses"}


def test_published_models_by_their_configuration(tmp_path: Path) -> None:
    """Llama-3.2-3B's shape: 3,212,749,824 parameters; in bfloat16 it is scored within 32 GB."""
    shape = {"hidden_size": 3072, "intermediate_size": 8192, "num_hidden_layers": 28, "num_attention_heads": 24}
    llama(tmp_path, tie_word_embeddings=True, **shape)
    found = estimate(preset_study("paper", str(tmp_path)))
    assert found.footprint.parameters == 3_212_749_824
    assert (found.domains, found.tokens, found.cells) == (10, 40_960, 13)
    assert found.disk["scores"] == 4 * 3_212_749_824  # the sum of ten languages
    assert 19.3e9 < found.peaks[0].total < 32e9
    assert found.flops["scoring"] == pytest.approx(6 * 3.2e9 * 40_960, rel=0.05)
    assert found.to_json()["memory"][0]["parts"]["accumulators"] == 4 * 3_212_749_824
