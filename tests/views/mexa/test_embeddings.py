import io

import numpy as np
import pytest
import torch

from codingspot.errors import NonFiniteError
from codingspot.views.mexa.embeddings import embed, pooling_weights, tokenise

TEXTS = ["w1 w2 w3 w4 w5 w6", "w7", "w1 w2", "w7", "w9 w8 w7 w6 w5 w4 w3 w2 w1"]


def embedded(model, tokenizer, pooling="weighted", special="pooled", batch_tokens=None) -> np.ndarray:
    texts, _ = tokenise(TEXTS, tokenizer, special_tokens=special, longest=32)
    store = embed(model, texts, io.BytesIO(), pooling=pooling, batch_tokens=batch_tokens)
    return np.stack([store.layer(layer) for layer in range(store.layers)])


def by_hand(model, tokens: list[int], pooled: slice, weights: list[float]) -> np.ndarray:
    """One text in a batch of its own, from the hidden states the library gives."""
    with torch.no_grad():
        states = model(torch.tensor([tokens]), output_hidden_states=True).hidden_states
    rows = [state[0, pooled].double().numpy() for state in states]
    return np.stack([np.average(row, axis=0, weights=weights) for row in rows])


@pytest.mark.parametrize("name", ["llama", "gpt2"])
def test_the_mean_is_weighted_by_position_in_every_layer(name, tokenizer, request):
    model = request.getfixturevalue(name)
    found = embedded(model, tokenizer)
    assert found.shape == (3, 5, 16)
    expected = by_hand(model, [2, 4, 5], slice(0, 3), [1, 2, 3])
    np.testing.assert_allclose(found[:, 2], expected, rtol=1e-5, atol=1e-6)


def test_special_tokens_are_pooled_read_or_left_out(llama, tokenizer):
    read = by_hand(llama, [2, 4, 5], slice(1, 3), [1, 2])
    np.testing.assert_allclose(embedded(llama, tokenizer, special="unpooled")[:, 2], read, rtol=1e-5, atol=1e-6)
    without = by_hand(llama, [4, 5], slice(0, 2), [1, 2])
    np.testing.assert_allclose(embedded(llama, tokenizer, special="none")[:, 2], without, rtol=1e-5, atol=1e-6)


def test_the_last_token_stands_for_the_text(llama, tokenizer):
    last = by_hand(llama, [2, 4, 5], slice(2, 3), [1])
    np.testing.assert_allclose(embedded(llama, tokenizer, pooling="last")[:, 2], last, rtol=1e-5, atol=1e-6)


def test_batches_change_nothing_and_equal_texts_are_equal(llama, tokenizer):
    alone, together = embedded(llama, tokenizer, batch_tokens=1), embedded(llama, tokenizer, batch_tokens=160)
    np.testing.assert_allclose(alone, together, rtol=1e-5, atol=1e-6)
    assert (together[:, 1] == together[:, 3]).all()


def test_weights_sum_to_one():
    assert pooling_weights(3, "weighted").tolist() == pytest.approx([1 / 6, 2 / 6, 3 / 6])
    assert pooling_weights(3, "last").tolist() == [0, 0, 1]


def test_long_texts_are_cut_and_counted(tokenizer):
    texts, cut = tokenise(TEXTS, tokenizer, special_tokens="pooled", longest=4)
    assert cut == 2
    assert [len(text.tokens) for text in texts] == [4, 2, 3, 2, 4]
    assert texts[0].tokens == (2, 4, 5, 6)


def test_hidden_states_that_are_not_numbers_are_refused(llama, tokenizer):
    with torch.no_grad():
        llama.model.layers[1].mlp.down_proj.weight[0, 0] = float("inf")
    with pytest.raises(NonFiniteError, match="layer 2"):
        embedded(llama, tokenizer)


def test_progress_is_the_share_of_tokens_embedded(llama, tokenizer):
    texts, _ = tokenise(TEXTS, tokenizer, special_tokens="pooled", longest=32)
    told: list[float] = []
    embed(llama, texts, io.BytesIO(), batch_tokens=1, progress=lambda _text, share: told.append(share))
    longest_first = sorted((len(text.tokens) for text in set(texts)), reverse=True)
    assert told == pytest.approx([sum(longest_first[:done]) / sum(longest_first) for done in range(len(told))])
    assert len(told) == len(longest_first)
