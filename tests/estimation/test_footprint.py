import json
from pathlib import Path

import pytest
import torch
from architectures import CONFIGS, make_model
from transformers import LlamaConfig

from codingspot.errors import ModelError
from codingspot.estimation import Footprint, measure_footprint
from codingspot.models import OutputHead, unique_parameters

LLAMA = LlamaConfig(
    vocab_size=512,
    hidden_size=64,
    intermediate_size=160,
    num_hidden_layers=3,
    num_attention_heads=4,
    num_key_value_heads=2,
    architectures=["LlamaForCausalLM"],
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    LLAMA.save_pretrained(tmp_path)
    return tmp_path


def test_sizes_are_those_of_the_model(folder: Path) -> None:
    attention, mlp = 64 * 64 * 2 + 64 * 32 * 2, 3 * 64 * 160
    parameters = 2 * 512 * 64 + 3 * (attention + mlp + 2 * 64) + 64
    for dtype, size in (("float32", 4), ("bfloat16", 2)):
        found = measure_footprint(folder, sequences=2, sequence_length=32, dtype=dtype)
        assert (found.parameters, found.weight_bytes) == (parameters, size * parameters)
        assert (found.largest_tensor, found.tokens) == (512 * 64, 64)


def test_operations_are_six_for_each_weight_and_token_and_those_of_attention(folder: Path) -> None:
    """Kaplan et al. 2020 (arXiv 2001.08361, section 2.1): 2 a weight forward, twice that backward."""
    found = measure_footprint(folder, sequences=2, sequence_length=32)
    weights = found.parameters - 512 * 64 - (3 * 2 + 1) * 64  # neither the embedding's look-up nor norms multiply
    scores_and_values = 3 * 2 * 2 * 2 * 32 * 32 * 64  # layers, products, operations, sequences, tokens by tokens, width
    forward = 2 * weights * found.tokens + scores_and_values
    # The backward pass of attention computes its scores once more: five products for two.
    assert found.flops == 3 * forward + scores_and_values // 2


def test_the_pass_holds_at_least_what_is_saved_for_the_backward_and_little_more(folder: Path) -> None:
    """Against PyTorch's own account of the tensors that autograd keeps of a real forward pass."""
    found = measure_footprint(folder, sequences=4, sequence_length=64)
    torch.manual_seed(0)
    from transformers import LlamaForCausalLM

    model = LlamaForCausalLM(LLAMA).eval()
    own = {weight.untyped_storage().data_ptr() for weight in model.parameters()}
    kept: dict[int, int] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        loss = OutputHead(model).text_loss(torch.zeros((4, 64), dtype=torch.int64))
    saved = sum(kept.values())
    assert loss.isfinite()
    logits = 4 * 64 * 512 * 4
    # Beside what is saved: the logits and their softmax, or every weight's gradient.
    assert saved <= found.pass_bytes <= saved + 2 * logits + found.weight_bytes


def test_it_grows_with_the_tokens_and_shrinks_with_the_type(folder: Path) -> None:
    def measured(sequences: int, dtype: str = "float32") -> Footprint:
        return measure_footprint(folder, sequences=sequences, sequence_length=64, dtype=dtype)

    one, two, four = measured(2), measured(4), measured(8)
    assert four.pass_bytes - two.pass_bytes == pytest.approx(2 * (two.pass_bytes - one.pass_bytes), rel=0.02)
    assert four.flops == 2 * two.flops == 4 * one.flops
    assert 0.5 * four.pass_bytes < measured(8, "bfloat16").pass_bytes < 0.85 * four.pass_bytes


@pytest.mark.parametrize("name", [name for name in CONFIGS if name != "qwen3-moe"])
def test_every_architecture_runs_without_data(name: str, tmp_path: Path) -> None:
    model = make_model(name, tied=True)
    config = model.config
    config.architectures = [type(model).__name__]
    config.save_pretrained(tmp_path)
    found = measure_footprint(tmp_path, sequences=1, sequence_length=16)
    assert found.parameters == sum(weight.numel() for weight in unique_parameters(model).values())
    assert found.pass_bytes > 16 * 16 * 4
    assert found.flops > 2 * 16 * 4 * 16 * 16


def test_experts_count_as_far_as_they_are_used(tmp_path: Path) -> None:
    model = make_model("mixtral", tied=False)
    model.config.architectures = [type(model).__name__]
    model.config.save_pretrained(tmp_path)
    used = measure_footprint(tmp_path, sequences=1, sequence_length=16, dtype="bfloat16").flops
    settings = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**settings, "num_experts_per_tok": 1}))
    fewer = measure_footprint(tmp_path, sequences=1, sequence_length=16, dtype="bfloat16").flops
    # One expert less a token and layer: three matrices of 16 x 24, forward and backward.
    assert used - fewer == 2 * 16 * 3 * 16 * 24 * 6


def test_a_model_that_needs_values_is_refused_with_the_reason(tmp_path: Path) -> None:
    model = make_model("qwen3-moe", tied=False)  # expert matrices too narrow for grouped products
    model.config.architectures = [type(model).__name__]
    model.config.save_pretrained(tmp_path)
    with pytest.raises(ModelError, match=r"can't be told from its configuration: Qwen3MoeForCausalLM doesn't run"):
        measure_footprint(tmp_path, sequences=1, sequence_length=16)
