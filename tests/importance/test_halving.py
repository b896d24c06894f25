"""Scores kept in float16 are those of float32, to a relative error of 2^-11."""

import json
import math
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from codingspot.errors import ArtefactError
from codingspot.importance import NewDomainScores, ScoreStore, score
from codingspot.importance.halving import halve, kept_scores
from codingspot.spot import find_spot
from codingspot.tensor_files import metadata

SETTINGS = {"sequence_length": 8, "token_budget": 64, "micro_batch_tokens": 16}
FLOATS = st.floats(width=32, allow_nan=False, allow_infinity=False)


def _halved(folder, scores: torch.Tensor) -> ScoreStore:
    new = NewDomainScores("Go", "code", {"w": scores, "zero": torch.zeros(2, 3), "none": torch.zeros(0)})
    return ScoreStore.write(folder, [new], keep_dtype="float16")


@settings(deadline=None, max_examples=50)
@given(values=st.lists(FLOATS, min_size=1, max_size=20))
@example(values=[3.4028234663852886e38, -1.0, 1e-45])
@example(values=[1e-45, 0.0])
@example(values=[65519.0, 2.0**-20])
def test_a_score_is_rounded_by_2_to_the_minus_11_and_far_below_the_largest_by_2_to_the_minus_39_of_it(values) -> None:
    scores = torch.tensor(values)
    with TemporaryDirectory() as folder:
        file = Path(folder) / "scores.safetensors"
        save_file({"w": scores}, file)
        halve(file)
        kept = kept_scores(file)["w"].read(0, len(scores))
    assert kept.dtype == torch.float32
    largest, exact, read = scores.double().abs().max(), scores.double(), kept.double()
    bound = torch.maximum(exact.abs() * 2**-11, largest * 2**-39).clamp(min=2.0**-149)  # the least that float32 tells
    assert bool(((read - exact).abs() <= bound).all())
    assert torch.equal(read.sign()[read != 0], exact.sign()[read != 0])


@pytest.mark.parametrize("folded", [False, True])
def test_float16_takes_half_the_disk_and_spots_are_the_same_but_for_near_ties(loaded, corpus, tmp_path, folded) -> None:
    whole = score(loaded, corpus, tmp_path / "whole", folded=folded, **SETTINGS)
    half = score(
        loaded, corpus, tmp_path / "half", folded=folded, draws=[tmp_path / "draw"], keep_dtype="float16", **SETTINGS
    )
    assert half.manifest["keep_dtype"] == "float16"
    assert "keep_dtype" not in whole.manifest
    assert "keep_dtype" not in ScoreStore.open(tmp_path / "draw").manifest
    assert half.digest != whole.digest
    assert half.domains == whole.domains
    for file in (file for domain in half.domains for file in domain.files):
        on_disk = load_file(tmp_path / "half" / file)
        assert {each.dtype for each in on_disk.values()} == {torch.float16}
        assert all(2**14 <= float(each.abs().max()) < 2**15 for each in on_disk.values())
        assert metadata(tmp_path / "whole" / file) == {}
    name, domain = "lm_head.weight", half.domains[0].name
    assert torch.equal(half.part(domain, name, 3, 9), half.tensor(domain, name).flatten()[3:9])
    exact, rounded = (find_spot(store, recipe="sum", max_k_percent=100) for store in (whole, half))
    value = torch.empty(whole.layout.total)
    value[exact.positions] = exact.scores
    for k in (1, 5, 25):
        one, other = exact.top(k), rounded.top(k)
        exchanged = set(one.positions.tolist()) ^ set(other.positions.tolist())
        least = float(one.scores.min())
        assert len(exchanged) <= 0.02 * len(one)
        assert all(math.isclose(float(value[place]), least, rel_tol=2**-10) for place in exchanged)


@pytest.mark.parametrize(
    ("scale", "said"),
    [
        (3.0, "3.0 is no power of two"),
        (0.0, "greater than or equal to"),
        (-1.0, "greater than or equal to"),
        (2.0**120, "less than or equal to"),
        ("1.0", "valid number"),
        (float("inf"), "JSON"),
        (None, "without its scale"),
    ],
)
def test_a_corrupt_scale_is_refused(tmp_path, scale, said) -> None:
    _halved(tmp_path / "store", torch.tensor([1.0, 2.0]))
    file = tmp_path / "store" / "Go.safetensors"
    scales = json.loads(metadata(file)["scales"])
    assert scales == {"none": 2.0**-15, "w": 2.0**-13, "zero": 2.0**-15}
    changed = {name: each for name, each in {**scales, "w": scale}.items() if each is not None}
    save_file(load_file(file), file, metadata={"scales": json.dumps(changed)})
    with pytest.raises(ArtefactError, match=said):
        ScoreStore.open(tmp_path / "store")


def test_a_file_of_another_type_than_the_manifest_says_is_refused(tmp_path) -> None:
    _halved(tmp_path / "store", torch.ones(2))
    file = tmp_path / "store" / "manifest.json"
    file.write_text(file.read_text().replace('"keep_dtype": "float16"', '"keep_dtype": "float32"'))
    with pytest.raises(ArtefactError, match="as F16, not F32; score again"):
        ScoreStore.open(tmp_path / "store")
    file.write_text(file.read_text().replace('"keep_dtype": "float32"', '"keep_dtype": "float8"'))
    with pytest.raises(ArtefactError, match="keep_dtype"):
        ScoreStore.open(tmp_path / "store")
