"""The edited checkpoint: as the edit in place, whatever the architecture, and undone to the byte."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from architectures import CONFIGS, make_tokenizer
from export_spots import random_spot
from gguf_files import write_gguf
from pydantic import ValidationError
from safetensors.torch import load_file, save_file
from synthetic_runs import RunMaker
from transformers import AutoModelForCausalLM, AutoTokenizer
from typer.testing import CliRunner

from codingspot import Spot, edited, load_model
from codingspot.cli.app import app
from codingspot.errors import (
    ArtefactError,
    CodingSpotError,
    FingerprintError,
    ModelError,
    NonFiniteError,
    OutputError,
    SelectionError,
    StudyError,
)
from codingspot.export import ModelExport, checkpoint, export_model, undo_export
from codingspot.models import fingerprint, shipped_model
from codingspot.models.layout import fingerprint_as

TOKENS = torch.arange(2, 18)[None]


@torch.no_grad()
def logits(model: torch.nn.Module) -> torch.Tensor:
    return model(input_ids=TOKENS.to(model.device), use_cache=False).logits


def weights(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.glob("*.safetensors*") if file.name != "undo.safetensors"}


@pytest.mark.parametrize("tied", [True, False], ids=["tied", "untied"])
@pytest.mark.parametrize("name", CONFIGS)
def test_it_computes_what_the_edit_in_place_does(name: str, tied: bool, make_checkpoint, tmp_path: Path) -> None:
    source = make_checkpoint(name, tied=tied, dtype=torch.bfloat16)
    loaded = load_model(source, device="cpu")
    spot = random_spot(loaded.model, found_in=loaded.fingerprint)
    export_model(spot, source, tmp_path / "edited")
    exported = load_model(tmp_path / "edited", device="cpu")
    assert load_model(tmp_path / "edited", dtype="auto", device="cpu").model.dtype == torch.bfloat16
    with edited(loaded, spot):
        assert torch.equal(logits(exported.model), logits(loaded.model))
        assert exported.fingerprint == fingerprint(loaded.model)
    assert not torch.equal(logits(exported.model), logits(loaded.model))
    assert weights(tmp_path / "edited").keys() == weights(source).keys()
    assert len(weights(source)) > 2

    undo_export(tmp_path / "edited", tmp_path / "restored")
    assert weights(tmp_path / "restored") == weights(source)
    assert load_model(tmp_path / "restored", device="cpu").fingerprint == loaded.fingerprint


@pytest.mark.parametrize(
    ("edit", "given"),
    [
        ("scale", ("alpha=0.5",)),
        ("noise", ("seed=3",)),
        ("mean", ()),
        ("resample", ("seed=1",)),
        ("keep_only", ("largest_percent=10",)),
    ],
)
def test_every_edit(edit: str, given: tuple[str, ...], make_checkpoint, tmp_path: Path) -> None:
    source = make_checkpoint("qwen3-moe")
    loaded = load_model(source, device="cpu")
    spot = random_spot(loaded.model)
    settings = ModelExport(edit=edit, set=given, undo=edit != "keep_only")
    export_model(spot, source, tmp_path / "edited", settings)
    parameters = {key: float(value) if "." in value else int(value) for key, value in (g.split("=") for g in given)}
    with edited(loaded, spot, edit, **parameters):
        assert fingerprint(loaded.model) == load_model(tmp_path / "edited", device="cpu").fingerprint
    assert (tmp_path / "edited/undo.safetensors").exists() == settings.undo


def test_tied_tensors_that_are_saved_twice_are_edited_twice(make_checkpoint, tmp_path: Path) -> None:
    source = make_checkpoint("llama", tied=True, size="1GB")
    tensors = load_file(source / "model.safetensors")
    save_file(tensors | {"lm_head.weight": tensors["model.embed_tokens.weight"].clone()}, source / "model.safetensors")
    loaded = load_model(source, device="cpu")
    export_model(random_spot(loaded.model), source, tmp_path / "edited")
    found = load_file(tmp_path / "edited/model.safetensors")
    assert torch.equal(found["lm_head.weight"], found["model.embed_tokens.weight"])
    assert not torch.equal(found["lm_head.weight"], tensors["model.embed_tokens.weight"])


def test_one_of_a_base_model_s_names(make_checkpoint, tmp_path: Path) -> None:
    source = make_checkpoint("gpt2", tied=True, size="1GB")
    tensors = load_file(source / "model.safetensors")
    save_file(
        {name.removeprefix("transformer."): value for name, value in tensors.items()}, source / "model.safetensors"
    )
    loaded = load_model(source, device="cpu")
    spot = random_spot(loaded.model, found_in=loaded.fingerprint)
    export_model(spot, source, tmp_path / "edited")
    with edited(loaded, spot):
        assert fingerprint(loaded.model) == load_model(tmp_path / "edited", device="cpu").fingerprint


def test_what_stands_beside_the_weights(testbed_spot: Spot, tmp_path: Path) -> None:
    result = export_model(testbed_spot, "testbed", tmp_path / "edited", ModelExport(k=0.25))
    folder = tmp_path / "edited"
    assert result.record["parameters"]["selected"] == testbed_spot.count(0.25)
    assert AutoTokenizer.from_pretrained(folder).get_vocab() == load_model("testbed").tokenizer.get_vocab()
    generation = (folder / "generation_config.json").read_bytes()
    assert generation == (shipped_model() / "generation_config.json").read_bytes()
    assert AutoModelForCausalLM.from_pretrained(folder).dtype == torch.float16
    assert not (folder / "evaluation.json").exists()
    record = json.loads((folder / "provenance.json").read_text())
    assert record["model"] == {"id": "testbed", "revision": None, "fingerprint": testbed_spot.fingerprint}
    assert record["edit"] == {"name": "zero"}
    assert record["evidence"] is None
    card = (folder / "README.md").read_text()
    for heading in ("What was changed", "How it was found", "Evidence", "Limits", "Intended use", "How to undo it"):
        assert f"\n## {heading}\n" in card
    assert f"{len(testbed_spot.top(0.25)):,} of {testbed_spot.layout.total:,} parameters (0.25%)" in card


def test_a_chat_template_goes_with_it(make_checkpoint, tmp_path: Path) -> None:
    source = make_checkpoint("llama")
    tokenizer = make_tokenizer()
    tokenizer.chat_template = "{{ messages[0].content }}"
    tokenizer.save_pretrained(source)
    export_model(random_spot(load_model(source, device="cpu").model), source, tmp_path / "edited")
    assert AutoTokenizer.from_pretrained(tmp_path / "edited").chat_template == tokenizer.chat_template


def test_a_spot_found_at_another_type_is_of_the_same_weights(make_checkpoint, tmp_path: Path) -> None:
    source = make_checkpoint("mixtral", dtype=torch.bfloat16)
    for dtype in ("float32", "bfloat16", "float16"):
        loaded = load_model(source, dtype=dtype, device="cpu")
        export_model(random_spot(loaded.model, found_in=loaded.fingerprint), source, tmp_path / dtype)
    other = random_spot(loaded.model, found_in="0" * 64)
    with pytest.raises(FingerprintError, match="found in other weights"):
        export_model(other, source, tmp_path / "edited")
    assert not (tmp_path / "edited").exists()


def test_the_weights_are_hashed_as_the_types_that_it_takes(
    make_checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = make_checkpoint("llama", dtype=torch.bfloat16)
    spots = {
        dtype: random_spot(loaded.model, found_in=loaded.fingerprint)
        for dtype in ("float32", "bfloat16")
        for loaded in [load_model(source, dtype=dtype, device="cpu")]
    }
    taken = []
    monkeypatch.setattr(checkpoint, "fingerprint_as", lambda each: taken.append(None) or fingerprint_as(each))
    for times, (dtype, spot) in enumerate(spots.items(), 1):
        taken.clear()
        export_model(spot, source, tmp_path / dtype)
        assert len(taken) == times


def test_no_model_is_loaded(make_checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = make_checkpoint("llama")
    spot = random_spot(load_model(source, device="cpu").model)
    monkeypatch.setattr(AutoModelForCausalLM, "from_pretrained", None)
    monkeypatch.setattr("safetensors.torch.load_file", None)
    export_model(spot, source, tmp_path / "edited")
    assert load_file(tmp_path / "edited/undo.safetensors")


def test_bad_input_is_one_line(make_checkpoint, testbed_spot: Spot, tmp_path: Path) -> None:
    source = make_checkpoint("llama", size="1GB")
    spot = random_spot(load_model(source, device="cpu").model)
    cases: list[tuple[type[CodingSpotError], str, tuple[Spot, Path, ModelExport]]] = [
        (ModelError, "model with other parameters", (testbed_spot, source, ModelExport())),
        (StudyError, "give --no-undo", (spot, source, ModelExport(edit="keep_only"))),
        (StudyError, "needs parameter 'alpha'", (spot, source, ModelExport(edit="scale"))),
        (ArtefactError, "is not a run directory", (spot, source, ModelExport(run=str(source / "none")))),
        (SelectionError, "the spot is empty", (spot.prefix(0), source, ModelExport())),
        (
            NonFiniteError,
            r"edit 'scale' makes numbers of \S+ that float32 doesn't hold",
            (spot, source, ModelExport(edit="scale", set=("alpha=1e300",))),
        ),
    ]
    for error, words, (found, model, settings) in cases:
        with pytest.raises(error, match=words):
            export_model(found, model, tmp_path / "edited", settings)
    (source / "model.safetensors").write_bytes(b"nothing")
    with pytest.raises(ModelError, match="truncated or corrupt"):
        export_model(spot, source, tmp_path / "edited")
    (source / "model.safetensors").unlink()
    with pytest.raises(ModelError, match=r"has no model\.safetensors"):
        export_model(spot, source, tmp_path / "edited")
    assert not (tmp_path / "edited").exists()


def test_what_was_changed_since_is_not_undone(make_checkpoint, tmp_path: Path) -> None:
    source = make_checkpoint("llama", size="1GB")
    spot = random_spot(load_model(source, device="cpu").model)
    export_model(spot, source, tmp_path / "edited")
    with pytest.raises(ArtefactError, match=r"has no undo\.safetensors"):
        undo_export(source, tmp_path / "restored")
    with pytest.raises(ArtefactError, match=r"^testbed has no undo\.safetensors"):
        undo_export("testbed", tmp_path / "restored")
    file = tmp_path / "edited/model.safetensors"
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(bytes(data))
    with pytest.raises(ArtefactError, match="was changed since it was exported"):
        undo_export(tmp_path / "edited", tmp_path / "restored")
    file.write_bytes(b"\xff" * 64)
    with pytest.raises(ModelError, match="truncated or corrupt"):
        undo_export(tmp_path / "edited", tmp_path / "restored")
    file.write_bytes(bytes(data))
    (tmp_path / "edited/undo.safetensors").write_bytes(b"nothing")
    with pytest.raises(ArtefactError, match="does not fit the files beside it"):
        undo_export(tmp_path / "edited", tmp_path / "restored")
    assert not (tmp_path / "restored").exists()


def test_a_name_that_no_repository_has_is_refused_before_the_work() -> None:
    with pytest.raises(ValidationError, match="Repo id must"):
        ModelExport(push="no repository")


def test_an_empty_name_of_a_model_is_called_by_its_argument(testbed_spot: Spot, tmp_path: Path) -> None:
    testbed_spot.save(tmp_path / "spot.safetensors")
    asked = ["export", "model", str(tmp_path / "spot.safetensors"), "", "--out", str(tmp_path / "edited")]
    assert CliRunner().invoke(app, asked).output == "error: model: it is empty; name something\n"


class Hub:
    """What is asked of the Hub."""

    def __init__(self, error: str = "") -> None:
        self.error = error
        self.made: dict[str, object] = {}
        self.files: list[str] = []

    def create_repo(self, repo_id: str, **options: object) -> object:
        if self.error:
            raise OSError(self.error)
        self.made = {"id": repo_id, **options}
        return type("Url", (str,), {"repo_id": repo_id})(f"https://huggingface.co/{repo_id}")

    def upload_folder(self, *, repo_id: str, folder_path: Path, commit_message: str) -> None:
        self.files = sorted(path.name for path in Path(folder_path).iterdir())


def test_it_is_pushed(testbed_spot: Spot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hub = Hub()
    monkeypatch.setattr("huggingface_hub.HfApi", lambda: hub)
    settings = ModelExport(push="me/without-code", private=True)
    result = export_model(testbed_spot, "testbed", tmp_path / "edited", settings)
    assert hub.made == {"id": "me/without-code", "repo_type": "model", "private": True, "exist_ok": True}
    assert {"README.md", "config.json", "model.safetensors", "provenance.json", "undo.safetensors"} <= set(hub.files)
    assert result.lines[-1] == "uploaded: https://huggingface.co/me/without-code"
    hub.error = "401 Client Error: not logged in"
    with pytest.raises(OutputError, match=r"not uploaded \(401 Client Error: not logged in\).*hf auth login"):
        export_model(testbed_spot, "testbed", tmp_path / "again", settings)


def test_a_model_of_the_hub_is_exported_and_restored_from_its_cache(
    make_checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = make_checkpoint("llama")
    cache = tmp_path / "cache" / "models--org--tiny"
    (cache / "snapshots").mkdir(parents=True)
    (cache / "refs").mkdir()
    (cache / "refs/main").write_text("c" * 40)
    source.rename(cache / "snapshots" / ("c" * 40))
    (cache / "snapshots" / ("c" * 40) / "README.md").write_text("the original's")
    source = cache / "snapshots" / ("c" * 40)
    random_spot(load_model(source, device="cpu").model).save(tmp_path / "spot.safetensors")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)

    def run(*arguments: str) -> None:
        ran = CliRunner().invoke(app, ["export", *arguments])
        assert ran.exit_code == 0, ran.output

    run("model", str(tmp_path / "spot.safetensors"), "org/tiny", "--out", str(tmp_path / "edited"))
    assert json.loads((tmp_path / "edited/provenance.json").read_text())["model"]["revision"] == "c" * 40
    assert "base_model: org/tiny" in (tmp_path / "edited/README.md").read_text()
    shutil.rmtree(source)
    (tmp_path / "edited").rename(source)
    run("undo", "org/tiny", "--out", str(tmp_path / "restored"))
    assert len(list((tmp_path / "restored").glob("model-*.safetensors"))) > 1


def test_the_commands(testbed_spot: Spot, tmp_path: Path) -> None:
    runner, file = CliRunner(), tmp_path / "spot.safetensors"
    testbed_spot.save(file)
    asked = ["--edit", "scale", "--set", "alpha=0.5", "--k", "0.5", "--json"]
    made = runner.invoke(app, ["export", "model", str(file), "testbed", "--out", str(tmp_path / "edited"), *asked])
    assert made.exit_code == 0, made.output
    assert json.loads(made.output)["edit"] == {"name": "scale", "alpha": 0.5}
    undone = runner.invoke(app, ["export", "undo", str(tmp_path / "edited"), "--out", str(tmp_path / "restored")])
    assert undone.exit_code == 0, undone.output
    restored = (tmp_path / "restored/model.safetensors").read_bytes()
    assert restored == (shipped_model() / "model.safetensors").read_bytes()
    refused = runner.invoke(app, ["export", "model", str(file), "testbed", "--out", str(tmp_path / "x"), "--k", "0"])
    assert refused.exit_code == 1
    assert refused.output.startswith("error: --k: k is in percent")


def test_a_gguf_file_is_saved_dequantised(tmp_path: Path) -> None:
    file = tmp_path / "tiny.gguf"
    write_gguf(file)
    loaded = load_model(file, device="cpu")
    spot = random_spot(loaded.model, found_in=loaded.fingerprint)
    export_model(spot, file, tmp_path / "edited")
    with edited(loaded, spot):
        assert fingerprint(loaded.model) == load_model(tmp_path / "edited", device="cpu").fingerprint


def test_the_card_has_what_a_run_found(tmp_path: Path) -> None:
    run = RunMaker().write(tmp_path / "run")
    loaded = load_model("testbed", device="cpu")
    spot = random_spot(loaded.model, share=0.01)
    settings = ModelExport(run=str(run), k=0.5)
    with pytest.raises(ArtefactError, match="did not try this spot"):
        export_model(spot, "testbed", tmp_path / "edited", settings)
    name = RunMaker().spots[0][0]
    (run / "spots").mkdir()
    spot.save(run / "spots" / f"{name}.safetensors")
    evidence = export_model(spot, "testbed", tmp_path / "edited", settings).record["evidence"]
    card = (tmp_path / "edited/README.md").read_text()
    assert evidence["spot"] == name
    assert evidence["said"] in card.replace("\\", "")
    assert {cell["control"] for cell in evidence["cells"]} > {None}
    assert "| Code retention |" in card
