import pytest
import torch

from codingspot.corpus import PackedTokens
from codingspot.errors import ModelError, NonFiniteError, StudyError
from codingspot.importance import FineTune
from codingspot.importance.finetune import fine_tuned, optimizer_bytes, stochastically_rounded
from codingspot.models import OutputHead, ParameterLayout, fingerprint


def _tokens(sequences: int = 8) -> PackedTokens:
    ids = torch.randint(0, 24, (sequences, 8), generator=torch.Generator().manual_seed(1))
    return PackedTokens("Rust", ids, documents=1, duplicates=0)


def test_one_sgd_step_by_hand(bigram) -> None:
    model = bigram([[0.0, 0.0], [0.0, 0.0]])
    tokens = PackedTokens("x", torch.tensor([[0, 1, 1]]), documents=1, duplicates=0)
    # Mean gradient over the two predictions: row 0 (1/2, -1/2) / 2, row 1 the same.
    settings = FineTune(steps=1, learning_rate=2.0, optimizer="sgd", sequences_per_step=1)
    with fine_tuned(model, tokens, settings) as tuned:
        assert tuned.losses == pytest.approx([0.693147], rel=1e-5)
        expected = torch.tensor([[-0.5, 0.5], [-0.5, 0.5]])
        torch.testing.assert_close(model.table.detach(), expected)
        torch.testing.assert_close(tuned.weights["table"], expected)
    assert model.table.tolist() == [[0.0, 0.0], [0.0, 0.0]]


@pytest.mark.parametrize("optimizer", ["sgd", "adafactor", "adamw"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_loss_falls_and_the_weights_come_back_bit_for_bit(llama, optimizer, dtype) -> None:
    model = llama.to(dtype).train()
    before = fingerprint(model)
    rate = {"sgd": 0.5, "adafactor": 0.05, "adamw": 0.02}[optimizer]
    settings = FineTune(steps=12, learning_rate=rate, optimizer=optimizer, sequences_per_step=8)
    with fine_tuned(model, _tokens(), settings) as tuned:
        assert len(tuned.losses) == 12
        assert tuned.losses[-1] < tuned.losses[0] - 0.1
        assert fingerprint(model) != before
    assert fingerprint(model) == before
    assert model.training
    assert all(p.requires_grad and p.grad is None for p in model.parameters())


def test_a_listener_hears_of_every_step_and_may_change_the_weights(bigram) -> None:
    model = bigram([[0.0, 0.0], [0.0, 0.0]])
    tokens = PackedTokens("x", torch.tensor([[0, 1, 1]]), documents=1, duplicates=0)
    heard: list[tuple[int, bool]] = []

    def put_back(done: int) -> None:
        heard.append((done, bool(model.table.detach().any())))
        with torch.no_grad():
            model.table.zero_()

    settings = FineTune(steps=3, learning_rate=1.0, optimizer="sgd", sequences_per_step=1)
    with fine_tuned(model, tokens, settings, on_step=put_back) as tuned:
        assert heard == [(1, True), (2, True), (3, True)]
        assert tuned.losses == pytest.approx([0.693147] * 3, rel=1e-5)


def test_weights_come_back_after_an_error(llama) -> None:
    before = fingerprint(llama)

    def fail_inside() -> None:
        with fine_tuned(llama, _tokens(), FineTune(steps=2, learning_rate=0.1)):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail_inside()
    assert fingerprint(llama) == before


def test_original_theta_can_be_asked_for(llama) -> None:
    settings = FineTune(steps=2, learning_rate=0.1, weights="original")
    original = {name: p.detach().clone() for name, p in llama.named_parameters()}
    with fine_tuned(llama, _tokens(), settings) as tuned:
        assert all(torch.equal(tuned.weights[name], value) for name, value in original.items())
        assert not torch.equal(llama.lm_head.weight, original["lm_head.weight"])


def test_the_seed_decides_the_order_of_sequences(llama) -> None:
    curves = []
    for seed in (0, 0, 1):
        with fine_tuned(
            llama, _tokens(), FineTune(steps=4, learning_rate=0.01, sequences_per_step=2, seed=seed)
        ) as tuned:
            curves.append(tuned.losses)
    assert curves[0] == curves[1] != curves[2]


def test_every_sequence_is_seen_before_any_is_seen_again(llama) -> None:
    tokens = _tokens(6)
    with fine_tuned(llama, tokens, FineTune(steps=3, learning_rate=0.0, sequences_per_step=2)) as tuned:
        pass
    whole = OutputHead(llama).text_loss(tokens.input_ids).item() / (6 * 7)
    assert sum(tuned.losses) / 3 == pytest.approx(whole, rel=1e-5)


def test_divergence_is_refused_and_undone(llama) -> None:
    before = fingerprint(llama)

    def diverge() -> None:
        with fine_tuned(llama, _tokens(), FineTune(steps=20, learning_rate=1e30, optimizer="sgd")):
            pass

    with pytest.raises(NonFiniteError, match=r"'Rust': the loss is nan at step \d+; lower learning_rate"):
        diverge()
    assert fingerprint(llama) == before


@pytest.mark.parametrize("optimizer", ["sgd", "adafactor", "adamw"])
def test_steps_in_hooks_are_those_of_the_library_over_all_parameters_at_once(llama, optimizer) -> None:
    makers = {
        "sgd": lambda weights: torch.optim.SGD(weights, lr=0.1),
        "adafactor": lambda weights: torch.optim.Adafactor(weights, lr=0.1, weight_decay=0.0),
        "adamw": lambda weights: torch.optim.AdamW(weights, lr=0.1, weight_decay=0.0),
    }
    tokens = _tokens(4)
    settings = FineTune(steps=3, learning_rate=0.1, optimizer=optimizer, sequences_per_step=4)
    with fine_tuned(llama, tokens, settings):
        found = {name: weight.detach().clone() for name, weight in llama.named_parameters()}
    stepper = makers[optimizer](list(llama.parameters()))
    for _ in range(3):
        stepper.zero_grad()
        (OutputHead(llama).text_loss(tokens.input_ids) / (4 * 7)).backward()
        stepper.step()
    for name, weight in llama.named_parameters():
        torch.testing.assert_close(found[name], weight.detach(), rtol=1e-3, atol=1e-3)


def test_no_two_gradients_exist_at_once(llama, monkeypatch) -> None:
    alive = []

    class Counting(torch.optim.SGD):
        def step(self) -> None:
            alive.append(sum(weight.grad is not None for weight in llama.parameters()))
            super().step()

    monkeypatch.setattr("torch.optim.SGD", Counting)
    with fine_tuned(llama, _tokens(), FineTune(steps=2, learning_rate=0.1, optimizer="sgd")):
        pass
    assert set(alive) == {1}


def test_steps_too_small_for_bfloat16_are_taken_with_the_right_probability(bigram) -> None:
    """Near 100 the numbers of bfloat16 are 0.5 apart: a step of 0.05 would be lost by rounding to nearest."""
    model = bigram([[100.0] * 64] * 64).to(torch.bfloat16)
    tokens = PackedTokens("x", torch.arange(64).repeat(2).view(1, -1), documents=1, duplicates=0)
    settings = FineTune(steps=20, learning_rate=0.05, optimizer="adamw", sequences_per_step=1)
    with fine_tuned(model, tokens, settings):
        moved = (model.table.detach().float() - 100).abs().mean().item()
    assert moved == pytest.approx(20 * 0.05, rel=0.1)


def test_rounding_is_unbiased_and_exact_where_it_can_be() -> None:
    values = torch.tensor([1.0, -2.5, 0.0]).repeat(1000)
    generator = torch.Generator().manual_seed(0)
    assert torch.equal(stochastically_rounded(values, generator).float(), values)
    between = torch.full((20_000,), 1 + 2**-9)  # a quarter of the way from 1 to the next number
    rounded = stochastically_rounded(-between, generator).float()
    assert set(rounded.tolist()) == {-1.0, -(1 + 2**-7)}
    assert rounded.mean().item() == pytest.approx(-(1 + 2**-9), abs=2e-4)


def test_snapshots_hear_the_steps_asked_for_with_theta(llama) -> None:
    heard: dict[int, torch.Tensor] = {}
    settings = FineTune(steps=4, learning_rate=0.1, snapshots=(0, 2, 4))
    original = llama.lm_head.weight.detach().clone()
    with fine_tuned(
        llama,
        _tokens(),
        settings,
        on_snapshot=lambda step, theta: heard.update({step: theta["lm_head.weight"].clone()}),
    ) as tuned:
        assert list(heard) == [0, 2, 4]
        assert torch.equal(heard[0], original)
        assert torch.equal(heard[4], tuned.weights["lm_head.weight"])
        assert not torch.equal(heard[2], heard[4])
    with pytest.raises(StudyError, match="snapshot 5 is not among the 4 steps"):
        FineTune(steps=4, learning_rate=0.1, snapshots=(5,))


def test_float16_weights_are_refused(llama) -> None:
    model = llama.to(torch.float16)

    def tune() -> None:
        with fine_tuned(model, _tokens(), FineTune(steps=1, learning_rate=0.1)):
            pass

    with pytest.raises(ModelError, match="float16, which fine-tuning overflows"):
        tune()


@pytest.mark.parametrize(("optimizer", "expected"), [("sgd", 0), ("adamw", 8 * (12 + 5)), ("adafactor", 4 * (7 + 5))])
def test_state_of_the_optimizers(optimizer, expected) -> None:
    layout = ParameterLayout(("a", "b"), ((3, 4), (5,)))
    assert optimizer_bytes(layout, optimizer) == expected
