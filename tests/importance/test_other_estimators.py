"""Estimators beside Taylor saliency, against hand-computed values and independent computations."""

import pytest
import torch

from codingspot.corpus import PackedTokens
from codingspot.errors import StudyError
from codingspot.importance import ALIASES, ESTIMATORS, DomainInput, estimator_traits, resolve
from codingspot.models import unique_parameters

SEQUENCES = torch.tensor([[0, 0, 0], [0, 1, 0]])
TABLE = [[-3.9, -5.0], [4.0, 4.0]]


def estimate(model, name, sequences=SEQUENCES, micro_batch_tokens=1000, **parameters):
    tokens = PackedTokens("x", sequences, documents=2, duplicates=0)
    return ESTIMATORS.bind(name, parameters)(DomainInput(model, tokens, unique_parameters(model), micro_batch_tokens))


@pytest.fixture
def sequences() -> torch.Tensor:
    return torch.randint(0, 24, (6, 8), generator=torch.Generator().manual_seed(0))


def summed_loss(table: torch.Tensor, sequences: torch.Tensor) -> torch.Tensor:
    logits = table[sequences[:, :-1]].log_softmax(-1)
    return -logits.gather(-1, sequences[:, 1:, None]).sum()


def test_fisher_is_the_mean_square_gradient_of_single_sequences(bigram) -> None:
    theta = torch.tensor(TABLE, requires_grad=True)
    squares = [torch.autograd.grad(summed_loss(theta, s[None]), theta)[0].square() for s in SEQUENCES]
    expected = theta.detach().square() * sum(squares) / 2
    for micro_batch_tokens in (1, 1000):
        found = estimate(bigram(TABLE), "fisher", micro_batch_tokens=micro_batch_tokens)
        torch.testing.assert_close(found.scores["table"], expected)


def test_obd_with_its_own_signs_against_the_whole_hessian(bigram) -> None:
    theta = torch.tensor(TABLE)
    hessian = torch.autograd.functional.hessian(lambda table: summed_loss(table, SEQUENCES), theta).reshape(4, 4)
    signs = (torch.randint(0, 2, (2, 2), generator=torch.Generator().manual_seed(3)) * 2 - 1).float().flatten()
    expected = theta.flatten().square() * signs * (hessian @ signs) / (2 * 4)
    found = estimate(bigram(TABLE), "obd", seed=3)
    torch.testing.assert_close(found.scores["table"].flatten(), expected)


def test_obd_approaches_the_diagonal_with_many_probes(bigram) -> None:
    theta = torch.tensor(TABLE)
    hessian = torch.autograd.functional.hessian(lambda table: summed_loss(table, SEQUENCES), theta).reshape(4, 4)
    found = estimate(bigram(TABLE), "obd", probes=400).scores["table"].flatten()
    torch.testing.assert_close(found, theta.flatten().square() * hessian.diag() / 8, rtol=0.15, atol=0)


@pytest.mark.parametrize("name", ["fisher", "obd", "integrated_gradients", "wanda", "activation"])
def test_results_do_not_depend_on_the_size_of_the_micro_batch(llama, sequences, name) -> None:
    one, all_at_once = (estimate(llama, name, sequences, size) for size in (8, 1000))
    for parameter, score in one.scores.items():
        torch.testing.assert_close(score, all_at_once.scores[parameter], rtol=1e-3, atol=1e-6)


def test_obd_of_a_transformer_against_finite_differences_of_its_gradient(llama, sequences) -> None:
    """v' H v along the probe is the sum of v_i (H v)_i, and so of 2 N score_i / theta_i^2."""
    found = estimate(llama, "obd", sequences, seed=1).scores
    parameters = unique_parameters(llama)
    generator = torch.Generator().manual_seed(1)
    signs = [(torch.randint(0, 2, p.shape, generator=generator) * 2 - 1).float() for p in parameters.values()]
    predicted = sequences.shape[0] * (sequences.shape[1] - 1)
    along = sum(
        float((2 * predicted * found[name] / p.detach().square().clamp(min=1e-30))[p.detach() != 0].double().sum())
        for name, p in parameters.items()
    )

    def slope(step: float) -> float:
        with torch.no_grad():
            for p, sign in zip(parameters.values(), signs, strict=True):
                p.add_(step * sign)
        logits = llama(input_ids=sequences).logits[:, :-1]
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), sequences[:, 1:].flatten(), reduction="sum")
        gradients = torch.autograd.grad(loss, list(parameters.values()))
        with torch.no_grad():
            for p, sign in zip(parameters.values(), signs, strict=True):
                p.sub_(step * sign)
        return sum(float((g * s).sum()) for g, s in zip(gradients, signs, strict=True))

    step = 1e-3
    assert along == pytest.approx((slope(step) - slope(-step)) / (2 * step), rel=0.05)


def test_wanda_by_hand(llama, sequences) -> None:
    inputs = []
    layer = llama.model.layers[0].mlp.down_proj
    handle = layer.register_forward_pre_hook(lambda _, arguments: inputs.append(arguments[0].flatten(0, 1)))
    with torch.no_grad():
        llama(input_ids=sequences)
    handle.remove()
    expected = layer.weight.detach().abs() * torch.cat(inputs).norm(dim=0)
    name = "model.layers.0.mlp.down_proj.weight"
    products = estimate(llama, "wanda", sequences, comparison="layer")
    torch.testing.assert_close(products.scores[name], expected)
    ranked = estimate(llama, "wanda", sequences).scores[name]
    assert torch.equal(ranked.argsort(dim=1), expected.argsort(dim=1))
    assert ranked.amax(dim=1).tolist() == [1.0] * len(ranked)
    assert not products.scores["model.embed_tokens.weight"].any()


def test_transposed_layers_are_scored_in_their_own_shape(gpt2, sequences) -> None:
    gpt2.eval()
    name = "transformer.h.0.attn.c_proj.weight"  # square, so that a wrong transpose would go unseen
    inputs = []
    handle = gpt2.transformer.h[0].attn.c_proj.register_forward_pre_hook(
        lambda _, arguments: inputs.append(arguments[0].flatten(0, 1))
    )
    with torch.no_grad():
        gpt2(input_ids=sequences)
    handle.remove()
    weight = dict(gpt2.named_parameters())[name].detach()
    found = estimate(gpt2, "wanda", sequences, comparison="layer").scores[name]
    torch.testing.assert_close(found, weight.abs() * torch.cat(inputs).norm(dim=0)[:, None])


def test_activation_scores_rows_alike(llama, sequences) -> None:
    outputs = []
    layer = llama.model.layers[1].mlp.up_proj
    handle = layer.register_forward_hook(lambda _, __, output: outputs.append(output.flatten(0, 1)))
    with torch.no_grad():
        llama(input_ids=sequences)
    handle.remove()
    found = estimate(llama, "activation", sequences).scores["model.layers.1.mlp.up_proj.weight"]
    torch.testing.assert_close(found[:, 0], torch.cat(outputs).abs().mean(0))
    assert torch.equal(found, found[:, :1].expand_as(found))


def test_integrated_gradients_are_complete_and_leave_the_weights(llama, sequences) -> None:
    before = {name: p.detach().clone() for name, p in llama.named_parameters()}

    def mean_loss() -> float:
        logits = llama(input_ids=sequences).logits[:, :-1]
        return float(torch.nn.functional.cross_entropy(logits.flatten(0, 1), sequences[:, 1:].flatten()))

    with torch.no_grad():
        at_theta = mean_loss()
    found = estimate(llama, "integrated_gradients", sequences, steps=64)
    assert all(torch.equal(p, before[name]) for name, p in llama.named_parameters())
    at_zero = torch.log(torch.tensor(24.0)).item()  # all logits 0
    total = sum(float(score.double().sum()) for score in found.scores.values())
    assert total == pytest.approx(at_theta - at_zero, abs=2e-3)


def test_magnitude_and_random(llama) -> None:
    found = estimate(llama, "magnitude").scores
    assert all(torch.equal(found[name], p.detach().abs()) for name, p in llama.named_parameters())
    one, same, other = (estimate(llama, "random", seed=seed).scores["lm_head.weight"] for seed in (0, 0, 1))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
    assert 0.4 < float(one.mean()) < 0.6


def test_aliases_stand_for_registered_estimators_and_keep_their_meaning() -> None:
    for alias, (target, decided) in ALIASES.items():
        assert alias not in list(ESTIMATORS)
        assert resolve(alias, {}) == (target, ESTIMATORS.check(target, decided) and decided)
    assert resolve("snip", {"norm": "l2"}) == ("taylor", {"reduction": "microbatch", "norm": "l2"})
    with pytest.raises(StudyError, match="estimator 'snip' decides 'reduction' itself"):
        resolve("snip", {"reduction": "corpus"})


@pytest.mark.parametrize(
    ("name", "parameters"),
    [*((name, {}) for name in ESTIMATORS), ("snip", {}), ("taylor", {"reduction": "sequence"})],
)
def test_scores_that_are_said_to_add_up_do(llama, sequences, name, parameters) -> None:
    """The mean of two halves' scores, weighted by predicted tokens, is the whole's; of the others it isn't."""
    target, settings = resolve(name, parameters)
    # Cut where micro-batches end, so that reductions over them see the same ones.
    whole, first, second = (
        estimate(llama, target, part, micro_batch_tokens=16, **settings).scores
        for part in (sequences, sequences[:2], sequences[2:])
    )
    errors = [
        (first[tensor] / 3 + second[tensor] * 2 / 3 - scores).abs().max() / scores.abs().max()
        for tensor, scores in whole.items()
        if bool(scores.any())
    ]
    adds_up = float(max(errors)) < 1e-4
    assert adds_up == (estimator_traits(name, parameters).additive or name in _SAME_FOR_EVERY_TEXT)


_SAME_FOR_EVERY_TEXT = ("magnitude", "random")


def test_only_first_order_terms_with_their_sign_predict() -> None:
    assert estimator_traits("taylor", {}).first_order
    assert not estimator_traits("snip", {}).first_order
    assert not any(estimator_traits(name, {}).first_order for name in ESTIMATORS if name != "taylor")
    assert not estimator_traits("taylor", {"reduction": "sequence", "norm": "l2"}).additive
