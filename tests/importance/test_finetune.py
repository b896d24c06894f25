import pytest
import torch

from codingspot.corpus import PackedTokens
from codingspot.errors import NonFiniteError
from codingspot.importance import FineTune
from codingspot.importance.accumulation import summed_loss
from codingspot.importance.finetune import fine_tuned
from codingspot.models import fingerprint


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


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_loss_falls_and_the_weights_come_back_bit_for_bit(llama, optimizer, dtype) -> None:
    model = llama.to(dtype).train()
    before = fingerprint(model)
    rate = 0.5 if optimizer == "sgd" else 0.02
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
    whole = summed_loss(llama, tokens.input_ids).item() / (6 * 7)
    assert sum(tuned.losses) / 3 == pytest.approx(whole, rel=1e-5)


def test_divergence_is_refused_and_undone(llama) -> None:
    before = fingerprint(llama)

    def diverge() -> None:
        with fine_tuned(llama, _tokens(), FineTune(steps=20, learning_rate=1e30, optimizer="sgd")):
            pass

    with pytest.raises(NonFiniteError, match=r"'Rust': the loss is nan at step \d+; lower learning_rate"):
        diverge()
    assert fingerprint(llama) == before
