from pathlib import Path

import pandas as pd
import pytest
from tokenizers import normalizers

from codingspot.alignment import DISTINCT_ROWS, Alignment, align, alignment_inputs, extremes, language_means
from codingspot.corpus.parallel import ParallelCorpus
from codingspot.errors import CorpusError

TEXTS = {
    "c": ("w1 w2 w3", "w4 w5", "w6 w7 w8 w9", "w1 w2 w3", "w10 w11"),
    "cpp": ("w1 w2 w3", "w5 w4", "w6 w7 w8 w12", "w1 w3 w3", "w11 w13"),
    "go": ("w20 w1", "w4 w19", "w6 w6", "w3 w2 w1", "w15 w16"),
}
CORPUS = ParallelCorpus("words", TEXTS)


def test_every_pair_is_scored_in_every_layer_with_and_without_repeats(loaded):
    found = align(loaded, CORPUS)
    assert len(found.scores) == 3 * 3 * 2
    rows = found.pooled.set_index(["first", "second", "pairs"])
    assert rows.loc[("c", "cpp", "all"), "rows"] == 5
    assert rows.loc[("c", "cpp", "distinct"), "rows"] == 4  # the first two texts are the same, the fourth repeats it
    assert rows.loc[("c", "go", "distinct"), "rows"] == 4
    assert rows.loc[("c", "cpp", "all"), "identical"] == 1
    scores = found.scores[(found.scores["first"] == "c") & (found.scores["second"] == "go")]
    every = scores[scores["pairs"] == "all"]
    assert rows.loc[("c", "go", "all"), "mean"] == pytest.approx(every["score"].mean())
    assert rows.loc[("c", "go", "all"), "max"] == every["score"].max()
    assert found.texts.set_index("language").loc["c", "duplicates"] == 1


def test_identical_languages_are_perfectly_aligned(loaded):
    found = align(loaded, ParallelCorpus("same", {"a": TEXTS["go"], "b": TEXTS["go"]}))
    every = found.scores[found.scores["pairs"] == "all"]
    assert (every["score"] == 1).all()
    assert (every["p_value"] < 0.05).all()
    assert found.scores.loc[found.scores["pairs"] == DISTINCT_ROWS, "score"].isna().all()
    with pytest.raises(CorpusError, match="no pair of languages"):
        extremes(found)


@pytest.mark.parametrize("batch_tokens", [1, 16, 64])
def test_batches_change_nothing(loaded, batch_tokens):
    one, other = align(loaded, CORPUS), align(loaded, CORPUS, batch_tokens=batch_tokens)
    pd.testing.assert_frame_equal(one.scores, other.scores)


def test_means_leave_a_language_itself_out(loaded):
    scores = align(loaded, CORPUS).scores
    means = language_means(scores).set_index(["language", "layer", "pairs"])["score"]
    pairs = scores.set_index(["first", "second", "layer", "pairs"])["score"]
    expected = (pairs["c", "cpp", 1, "all"] + pairs["cpp", "go", 1, "all"]) / 2
    assert means["cpp", 1, "all"] == pytest.approx(expected)


def test_the_closest_and_the_farthest_pair_are_named(loaded):
    found = align(loaded, CORPUS)
    closest, farthest = extremes(found, "all")
    ranked = found.pooled[found.pooled["pairs"] == "all"].sort_values("mean")
    assert closest["mean"] == ranked["mean"].iloc[-1]
    assert farthest["mean"] == ranked["mean"].iloc[0]


def test_an_alignment_is_saved_and_read_back(loaded, tmp_path: Path):
    found = align(loaded, CORPUS)
    inputs = alignment_inputs(loaded, CORPUS, pooling="weighted", special_tokens="pooled")
    assert found.inputs == inputs
    found.save(tmp_path)
    read = Alignment.load(tmp_path, inputs)
    for name in ("scores", "pooled", "texts"):
        pd.testing.assert_frame_equal(getattr(found, name), getattr(read, name))


def test_rows_without_a_token_are_left_out_and_counted(loaded):
    loaded.tokenizer.backend_tokenizer.normalizer = normalizers.Replace("!", "")
    corpus = ParallelCorpus("blank", {"a": ("w1", "!", "w3", "w4"), "b": ("w5", "w6", "w7", "w8")})
    found = align(loaded, corpus)
    assert found.inputs["skipped"] == {"no token": 1}
    assert (found.pooled["rows"][found.pooled["pairs"] == "all"] == 3).all()
