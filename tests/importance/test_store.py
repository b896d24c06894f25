import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from codingspot.errors import ArtefactError, FingerprintError, NonFiniteError
from codingspot.importance import NewDomainScores, ScoreStore

SCORES = {"b": torch.tensor([[1.0, -2.0], [0.0, 3.0]]), "a": torch.tensor([-4.0, 2.0])}
OTHER = {"b": torch.zeros(2, 2), "a": torch.ones(2)}


def _write(folder, **options) -> ScoreStore:
    return ScoreStore.write(
        folder,
        [
            NewDomainScores("C#", "code", SCORES, predicted_tokens=10, details={"loss": 1.5}),
            NewDomainScores("../English", "general", OTHER),
        ],
        provenance={"model": {"id": "m", "revision": None, "fingerprint": "f" * 64}},
        **options,
    )


def test_what_is_written_does_not_depend_on_the_number_of_threads(tmp_path) -> None:
    generator = torch.Generator().manual_seed(0)
    before, manifests = torch.get_num_threads(), set()
    scores = {f"{size}": torch.randn(size, generator=generator) for size in (100_000, 1_100_003, 131_111)}
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            ScoreStore.write(tmp_path / f"{threads}", [NewDomainScores("C#", "code", scores)])
            manifests.add((tmp_path / f"{threads}" / "manifest.json").read_text())
    finally:
        torch.set_num_threads(before)
    assert len(manifests) == 1


def test_written_scores_read_back(tmp_path) -> None:
    _write(tmp_path / "store")
    store = ScoreStore.open(tmp_path / "store")
    assert store.layout.names == ("a", "b")
    assert torch.equal(store.tensor("C#", "b"), SCORES["b"])
    assert torch.equal(store.tensor("../English", "a"), OTHER["a"])
    assert store.part("C#", "b", 1, 3).tolist() == [-2.0, 0.0]
    assert store.names("code") == ("C#",)
    assert store.names("general") == ("../English",)
    about = store.domain("C#")
    assert (about.predicted_tokens, about.details) == (10, {"loss": 1.5})
    assert about.mean == pytest.approx(2.0)
    assert about.deviation == pytest.approx(np.std([4, 2, 1, 2, 0, 3]))
    assert store.manifest["model"]["id"] == "m"
    assert "torch" in store.manifest["versions"]
    assert {path.name for path in (tmp_path / "store").iterdir()} == {
        "manifest.json",
        "C%23.safetensors",
        "..%2FEnglish.safetensors",
    }
    assert torch.equal(load_file(tmp_path / "store" / "C%23.safetensors")["b"], SCORES["b"])


def test_large_domains_are_sharded(tmp_path) -> None:
    tensors = {f"t{index}": torch.full((4,), float(index)) for index in range(5)}
    store = ScoreStore.write(tmp_path / "store", [NewDomainScores("Go", "code", tensors)], shard_bytes=32)
    assert store.domain("Go").files == tuple(f"Go-0000{shard}-of-00003.safetensors" for shard in (1, 2, 3))
    for name, tensor in tensors.items():
        assert torch.equal(store.tensor("Go", name), tensor)


@pytest.mark.parametrize(
    ("normalise", "expected"),
    [("tokens", [4.0, 2.0]), ("none", [40.0, 20.0]), ("zscore", [2.0 / 1.290994, 0.0])],
)
def test_magnitudes_follow_the_normalisation(tmp_path, normalise, expected) -> None:
    store = _write(tmp_path / "store", normalise=normalise)
    assert store.magnitude("C#", "a", 0, 2).tolist() == pytest.approx(expected, rel=1e-5)
    again = _write(tmp_path / "other").with_normalisation(normalise)
    assert again.magnitude("C#", "a", 0, 2).tolist() == pytest.approx(expected, rel=1e-5)
    assert torch.equal(store.tensor("C#", "a"), SCORES["a"])


def test_domains_are_let_go_one_at_a_time(tmp_path) -> None:
    alive: list[object] = []

    def domains():
        import weakref

        for name in ("one", "two", "three"):
            assert [reference for reference in alive if reference() is not None] == []
            tensor = torch.ones(4)
            alive.append(weakref.ref(tensor))
            new = NewDomainScores(name, "code", {"w": tensor})
            del tensor
            yield new
            del new

    assert len(ScoreStore.write(tmp_path / "store", domains()).domains) == 3
    assert len(alive) == 3


def test_faulty_scores_leave_nothing_behind(tmp_path) -> None:
    out = tmp_path / "store"
    bad = {"b": torch.tensor([[1.0, float("inf")], [0.0, 0.0]]), "a": OTHER["a"]}
    with pytest.raises(NonFiniteError, match="scores of b in domain 'Go'"):
        ScoreStore.write(out, [NewDomainScores("Go", "code", bad)])
    with pytest.raises(ArtefactError, match="'C' has other tensors"):
        ScoreStore.write(out, [NewDomainScores("Go", "code", SCORES), NewDomainScores("C", "code", {"a": OTHER["a"]})])
    with pytest.raises(ArtefactError, match="two domains are named 'Go'"):
        ScoreStore.write(out, [NewDomainScores("Go", "code", SCORES)] * 2)
    with pytest.raises(ArtefactError, match="would be empty"):
        ScoreStore.write(out, [])
    assert list(tmp_path.iterdir()) == []


def test_other_weights_are_refused(tmp_path) -> None:
    store = _write(tmp_path / "store")
    store.check_model("f" * 64)
    with pytest.raises(FingerprintError, match="made from other weights"):
        store.check_model("0" * 64)


def test_damaged_store_is_refused(tmp_path) -> None:
    folder = tmp_path / "store"
    with pytest.raises(ArtefactError, match="does not exist"):
        ScoreStore.open(folder)
    store = _write(folder)
    with pytest.raises(ArtefactError, match=r"no domain 'Go'; it has C#, \.\./English"):
        store.domain("Go")

    file = folder / "C%23.safetensors"
    whole = file.read_bytes()
    file.write_bytes(whole[:-4])
    with pytest.raises(ArtefactError, match=r"C%23\.safetensors is missing, truncated or corrupt"):
        ScoreStore.open(folder)
    with pytest.raises(ArtefactError, match="is truncated"):
        store.tensor("C#", "b")
    file.write_bytes((folder / "..%2FEnglish.safetensors").read_bytes()[:8] + b"{")
    with pytest.raises(ArtefactError, match="truncated or corrupt"):
        ScoreStore.open(folder)
    file.unlink()
    with pytest.raises(ArtefactError, match="missing"):
        ScoreStore.open(folder)
    file.write_bytes(whole)
    ScoreStore.open(folder)

    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps({**manifest, "layout": [["a", [2]], ["b", [4]]]}))
    with pytest.raises(ArtefactError, match="differ from those listed"):
        ScoreStore.open(folder)
    (folder / "manifest.json").write_text(json.dumps({**manifest, "format": "else"}))
    with pytest.raises(ArtefactError, match="not a score store"):
        ScoreStore.open(folder)
    (folder / "manifest.json").write_text('{"format": "codingspot-sc')
    with pytest.raises(ArtefactError, match="truncated or corrupt"):
        ScoreStore.open(folder)


def test_digest_is_of_what_made_the_scores(tmp_path) -> None:
    one, same = _write(tmp_path / "one"), _write(tmp_path / "two")
    other = _write(tmp_path / "three", normalise="none")
    assert one.digest == same.digest != other.digest
