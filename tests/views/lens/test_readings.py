import math

import pytest
import torch

from codingspot.errors import NonFiniteError
from codingspot.views.lens.keywords import TokenSet
from codingspot.views.lens.prompts import TokenisedTranslation
from codingspot.views.lens.readings import _ranks, read_layers
from codingspot.views.lens.unembedding import Unembedding

TEXTS = [
    TokenisedTranslation((3, 5, 7, 2, 9), 3),
    TokenisedTranslation((4, 6), 1),
    TokenisedTranslation((2, 13, 14, 15, 3, 4, 6, 8), 2),
]
SETS = [TokenSet("java", "own", (6, 7)), TokenSet("all", "all", tuple(range(16)))]


def collected(model, batch_tokens=None) -> dict[tuple[int, int, int], dict[str, object]]:
    """Readings by layer, text and place."""
    found = {}
    for layer, reading in read_layers(model, Unembedding(model), TEXTS, SETS, batch_tokens=batch_tokens):
        for i in range(len(reading.items)):
            found[layer, int(reading.items[i]), int(reading.places[i])] = {
                name: getattr(reading, name)[i] for name in reading.__dataclass_fields__ if name != "mean"
            }
    return found


def test_every_position_of_every_answer_is_read_in_every_layer(llama):
    found = collected(llama)
    answers = {(0, 0), (0, 1), (1, 0), *((2, place) for place in range(6))}
    assert set(found) == {(layer, *each) for layer in range(3) for each in answers}
    assert int(found[1, 0, 0]["targets"]) == 2
    assert int(found[1, 0, 1]["targets"]) == 9


@pytest.mark.parametrize("name", ["llama", "gpt2"])
def test_the_last_layer_is_the_models_own_prediction(name, request):
    model = request.getfixturevalue(name)
    with torch.no_grad():
        logits = model(torch.tensor([TEXTS[0].tokens])).logits[0, 2].double()
    p = logits.softmax(-1)
    reading = collected(model)[2, 0, 0]  # predicts token 3 of the text, which is 2
    assert reading["probability"].item() == pytest.approx(p[2].item(), rel=1e-5)
    assert reading["rank"].item() == 1 + sum(logits > logits[2])
    assert reading["entropy"].item() == pytest.approx(-(p * p.log()).sum().item(), rel=1e-5)
    order = logits.argsort(descending=True)[:10]
    assert reading["top_tokens"].tolist() == order.tolist()
    assert reading["top_probabilities"].tolist() == pytest.approx(p[order].tolist(), rel=1e-5)
    assert reading["set_probabilities"].tolist() == pytest.approx([(p[6] + p[7]).item(), 1], rel=1e-5)
    assert reading["set_shares"].tolist() == pytest.approx([sum(t in (6, 7) for t in order.tolist()) / 10, 1])
    best = max(logits[6], logits[7])
    assert reading["set_ranks"].tolist() == [1 + sum(logits > best), 1]


@pytest.mark.parametrize("batch_tokens", [1, 16, 200])
def test_batches_change_nothing(llama, batch_tokens):
    one, other = collected(llama.double()), collected(llama, batch_tokens)
    for place, reading in one.items():
        for name, value in reading.items():
            torch.testing.assert_close(value, other[place][name], rtol=1e-4, atol=1e-6)


def test_means_sum_to_the_number_of_positions(llama):
    for _, reading in read_layers(llama, Unembedding(llama), TEXTS, SETS):
        assert reading.mean.sum().item() == pytest.approx(len(reading.items), rel=1e-6)


def test_ranks_count_larger_values_and_ties_share_one():
    values = torch.tensor([[3.0, 1.0, 2.0, 2.0]])
    assert _ranks(values.sort(-1).values, values).tolist() == [[1, 4, 2, 2]]


def test_logits_that_are_not_numbers_are_refused(llama):
    with torch.no_grad():
        llama.lm_head.weight[0, 0] = math.nan
    with pytest.raises(NonFiniteError, match="logits of layer 0"):
        collected(llama)
