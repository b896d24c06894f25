"""What is at a URL and the local folder that mirrors it: the same, whoever was stopped where."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import fsspec
import pytest
import torch
from fsspec.implementations.memory import MemoryFileSystem

from codingspot import remote
from codingspot.directories import discard_scratch, held, renewed_folder, scratch_folder
from codingspot.errors import ArtefactError, MissingPackageError, OutputError
from codingspot.files import move, remove, write_text
from codingspot.importance import NewDomainScores, ScoreStore
from codingspot.mirrors import as_given, attach, detach, mirror_of
from codingspot.outputs import new_folder
from codingspot.remote import local_path
from codingspot.storage import Storage

Machine = Callable[[], None]


class Stopped(BaseException):
    """As a process that is killed: nothing handles it."""


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Machine]:
    """Go to another machine, which has nothing of what this one has; the first time it is called, to the first."""
    count = 0

    def go() -> None:
        nonlocal count
        for folder in remote.attached():
            remote.close(folder)
        count += 1
        monkeypatch.setenv(remote.CACHE, str(tmp_path / f"machine-{count}"))

    go()
    yield go
    go()
    MemoryFileSystem.store.clear()
    MemoryFileSystem.pseudo_dirs[:] = [""]


@pytest.fixture(params=["memory", "file"])
def url(request: pytest.FixtureRequest, machine: Machine, tmp_path: Path) -> str:
    del machine
    return "memory://bucket/run" if request.param == "memory" else f"file://{tmp_path}/shared/run"


def there(url: str) -> dict[str, bytes]:
    """Every file at a URL, as anybody sees it."""
    files, root = fsspec.core.url_to_fs(url)
    return {path.removeprefix(root).lstrip("/"): files.cat_file(path) for path in files.find(root)}


def here(folder: Path) -> dict[str, bytes]:
    return {each.relative_to(folder).as_posix(): each.read_bytes() for each in folder.rglob("*") if each.is_file()}


def write_folder(place: Path, names: str) -> None:
    with new_folder(place, "codingspot-results", force=True) as folder:
        for name in names:
            (folder / name).write_text(name)


def stop_at(monkeypatch: pytest.MonkeyPatch, ending: str) -> None:
    """Let the process be killed when it is to put a file there whose name ends so."""
    put = Storage.put

    def stopping(self: Storage, path: Path, name: str) -> None:
        if name.endswith(ending):
            raise Stopped
        put(self, path, name)

    monkeypatch.setattr(Storage, "put", stopping)


def test_all_that_a_run_does_to_its_directory_is_there_and_on_the_next_machine(url: str, machine: Machine):
    place = local_path(url)
    with held(place):
        write_text(place / "cells" / "one", "1")
        write_text(place / "plan.json", "old")
        write_text(place / "plan.json", "new")
        move(place / "cells", place / "cells@1")
        with renewed_folder(place / "tables", "codingspot-report") as folder:
            (folder / "a.csv").write_text("a")
        with renewed_folder(place / "tables", "codingspot-report") as folder:
            (folder / "b.csv").write_text("b")
        scratch = scratch_folder(place, "scores")
        write_text(scratch / "piece", "piece")
        assert "scratch/scores/piece" in there(url)
        discard_scratch(scratch)
        write_text(place / "gone", "gone")
        remove(place / "gone")
    assert set(there(url)) == {"cells@1/one", "manifest.json", "plan.json", "tables/b.csv", "tables/manifest.json"}
    assert there(url) == here(place)
    machine()
    assert here(local_path(url)) == there(url)
    assert as_given(f"see {local_path(url)}/plan.json") == f"see {url}/plan.json"
    assert as_given(f"no {local_path(url)}. {local_path(url)}") == f"no {url}. {url}"
    assert as_given(f"{local_path(url)}.partial") == f"{local_path(url)}.partial"  # beside it, and not there


def test_what_another_machine_did_replaces_what_is_here_and_what_is_the_same_is_not_fetched(
    url: str, machine: Machine, monkeypatch: pytest.MonkeyPatch
):
    place = local_path(url)
    with held(place):
        for name in ("same", "cells/gone", "changed"):
            write_text(place / name, name)
    remote.close(place)
    first = str(place.parents[2])
    machine()
    with held(local_path(url)):
        remove(local_path(url) / "cells" / "gone")
        write_text(local_path(url) / "changed", "otherwise")
        write_text(local_path(url) / "new", "new")
    machine()
    monkeypatch.setenv(remote.CACHE, first)
    fetched: list[str] = []
    get = Storage.get
    monkeypatch.setattr(Storage, "get", lambda self, name, path: (fetched.append(name), get(self, name, path))[1])
    assert here(local_path(url)) == there(url)
    assert not (place / "cells").exists()
    assert sorted(fetched) == ["changed", "new"]


def test_a_folder_whose_writer_was_killed_before_its_manifest_is_not_there_and_is_written_again(
    url: str, machine: Machine, monkeypatch: pytest.MonkeyPatch
):
    with monkeypatch.context() as patch:
        stop_at(patch, "manifest.json")
        with pytest.raises(Stopped):
            write_folder(local_path(url), "ab")
    assert {"a", "b"} < set(there(url))
    machine()
    place = local_path(url)
    assert not place.exists()
    assert {"a", "b"} < set(there(url))  # who only reads removes nothing, as another may be writing
    write_folder(place, "a")
    assert set(there(url)) == {"a", "manifest.json"}
    write_folder(place, "c")
    assert there(url) == here(place)
    assert set(here(place)) == {"c", "manifest.json"}


def test_a_url_may_be_one_file(url: str, machine: Machine):
    write_text(local_path(f"{url}.txt"), "one")
    machine()
    assert local_path(f"{url}.txt").read_text() == "one"
    write_text(local_path(f"{url}.txt"), "two")
    remove(local_path(f"{url}.txt"))
    machine()
    assert not local_path(f"{url}.txt").exists()


def test_a_mark_can_name_no_file_outside_its_folder(machine: Machine):
    files = fsspec.filesystem("memory")
    files.pipe_file("/bucket/mine", b"mine")
    files.pipe_file("/bucket/run/x/.codingspot-unfinished", json.dumps(["x/../../mine", "../mine", "y", 7]).encode())
    files.pipe_file("/bucket/run/y", b"y")
    files.pipe_file("/bucket/run/manifest.json", b'{"format": "codingspot-run"}')
    write_text(local_path("memory://bucket/run") / "plan.json", "{}")
    assert set(there("memory://bucket")) == {"mine", "run/y", "run/manifest.json", "run/plan.json"}


def test_scores_are_fetched_domain_by_domain_when_they_are_read(url: str, machine: Machine):
    scores = {"a": torch.tensor([-4.0, 2.0])}
    domains = [NewDomainScores(name, "code", {"a": scores["a"] * n}) for n, name in enumerate(("go", "java"), 1)]
    ScoreStore.write(local_path(url), domains)
    machine()
    store = ScoreStore.open(local_path(url))
    assert set(here(local_path(url))) == {"manifest.json"}
    assert store.tensor("java", "a").tolist() == [-8.0, 4.0]
    assert set(here(local_path(url))) == {"manifest.json", "java.safetensors"}
    files, root = fsspec.core.url_to_fs(url)
    files.pipe_file(f"{root}/go.safetensors", b"cut")
    with pytest.raises(ArtefactError, match="changed while it was read"):
        store.tensor("go", "a")


def test_a_stopped_scoring_goes_on_from_the_domains_that_were_finished(url: str, machine: Machine):
    from codingspot.importance.writing import store_writer

    place = local_path(url)
    provenance = {"model": {"id": "m", "revision": None, "fingerprint": "f" * 64}}

    def write(names: list[str]) -> list[str]:
        partial = scratch_folder(local_path(url), "scoring") / "scores"
        with store_writer(local_path(url) / "scores", provenance=provenance, partial=partial) as writer:
            known = list(writer.texts)
            for name in names:
                if name == "stop":
                    raise Stopped
                writer.add(NewDomainScores(name, "code", {"a": torch.ones(2)}))
        discard_scratch(scratch_folder(local_path(url), "scoring"))
        return known

    with pytest.raises(Stopped), held(place):
        write(["go", "stop"])
    machine()
    with held(local_path(url)):
        assert write(["java"]) == ["go"]
    assert there(url) == here(local_path(url))
    assert {name for name in there(url) if "safetensors" in name} == {
        "scores/go.safetensors",
        "scores/java.safetensors",
    }


def test_a_file_of_the_users_beside_a_run_stays_and_a_place_of_theirs_is_refused_unread(url: str, machine: Machine):
    place = local_path(url)
    with held(place):
        write_text(place / "plan.json", "{}")
    files, root = fsspec.core.url_to_fs(url)
    files.makedirs(f"{root}/tables", exist_ok=True)
    files.pipe_file(f"{root}/tables/notes.txt", b"mine")
    machine()
    with held(local_path(url)), renewed_folder(local_path(url) / "tables", "codingspot-report") as folder:
        (folder / "a.csv").write_text("a")
    assert there(url)["tables/notes.txt"] == b"mine"
    files.rm_file(f"{root}/manifest.json")
    machine()
    with pytest.raises(OutputError, match=r"is not empty and codingspot did not write it \(it holds plan.json\)"):
        local_path(url)
    assert len(there(url)) == 4


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ("ftp://host/run", OutputError, "give a path, or one of file://, gs://, memory://, s3://"),
        ("memory://", OutputError, "names no folder"),
        ("memory://a/../b", OutputError, "'..'"),
        ("s3:/bucket/run", OutputError, "write s3://bucket/run, or ./s3:/bucket/run for a folder here"),
        ("gs://bucket/run", MissingPackageError, "needs the package gcsfs; pip install gcsfs"),
    ],
)
def test_urls_that_cannot_be_used(
    given: str, error: type[Exception], message: str, machine: Machine, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setitem(__import__("sys").modules, "gcsfs", None)
    with pytest.raises(error, match=message):
        local_path(given)


def test_names_that_lead_out_of_the_folder_are_refused(machine: Machine):
    fsspec.filesystem("memory").pipe_file("/bucket/run/manifest.json", b'{"format": "codingspot-run"}')
    MemoryFileSystem.store["/bucket/run/../../evil"] = MemoryFileSystem.store["/bucket/run/manifest.json"]
    with pytest.raises(ArtefactError, match="can't be a file's name"):
        local_path("memory://bucket/run")


def test_places_that_overlap_are_refused_and_ranks_share_none(machine: Machine, monkeypatch: pytest.MonkeyPatch):
    inner = local_path("memory://bucket/run")
    assert local_path("memory://bucket/run/scores") == inner / "scores"
    with pytest.raises(OutputError, match="contains memory://bucket/run"):
        local_path("memory://bucket")
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(OutputError, match="torchrun"):
        local_path("memory://bucket/other")


def test_a_url_that_another_command_holds_is_refused(machine: Machine):
    place = local_path("memory://bucket/run")
    other = mirror_of(place)
    detach(place)  # as another process, which has the lock and of which this one doesn't know
    with pytest.raises(OutputError, match="memory://bucket/run is in use by another codingspot command"):
        local_path("memory://bucket/run")
    attach(place, other)


def test_errors_of_a_file_system_are_one_line(machine: Machine, monkeypatch: pytest.MonkeyPatch):
    place = local_path("memory://bucket/run")

    def refuse(*_: object, **__: object) -> None:
        raise RuntimeError("403\nforbidden")

    monkeypatch.setattr(MemoryFileSystem, "put_file", refuse)
    with pytest.raises(OutputError, match=r"^memory://bucket/run can't be written \(403 forbidden\)"):
        write_text(place / "plan.json", "{}")
