from types import SimpleNamespace

import pytest
import torch
from torch import nn

from codingspot.errors import ModelError, NonFiniteError
from codingspot.importance.accumulation import accumulate_gradients
from codingspot.importance.estimators import add_signed
from codingspot.models import OutputHead, fingerprint, unique_parameters


def _batches(sequences: int = 6, length: int = 8, at_once: int = 2) -> list[torch.Tensor]:
    ids = torch.randint(0, 24, (sequences, length), generator=torch.Generator().manual_seed(1))
    return list(ids.split(at_once))


def _reference(model, batches) -> dict[str, torch.Tensor]:
    """Gradients of the library's own mean loss over all sequences at once."""
    ids = torch.cat(batches)
    model.eval()
    parameters = unique_parameters(model)
    found = torch.autograd.grad(model(input_ids=ids, labels=ids).loss, list(parameters.values()))
    return dict(zip(parameters, found, strict=True))


@pytest.mark.parametrize("name", ["llama", "gpt2"])
@pytest.mark.parametrize("at_once", [1, 2, 4, 6])
def test_gradients_are_those_of_the_mean_loss_however_it_is_cut(request, name: str, at_once: int) -> None:
    model = request.getfixturevalue(name)
    batches = _batches(at_once=at_once)
    found = accumulate_gradients(model, [batches], add_signed, domain="x")
    assert found.predicted_tokens == 6 * 7
    expected = _reference(model, batches)
    assert list(found.gradients) == list(expected)
    for key, gradient in expected.items():
        torch.testing.assert_close(found.gradients[key] / found.predicted_tokens, gradient, rtol=1e-4, atol=1e-6)
    ids = torch.cat(batches)
    assert found.loss == pytest.approx(model(input_ids=ids, labels=ids).loss.item(), rel=1e-5)


def test_the_number_of_threads_does_not_matter(llama) -> None:
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        one = accumulate_gradients(llama, [_batches()], add_signed, domain="x")
        torch.set_num_threads(2)
        two = accumulate_gradients(llama, [_batches()], add_signed, domain="x")
    finally:
        torch.set_num_threads(before)
    for name, gradient in one.gradients.items():
        torch.testing.assert_close(two.gradients[name], gradient, rtol=1e-4, atol=1e-5)


def test_the_model_is_left_as_it_was(gpt2) -> None:
    gpt2.train()
    gpt2.transformer.h[0].mlp.eval()
    frozen, graded = gpt2.transformer.h[0].attn.c_attn.weight, gpt2.transformer.wte.weight
    frozen.requires_grad_(False)
    kept = torch.ones_like(graded)
    graded.grad = kept
    before = fingerprint(gpt2)

    found = accumulate_gradients(gpt2, [_batches()], add_signed, domain="x")

    assert found.gradients["transformer.h.0.attn.c_attn.weight"].abs().sum() > 0
    assert fingerprint(gpt2) == before
    assert not frozen.requires_grad
    assert graded.grad is kept
    assert torch.equal(kept, torch.ones_like(kept))
    assert [p for p in gpt2.parameters() if p is not graded and p.grad is not None] == []
    assert gpt2.training
    assert gpt2.transformer.h[1].training
    assert not gpt2.transformer.h[0].mlp.training
    assert not any(p._post_accumulate_grad_hooks for p in gpt2.parameters())


def test_no_gradient_is_kept_between_micro_batches_and_grad_mode_does_not_matter(llama) -> None:
    kept = []

    def on_tokens(tokens: int) -> None:
        kept.append((tokens, [name for name, p in llama.named_parameters() if p.grad is not None]))

    with torch.no_grad():
        accumulate_gradients(llama, [_batches()], add_signed, domain="x", on_tokens=on_tokens)
    assert kept == [(16, [])] * 3


def test_dropout_is_off(gpt2) -> None:
    gpt2.train()
    first, again = (accumulate_gradients(gpt2, [_batches()], add_signed, domain="x") for _ in range(2))
    assert first.loss == again.loss


def test_half_precision_gradients_are_summed_in_float32(llama) -> None:
    model = llama.bfloat16()
    batches = _batches(sequences=64, at_once=1)
    found = accumulate_gradients(model, [batches], add_signed, domain="x")
    name = "model.layers.0.mlp.down_proj.weight"
    weight = unique_parameters(model)[name]
    by_batch = torch.stack([torch.autograd.grad(OutputHead(model).text_loss(batch), weight)[0] for batch in batches])
    torch.testing.assert_close(found.gradients[name], by_batch.float().sum(0), rtol=1e-5, atol=1e-5)
    in_bfloat16 = torch.zeros_like(weight)
    for gradient in by_batch:
        in_bfloat16 += gradient
    assert not torch.allclose(in_bfloat16.float(), found.gradients[name], rtol=1e-3, atol=1e-3)


def test_a_parameter_no_token_reaches_has_gradient_zero(llama) -> None:
    llama.unused = nn.Parameter(torch.ones(3))
    found = accumulate_gradients(llama, [_batches()], add_signed, domain="x")
    assert found.gradients["unused"].tolist() == [0, 0, 0]


def test_the_tensor_at_fault_is_named(llama) -> None:
    with torch.no_grad():
        llama.model.layers[1].mlp.up_proj.weight[0, 0] = float("nan")
    with pytest.raises(NonFiniteError, match=r"model\.layers\.1\.mlp\.up_proj\.weight .*domain 'Rust' is nan"):
        accumulate_gradients(llama, [_batches()], add_signed, domain="Rust")
    assert not any(p._post_accumulate_grad_hooks for p in llama.parameters())


class _SteepAtZero(nn.Module):
    """A finite loss whose gradient is infinite: the square root at 0."""

    def __init__(self) -> None:
        super().__init__()
        self.flat = nn.Parameter(torch.zeros(4))
        self.steep = nn.Parameter(torch.zeros(4))

    def forward(self, input_ids, use_cache):
        return SimpleNamespace(logits=(self.flat + self.steep.sqrt()).expand(*input_ids.shape, 4))


class _Overflowing(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(4))

    def forward(self, input_ids, use_cache):
        return SimpleNamespace(logits=(self.weight * torch.tensor([1e38, 0, 0, 0]) * 10).expand(*input_ids.shape, 4))


def test_infinite_gradient_and_loss_are_refused() -> None:
    ids = [torch.tensor([[0, 1, 2]])]
    with pytest.raises(NonFiniteError, match="the gradient of steep in domain 'Go'"):
        accumulate_gradients(_SteepAtZero(), [ids], add_signed, domain="Go")
    with pytest.raises(NonFiniteError, match="loss of domain 'Go' is nan though every weight is finite"):
        accumulate_gradients(_Overflowing(), [ids], add_signed, domain="Go")


def test_quantised_weights_are_refused(llama) -> None:
    llama.quantised = nn.Parameter(torch.zeros(2, dtype=torch.int8), requires_grad=False)
    with pytest.raises(ModelError, match=r"quantised is torch\.int8"):
        accumulate_gradients(llama, [_batches()], add_signed, domain="x")
