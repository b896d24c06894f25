"""The loss from final hidden states, in chunks, beside that of all the logits at once, in every architecture."""

from functools import partial

import pytest
import torch
import torch.nn.functional as F
from architectures import CONFIGS, VOCABULARY, make_model
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._python_dispatch import TorchDispatchMode
from transformers import AutoModelForCausalLM, CohereConfig, GraniteConfig, PreTrainedModel

from codingspot.models import OutputHead, unique_parameters
from codingspot.models.output_head import _Sums

FEW = 4 * 5 * VOCABULARY
"""Elements of a chunk of five positions."""


def scaled(config) -> PreTrainedModel:
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 1, "num_attention_heads": 4}
    special = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 1}
    return AutoModelForCausalLM.from_config(config(vocab_size=VOCABULARY, **sizes, **special)).eval()


MODELS = {
    **{f"{name}-{tied}": partial(make_model, name, tied=tied) for name in CONFIGS for tied in (False, True)},
    # Logits are scaled after the head.
    "cohere": lambda: scaled(lambda **sizes: CohereConfig(logit_scale=0.25, **sizes)),
    "granite": lambda: scaled(lambda **sizes: GraniteConfig(logits_scaling=3.0, **sizes)),
}


@pytest.fixture(params=MODELS)
def model(request) -> PreTrainedModel:
    return MODELS[request.param]()


IDS = torch.randint(2, VOCABULARY, (3, 16), generator=torch.Generator().manual_seed(0))


def whole_loss(model: nn.Module, ids: Tensor) -> Tensor:
    logits = model(input_ids=ids, use_cache=False).logits[:, :-1]
    return F.cross_entropy(logits.flatten(0, 1).float(), ids[:, 1:].flatten(), reduction="sum")


def test_loss_and_gradients_are_those_of_the_whole_logits(model) -> None:
    weights = list(unique_parameters(model).values())
    expected = whole_loss(model, IDS)
    gradients = torch.autograd.grad(expected, weights)
    for head in (OutputHead(model), OutputHead(model, max_logits=FEW), OutputHead(model, max_logits=1)):
        loss = head.text_loss(IDS)
        torch.testing.assert_close(loss, expected)
        for found, gradient in zip(torch.autograd.grad(loss, weights), gradients, strict=True):
            torch.testing.assert_close(found, gradient, rtol=1e-4, atol=1e-5)
        with torch.no_grad():
            torch.testing.assert_close(head.text_loss(IDS), expected.detach())


@pytest.mark.parametrize("name", ["llama-False", "llama-True", "gemma2-False", "cohere"])
def test_second_derivatives_are_those_of_the_whole_logits(name) -> None:
    model = MODELS[name]()
    weights = list(unique_parameters(model).values())
    ones = [torch.ones_like(weight) for weight in weights]
    products = []
    head = OutputHead(model, max_logits=FEW)
    with sdpa_kernel(SDPBackend.MATH):  # the fused kernels have no second derivative
        for loss in (whole_loss(model, IDS), head.text_loss(IDS, twice=True)):
            gradients = torch.autograd.grad(loss, weights, create_graph=True)
            products.append(torch.autograd.grad(gradients, weights, ones, allow_unused=True, materialize_grads=True))
    for expected, found in zip(*products, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-3)


class Softmaxes(TorchDispatchMode):
    """Notes how many elements each softmax over the vocabulary has."""

    def __init__(self) -> None:
        super().__init__()
        self.sizes: list[int] = []

    def __torch_dispatch__(self, operation, types, arguments=(), named=None):
        result = operation(*arguments, **(named or {}))
        if operation is torch.ops.aten._log_softmax.default:
            self.sizes.append(result.numel())
        return result


def test_no_more_logits_are_made_than_may_be(model) -> None:
    head = OutputHead(model, max_logits=FEW)
    with Softmaxes() as softmaxes:
        head.text_loss(IDS).backward()
    assert max(softmaxes.sizes) == 5 * VOCABULARY
    assert sum(softmaxes.sizes) >= IDS.numel() * VOCABULARY


@pytest.mark.parametrize("frozen", ["lm_head.weight", "model.embed_tokens.weight"])
def test_frozen_weights_get_no_gradient(frozen) -> None:
    model = make_model("llama", tied=False)
    weights = unique_parameters(model)
    weights[frozen].requires_grad_(False)
    OutputHead(model, max_logits=FEW).text_loss(IDS).backward()
    assert [name for name, weight in weights.items() if weight.grad is None] == [frozen]


def test_the_random_state_is_left_alone() -> None:
    model = make_model("gemma2", tied=False)
    before = torch.get_rng_state()
    OutputHead(model).text_loss(IDS)
    assert torch.equal(torch.get_rng_state(), before)


def test_in_bfloat16_chunks_are_summed_in_float32() -> None:
    """Summed in bfloat16 the head's gradient would be off by a rounding a chunk: far more than one at the end."""
    model = make_model("llama", tied=False).to(torch.bfloat16)
    weight = model.get_output_embeddings().weight
    exact = make_model("llama", tied=False)
    exact.load_state_dict({name: value.float() for name, value in model.state_dict().items()})
    ids = torch.randint(2, VOCABULARY, (24, 64), generator=torch.Generator().manual_seed(1))
    expected = torch.autograd.grad(whole_loss(exact, ids), exact.get_output_embeddings().weight)[0]

    def error(found: Tensor) -> float:
        return float((found.float() - expected).norm() / expected.norm())

    whole = error(torch.autograd.grad(whole_loss(model, ids), weight)[0])
    chunked = error(torch.autograd.grad(OutputHead(model, max_logits=FEW).text_loss(ids), weight)[0])
    assert chunked < 1.5 * whole


def test_logits_are_taken_for_states_where_there_is_no_head(bigram_like) -> None:
    head = OutputHead(bigram_like, max_logits=2 * 4 * 4)
    ids = torch.tensor([[0, 1, 2, 3, 2, 1, 0]])
    expected = whole_loss(bigram_like, ids)
    torch.testing.assert_close(head.text_loss(ids), expected)
    found = torch.autograd.grad(head.text_loss(ids), bigram_like.table)[0]
    torch.testing.assert_close(found, torch.autograd.grad(expected, bigram_like.table)[0])


@pytest.fixture
def bigram_like() -> nn.Module:
    class Output:
        def __init__(self, logits: Tensor) -> None:
            self.logits = logits

    class Bigram(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table = nn.Parameter(torch.randn(4, 4, generator=torch.Generator().manual_seed(0)))

        def forward(self, input_ids: Tensor, use_cache: bool = False) -> Output:
            return Output(self.table[input_ids])

    return Bigram()


def test_sums_of_tensors_whose_parts_are_no_views_lose_nothing():
    sums = _Sums([torch.zeros(2, 3)])
    for _ in range(3):
        sums.add([torch.arange(6.0).reshape(3, 2).T])
    assert torch.equal(sums.totals()[0], 3 * torch.arange(6.0).reshape(3, 2).T)
