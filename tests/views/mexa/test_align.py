from pathlib import Path

import pandas as pd
import pytest
from tokenizers import normalizers

from codingspot.corpus.parallel import ParallelCorpus
from codingspot.errors import CorpusError
from codingspot.views import ViewInputs
from codingspot.views.making import make_view
from codingspot.views.mexa import AlignSettings
from codingspot.views.mexa.align import DISTINCT_ROWS, align, extremes, language_means

TEXTS = {
    "c": ("w1 w2 w3", "w4 w5", "w6 w7 w8 w9", "w1 w2 w3", "w10 w11"),
    "cpp": ("w1 w2 w3", "w5 w4", "w6 w7 w8 w12", "w1 w3 w3", "w11 w13"),
    "go": ("w20 w1", "w4 w19", "w6 w6", "w3 w2 w1", "w15 w16"),
}
CORPUS = ParallelCorpus("words", TEXTS)


def test_every_pair_is_scored_in_every_layer_with_and_without_repeats(loaded):
    found = align(loaded, CORPUS)
    assert len(found["alignment"]) == 3 * 3 * 2
    rows = found["alignment_pooled"].set_index(["first", "second", "pairs"])
    assert rows.loc[("c", "cpp", "all"), "rows"] == 5
    assert rows.loc[("c", "cpp", "distinct"), "rows"] == 4  # the first two texts are the same, the fourth repeats it
    assert rows.loc[("c", "go", "distinct"), "rows"] == 4
    assert rows.loc[("c", "cpp", "all"), "identical"] == 1
    scores = found["alignment"][(found["alignment"]["first"] == "c") & (found["alignment"]["second"] == "go")]
    every = scores[scores["pairs"] == "all"]
    assert rows.loc[("c", "go", "all"), "mean"] == pytest.approx(every["score"].mean())
    assert rows.loc[("c", "go", "all"), "max"] == every["score"].max()
    assert found["alignment_texts"].set_index("language").loc["c", "duplicates"] == 1


def test_identical_languages_are_perfectly_aligned(loaded):
    found = align(loaded, ParallelCorpus("same", {"a": TEXTS["go"], "b": TEXTS["go"]}))
    every = found["alignment"][found["alignment"]["pairs"] == "all"]
    assert (every["score"] == 1).all()
    assert (every["p_value"] < 0.05).all()
    assert found["alignment"].loc[found["alignment"]["pairs"] == DISTINCT_ROWS, "score"].isna().all()
    with pytest.raises(CorpusError, match="no pair of languages"):
        extremes(found)


@pytest.mark.parametrize("batch_tokens", [1, 16, 64])
def test_batches_change_nothing(loaded, batch_tokens):
    one, other = align(loaded, CORPUS), align(loaded, CORPUS, batch_tokens=batch_tokens)
    pd.testing.assert_frame_equal(one["alignment"], other["alignment"])


def test_means_leave_a_language_itself_out(loaded):
    scores = align(loaded, CORPUS)["alignment"]
    means = language_means(scores).set_index(["language", "layer", "pairs"])["score"]
    pairs = scores.set_index(["first", "second", "layer", "pairs"])["score"]
    expected = (pairs["c", "cpp", 1, "all"] + pairs["cpp", "go", 1, "all"]) / 2
    assert means["cpp", 1, "all"] == pytest.approx(expected)


def test_the_closest_and_the_farthest_pair_are_named(loaded):
    found = align(loaded, CORPUS)
    closest, farthest = extremes(found, "all")
    ranked = found["alignment_pooled"][found["alignment_pooled"]["pairs"] == "all"].sort_values("mean")
    assert closest["mean"] == ranked["mean"].iloc[-1]
    assert farthest["mean"] == ranked["mean"].iloc[0]


def test_an_alignment_is_saved_and_read_back_also_where_rows_have_no_token(loaded, tmp_path: Path):
    loaded.tokenizer.backend_tokenizer.normalizer = normalizers.Replace("!", "")
    corpus = ParallelCorpus("words", {name: (*texts, "!") for name, texts in TEXTS.items()})
    given = ViewInputs(loaded, lambda *_, **__: corpus)
    made, read = (make_view("align", AlignSettings(), given, tmp_path) for _ in range(2))
    found = align(loaded, corpus)
    assert made.inputs == read.inputs == found.inputs
    assert found.inputs["skipped"] == {"no token": 1}
    for name in made.tables:
        pd.testing.assert_frame_equal(made[name], read[name])
        pd.testing.assert_frame_equal(made[name], found[name])


def test_rows_without_a_token_are_left_out_and_counted(loaded):
    loaded.tokenizer.backend_tokenizer.normalizer = normalizers.Replace("!", "")
    corpus = ParallelCorpus("blank", {"a": ("w1", "!", "w3", "w4"), "b": ("w5", "w6", "w7", "w8")})
    found = align(loaded, corpus)
    assert found.inputs["skipped"] == {"no token": 1}
    assert (found["alignment_pooled"]["rows"][found["alignment_pooled"]["pairs"] == "all"] == 3).all()
