import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from codingspot.errors import ArtefactError, FingerprintError, OutputError, SelectionError, StudyError
from codingspot.models import ParameterLayout
from codingspot.spot import Spot, find_spot


@pytest.fixture
def store(make_store, random_scores):
    return make_store(Go=random_scores(0), Rust=random_scores(1), English=random_scores(2))


def test_k_is_a_percentage_of_all_parameters_whatever_the_scope(store) -> None:
    for scope, first, last in (("all", 0, 64), ("blocks", 28, 60), ("mlp", 28, 44), ("vocabulary", 0, 24)):
        spot = find_spot(store, scope=scope, max_k_percent=12.5)
        assert len(spot) == 8
        assert all(first <= position < last for position in spot.positions.tolist())
    assert len(find_spot(store, max_k_percent=100)) == 64
    assert len(find_spot(store, max_k_percent=0.001)) == 1


@pytest.mark.parametrize("recipe", ["sum", "set_difference", "consensus"])
def test_parameters_left_out_give_their_places_to_the_next_in_order(store, recipe) -> None:
    everything = find_spot(store, recipe="sum", max_k_percent=50)
    first = everything.top(12.5)
    second = find_spot(store, recipe="sum", max_k_percent=12.5, without=first.positions)
    assert second.positions.tolist() == everything.positions[8:16].tolist()
    assert second.metadata["left_out"] == 8
    inside = find_spot(store, recipe=recipe, scope="mlp", max_k_percent=3.125, without=first.positions)
    assert not set(inside.positions.tolist()) & set(first.positions.tolist())


def test_too_much_left_out_is_refused(store) -> None:
    everything = torch.arange(64)
    with pytest.raises(SelectionError, match="0 parameters are eligible, fewer than the 8 asked for"):
        find_spot(store, max_k_percent=12.5, without=everything)


def test_impossible_k_is_refused_with_numbers(store) -> None:
    with pytest.raises(SelectionError, match=r"scope 'norms' has 8 parameters, fewer than the 16 .* out of all 64"):
        find_spot(store, scope="norms", max_k_percent=25)
    for k in (0, -3, 101):
        with pytest.raises(SelectionError, match=f"k is {k}, but k is in percent"):
            find_spot(store, max_k_percent=k)


def test_prefixes(store) -> None:
    spot = find_spot(store, max_k_percent=25)
    assert spot.count(12.5) == 8
    assert torch.equal(spot.top(12.5).positions, spot.positions[:8])
    assert torch.equal(spot.top(12.5).scores, spot.scores[:8])
    assert len(spot.top(25)) == 16
    with pytest.raises(SelectionError, match="k = 30% exceeds the spot's own 25%"):
        spot.top(30)
    with pytest.raises(SelectionError, match="in percent"):
        spot.top(0)


def test_grouped_offsets_cover_the_spot(store) -> None:
    spot = find_spot(store, max_k_percent=50)
    rebuilt = [
        spot.layout.slice(name).start + offset
        for name, offsets in spot.grouped().items()
        for offset in offsets.tolist()
    ]
    assert sorted(rebuilt) == sorted(spot.positions.tolist())


def test_metadata_says_what_the_spot_was_made_from(store) -> None:
    spot = find_spot(store, recipe="set_difference", scope="blocks", max_k_percent=10, general_percent=30)
    assert spot.metadata["model"]["fingerprint"] == spot.fingerprint == "f" * 64
    assert spot.metadata["recipe"] == {
        "name": "set_difference",
        "general_percent": 30.0,
        "code_percent": 100.0,
        "aggregation": "sum",
        "trim": 0.1,
    }
    assert spot.metadata["languages"] == ["Go", "Rust"]
    assert (spot.metadata["scope"], spot.metadata["scope_parameters"]) == ("blocks", 32)
    assert spot.metadata["scores"] == store.digest
    assert "torch" in spot.metadata["versions"]


def test_equal_spots_are_equal_files(store, tmp_path) -> None:
    spot = find_spot(store, max_k_percent=5)
    for number in range(8):
        spot.save(tmp_path / str(number))
    assert len({(tmp_path / str(number)).read_bytes() for number in range(8)}) == 1
    with safe_open(tmp_path / "0", framework="pt") as file:
        assert file.keys() == ["positions", "scores"]
        assert torch.equal(file.get_tensor("scores"), spot.scores)


def test_saved_spot_loads_as_it_was(store, tmp_path) -> None:
    spot = find_spot(store, max_k_percent=25)
    path = tmp_path / "deep" / "spot.safetensors"
    spot.save(str(path))
    loaded = Spot.load(str(path))
    assert Spot.load(path).positions.equal(loaded.positions)
    assert torch.equal(loaded.positions, spot.positions)
    assert torch.equal(loaded.scores, spot.scores)
    assert loaded.layout == spot.layout
    assert loaded.metadata == spot.metadata


def test_damaged_spot_is_refused(store, tmp_path) -> None:
    path = tmp_path / "spot.safetensors"
    with pytest.raises(ArtefactError, match="does not exist"):
        Spot.load(path)
    with pytest.raises(ArtefactError, match="is a folder, not a spot"):
        Spot.load(tmp_path)
    find_spot(store, max_k_percent=25).save(path)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ArtefactError, match="truncated or corrupt"):
        Spot.load(path)
    save_file({"positions": torch.zeros(1)}, path)
    with pytest.raises(ArtefactError, match="is not a spot"):
        Spot.load(path)
    layout = ParameterLayout(("a",), ((4,),))
    path.unlink()
    Spot(torch.tensor([1, 4]), torch.zeros(2), layout).save(path)
    with pytest.raises(ArtefactError, match="outside the model's 4 parameters"):
        Spot.load(path)
    Spot(torch.tensor([1, 2]), torch.zeros(2), layout).save(path, force=True)
    with safe_open(path, framework="pt") as file:
        header = file.metadata()
    save_file({"positions": torch.tensor([1, 2]), "scores": torch.zeros(3)}, path, metadata=header)
    with pytest.raises(ArtefactError, match="don't match"):
        Spot.load(path)
    Spot(torch.tensor([1]), torch.zeros(1), layout, {"combination": "union"}).save(tmp_path / "combined")
    with pytest.raises(ArtefactError, match="combination: Input should be an object"):
        Spot.load(tmp_path / "combined")


def test_other_weights_are_refused(store) -> None:
    spot = find_spot(store, max_k_percent=25)
    spot.check_model("f" * 64)
    with pytest.raises(FingerprintError, match="found in other weights"):
        spot.check_model("0" * 64)
    Spot(spot.positions, spot.scores, spot.layout).check_model("0" * 64)


@pytest.mark.parametrize(
    ("parameters", "named"),
    [
        ({"languages": 3}, "languages is 3"),
        ({"languages": "Go"}, "languages is 'Go'"),
        ({"per_tensor": "perhaps"}, "per_tensor is 'perhaps'"),
        ({"trim": float("nan")}, "trim is nan"),
        ({"k": 3}, "recipe 'sum' has no parameter 'k'"),
    ],
)
def test_parameters_of_a_wrong_type_or_range_are_named(make_store, random_scores, parameters, named) -> None:
    with pytest.raises(StudyError, match=named):
        find_spot(make_store(Go=random_scores(0)), max_k_percent=5, **parameters)


def test_a_spot_and_a_store_are_shown_in_a_line(store) -> None:
    total = store.layout.total
    spot = find_spot(store, recipe="sum", scope="all", max_k_percent=10)
    assert repr(spot) == f"<Spot: {len(spot)} parameters, recipe sum, scope all, k = {100 * len(spot) / total:.4g}%>"
    hostile = Spot(spot.positions, spot.scores, spot.layout, {"scope": "\x1b[31m\n"})
    assert "scope \\x1b[31m\\n," in repr(hostile)
    assert repr(store).startswith(f"<ScoreStore {store.folder}: {total:,} parameters")
    assert len(repr(store)) < 300


class _Hub:
    """Stands in for the Hub: what was uploaded lies in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def create_repo(self, name: str, **_: object) -> SimpleNamespace:
        if "/" not in name:
            raise ValueError("a repository is namespace/name")
        return SimpleNamespace(repo_id=name, __str__=lambda: name)

    def upload_folder(self, *, repo_id: str, folder_path: Path, **_: object) -> None:
        shutil.copytree(folder_path, self.folder / repo_id)

    def download(self, name: str, file: str, revision: str | None, local_files_only: bool) -> str:
        assert revision is None
        if local_files_only:
            raise OSError("it isn't in the cache.\nMore is said of that")
        if not (self.folder / name / file).exists():
            raise FileNotFoundError(f"404: no {file}")
        return str(self.folder / name / file)


def test_a_spot_comes_back_from_the_hub(store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    hub = _Hub(tmp_path / "hub")
    monkeypatch.setattr("huggingface_hub.HfApi", lambda: hub)
    monkeypatch.setattr("huggingface_hub.hf_hub_download", hub.download)
    monkeypatch.setattr("codingspot.models.hub.hub_answers", lambda: True)
    spot = find_spot(store, max_k_percent=12.5)
    spot.push_to_hub("me/spot")
    assert Spot.from_hub("me/spot").positions.tolist() == spot.positions.tolist()
    with pytest.raises(ArtefactError, match=r"mine.safetensors of me/spot can't be downloaded \(404"):
        Spot.from_hub("me/spot", file="mine.safetensors")
    with pytest.raises(OutputError, match="log in with 'hf auth login' and push it again"):
        spot.push_to_hub("spot")
    monkeypatch.setattr("codingspot.models.hub.hub_answers", lambda: False)
    with pytest.raises(ArtefactError, match=r"can't be downloaded \(it isn't in the cache\); correct the names"):
        Spot.from_hub("me/spot")
