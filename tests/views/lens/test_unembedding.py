import pytest
import torch
from safetensors.torch import save_file

from codingspot.errors import ArtefactError
from codingspot.views.lens.unembedding import TunedLens, Unembedding

IDS = torch.tensor([[3, 5, 7, 2]])


def states_and_logits(model):
    with torch.no_grad():
        output = model(IDS, output_hidden_states=True)
    return output.hidden_states, output.logits[0]


@pytest.mark.parametrize("name", ["llama", "gpt2", "gemma2"])
def test_the_last_layer_gives_the_models_own_logits(name, request):
    model = request.getfixturevalue(name)
    states, logits = states_and_logits(model)
    torch.testing.assert_close(Unembedding(model)(states[-1][0], normalised=True), logits)


def test_other_layers_pass_the_final_norm_with_statistics_of_their_own(llama):
    states, _ = states_and_logits(llama)
    x = states[1][0].double()
    weight = llama.model.norm.weight.double()
    normal = x / (x.pow(2).mean(-1, keepdim=True) + llama.config.rms_norm_eps).sqrt() * weight
    expected = normal @ llama.lm_head.weight.double().T
    torch.testing.assert_close(Unembedding(llama)(states[1][0]), expected.float())


def test_the_norm_is_found(llama, gpt2, gemma2):
    assert Unembedding(llama).norm is llama.model.norm
    assert Unembedding(gpt2).norm is gpt2.transformer.ln_f
    assert Unembedding(gemma2).norm is gemma2.model.norm


def test_soft_capping_is_done(gemma2):
    states, _ = states_and_logits(gemma2)
    found = Unembedding(gemma2)(100 * states[1][0])
    assert found.abs().max() <= 3
    normal = gemma2.model.norm(100 * states[1][0])
    torch.testing.assert_close(found, 3 * (gemma2.lm_head(normal) / 3).tanh())


def test_a_tuned_lens_adds_its_affine_map(llama, tmp_path):
    weight, bias = torch.randn(16, 16), torch.randn(16)
    save_file({"1.weight": weight, "1.bias": bias}, tmp_path / "lens.safetensors")
    tuned = TunedLens(tmp_path / "lens.safetensors", width=16, device=torch.device("cpu"))
    x = torch.randn(3, 16)
    torch.testing.assert_close(tuned(1, x), x + (weight @ x.T).T + bias)
    assert tuned(0, x) is x


def test_a_tuned_lens_of_another_width_or_kind_is_refused(tmp_path):
    path = tmp_path / "lens.safetensors"
    save_file({"0.weight": torch.zeros(8, 8), "0.bias": torch.zeros(8)}, path)
    with pytest.raises(ArtefactError, match=r"no weight \[16, 16\] and bias \[16\] of layer 0"):
        TunedLens(path, width=16, device=torch.device("cpu"))
    save_file({"decoder": torch.zeros(3)}, path)
    with pytest.raises(ArtefactError, match="holds no layer"):
        TunedLens(path, width=16, device=torch.device("cpu"))
    path.write_bytes(b"pickle")
    with pytest.raises(ArtefactError, match="not a safetensors file"):
        TunedLens(path, width=16, device=torch.device("cpu"))
