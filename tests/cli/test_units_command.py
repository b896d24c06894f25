"""`codingspot units`, and the same words in Python and in a study."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from codingspot import find_units_spot, load_model, world_corpus
from codingspot.cli.app import app
from codingspot.corpus import Corpus
from codingspot.errors import CorpusError, SelectionError, StudyError
from codingspot.spot import Spot

runner = CliRunner()
_SMALL = ["--token-budget", "256", "--sequence-length", "64", "--documents", "20"]


def test_a_spot_of_heads(tmp_path: Path) -> None:
    file = tmp_path / "heads.safetensors"
    asked = ["--unit", "head", "--score", "pls", "--contrast", "difference", "--set", "normalise=none", "--k", "2"]
    result = runner.invoke(app, ["units", "testbed", "-o", str(file), *asked, *_SMALL, "--json"])
    assert result.exit_code == 0, result.output
    spot, told = Spot.load(file), json.loads(result.stdout)
    assert (told["parameters"], told["units"]) == (len(spot), sum(each["selected"] for each in told["layers"]))
    assert spot.units.kind == "head"
    assert 0 < len(spot) <= spot.count(2)
    assert spot.metadata["recipe"]["normalise"] == "none"
    assert "python" not in spot.metadata["languages"]
    assert spot.metadata["corpus"]["name"] == "testbed"


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["--unit", "weight"], "unit is 'weight'"),
        (["--score", "rsm"], "unknown unit_score 'rsm'"),
        (["--score", "attribution"], "is signed, which has no ratio"),
        (["--set", "smoothing=-1"], "smoothing is -1"),
        (["--k", "0"], "k is in percent"),
        (["--k", "0.0001"], "one neuron has"),
        (["--scope", "norms"], "scope 'norms' holds no whole neuron"),
        (["--set", "token_budget=9"], "give --token-budget"),
    ],
)
def test_what_cannot_be_is_one_line(tmp_path: Path, options: list[str], named: str) -> None:
    result = runner.invoke(app, ["units", "testbed", "-o", str(tmp_path / "spot"), *_SMALL, *options])
    assert result.exit_code == 1
    assert named in " ".join(result.output.split())
    assert not list(tmp_path.iterdir())


def test_in_python_without_scores_of_weights() -> None:
    loaded, corpus = load_model("testbed"), world_corpus(12, 0, ("go", "python"))
    sizes = {"token_budget": 256, "sequence_length": 64, "max_k_percent": 1}
    found = find_units_spot(loaded, corpus, **sizes)
    assert found.spot.fingerprint == loaded.fingerprint
    assert found.spot.metadata["languages"] == ["go"]
    with pytest.raises(SelectionError, match="takes the scores of weights"):
        find_units_spot(loaded, corpus, score="weights", **sizes)
    with pytest.raises(StudyError, match="has no parameter 'units'"):
        find_units_spot(loaded, corpus, units="head", **sizes)
    code = Corpus("code", tuple(domain for domain in corpus.domains if domain.kind == "code"))
    with pytest.raises(SelectionError, match="units needs a general domain"):
        find_units_spot(loaded, code, **sizes)
    assert len(find_units_spot(loaded, code, contrast="none", **sizes).spot)
    general = Corpus("english", tuple(domain for domain in corpus.domains if domain.kind == "general"))
    with pytest.raises(CorpusError, match="no language of corpus 'english' is left to read"):
        find_units_spot(loaded, general, **sizes)


def test_a_dose_of_no_size_is_told_by_its_option(tmp_path: Path) -> None:
    result = runner.invoke(app, ["units", "testbed", "-o", str(tmp_path / "spot.safetensors"), "--k", "0"])
    assert result.exit_code == 1
    assert "error: --k: k is in percent" in " ".join(result.output.split())
