"""Scores computed by hand for a bigram model.

With table [[ln 3, 0], [0, 0]] the next token is 0 with probability 3/4 after 0 and 1/2 after 1, and the gradient of the
negative log-likelihood of token j after i is softmax(row i) - onehot(j) in row i.
"""

from math import log, sqrt

import pytest
import torch

from codingspot.corpus import PackedTokens
from codingspot.errors import StudyError
from codingspot.importance import ESTIMATORS, DomainInput
from codingspot.models import unique_parameters

LN3 = log(3)
SEQUENCES = torch.tensor([[0, 0, 0], [0, 1, 0]])
# Sequence 1: 0->0 twice: row 0 gets 2 * (-1/4, 1/4). Sequence 2: 0->1: row 0 (3/4, -3/4); 1->0: row 1 (-1/2, 1/2).


def _score(model, *, micro_batch_tokens: int = 1000, **parameters):
    tokens = PackedTokens("x", SEQUENCES, documents=2, duplicates=0)
    domain = DomainInput(model, tokens, unique_parameters(model), micro_batch_tokens)
    return ESTIMATORS.bind("taylor", parameters)(domain)


@pytest.fixture
def model(bigram):
    # Row 0 is (ln 3 - 5, -5): the same probabilities, with two weights that are not 0.
    return bigram([[LN3 - 5, -5.0], [4.0, 4.0]])


@pytest.mark.parametrize("micro_batch_tokens", [1, 3, 6, 1000])
@pytest.mark.parametrize("norm", ["l1", "l2"])
def test_corpus_reduction_is_signed_and_does_not_depend_on_batches(model, micro_batch_tokens, norm) -> None:
    found = _score(model, micro_batch_tokens=micro_batch_tokens, norm=norm)
    expected = [[(LN3 - 5) * 0.25 / 4, -5.0 * -0.25 / 4], [4 * -0.5 / 4, 4 * 0.5 / 4]]
    torch.testing.assert_close(found.scores["table"], torch.tensor(expected))
    assert found.loss == pytest.approx((2 * log(4 / 3) + log(4) + log(2)) / 4)


@pytest.mark.parametrize("settings", [{"reduction": "sequence"}, {"reduction": "microbatch", "micro_batch_tokens": 3}])
def test_l1_over_sequences(model, settings) -> None:
    found = _score(model, **settings)
    row = 0.5 + 0.75
    expected = [[(5 - LN3) * row / 4, 5 * row / 4], [4 * 0.5 / 4, 4 * 0.5 / 4]]
    torch.testing.assert_close(found.scores["table"], torch.tensor(expected))


@pytest.mark.parametrize("settings", [{"reduction": "sequence"}, {"reduction": "microbatch", "micro_batch_tokens": 5}])
def test_l2_over_sequences(model, settings) -> None:
    found = _score(model, norm="l2", **settings)
    row = sqrt(0.5**2 + 0.75**2)
    expected = [[(5 - LN3) * row / 4, 5 * row / 4], [4 * 0.5 / 4, 4 * 0.5 / 4]]
    torch.testing.assert_close(found.scores["table"], torch.tensor(expected))


@pytest.mark.parametrize("norm", ["l1", "l2"])
def test_one_micro_batch_gives_the_magnitude_of_the_corpus_reduction(model, norm) -> None:
    corpus = _score(model)
    single = _score(model, reduction="microbatch", norm=norm, micro_batch_tokens=6)
    torch.testing.assert_close(single.scores["table"], corpus.scores["table"].abs())


def test_a_tied_weight_is_scored_once_with_both_its_gradients(gpt2) -> None:
    ids = torch.randint(0, 24, (3, 8), generator=torch.Generator().manual_seed(0))
    tokens = PackedTokens("x", ids, documents=1, duplicates=0)
    found = ESTIMATORS.bind("taylor", {})(DomainInput(gpt2, tokens, unique_parameters(gpt2), 8)).scores
    assert "lm_head.weight" not in found
    gpt2.eval()
    gpt2(input_ids=ids, labels=ids).loss.backward()
    weight = gpt2.transformer.wte.weight
    torch.testing.assert_close(found["transformer.wte.weight"], (weight * weight.grad).detach(), rtol=1e-4, atol=1e-7)


def test_corpus_reduction_predicts_the_change_of_loss_to_first_order(llama) -> None:
    ids = torch.randint(0, 24, (4, 8), generator=torch.Generator().manual_seed(0))
    tokens = PackedTokens("x", ids, documents=1, duplicates=0)
    found = ESTIMATORS.bind("taylor", {})(DomainInput(llama, tokens, unique_parameters(llama), 16))
    name = "model.layers.0.mlp.up_proj.weight"
    epsilon = 1e-3
    with torch.no_grad():
        unique_parameters(llama)[name].mul_(1 - epsilon)
        change = float(llama(input_ids=ids, labels=ids).loss) - found.loss
    assert change == pytest.approx(-epsilon * float(found.scores[name].sum()), rel=0.05, abs=2e-7)


def test_unknown_choices_are_refused(model) -> None:
    with pytest.raises(StudyError, match="unknown estimator 'tailor'"):
        ESTIMATORS.bind("tailor", {})
    with pytest.raises(StudyError, match="reduction is 'batch'"):
        _score(model, reduction="batch")
