"""Pruning to a sparsity: as torch's own where nothing is protected; a spot's weights last, or first."""

from pathlib import Path

import pytest
import torch
from export_spots import random_spot
from torch.nn.utils import prune
from typer.testing import CliRunner

from codingspot import LoadedModel, ScoreStore, Spot, load_model
from codingspot.cli.app import app
from codingspot.errors import ArtefactError, CodingSpotError, FingerprintError, SelectionError, StudyError
from codingspot.export import PrunedExport, export_pruned
from codingspot.importance import NewDomainScores
from codingspot.models import describe, unique_parameters


def matrices(loaded: LoadedModel) -> dict[str, torch.Tensor]:
    """Of the blocks, with inputs last."""
    structures, parameters = describe(loaded.model), unique_parameters(loaded.model)
    return {
        name: parameters[name].detach().movedim(one.input_axis, -1)
        for name, one in structures.items()
        if one.role.block in ("mlp", "attention") and len(one.shape) > 1 and one.role.kind != "router"
    }


def test_magnitude_in_each_matrix_is_what_torch_prunes(make_checkpoint, tmp_path: Path) -> None:
    source = make_checkpoint("llama")
    record = export_pruned(source, tmp_path / "pruned", PrunedExport(sparsity=0.3, within="tensor")).record
    made, loaded = load_model(tmp_path / "pruned", device="cpu"), load_model(source, device="cpu")
    for name in matrices(loaded):
        module = loaded.model.get_submodule(name.removesuffix(".weight"))
        prune.l1_unstructured(module, "weight", amount=0.3)
        prune.remove(module, "weight")
    parameters = unique_parameters(made.model)
    assert all(torch.equal(parameters[name], weight) for name, weight in unique_parameters(loaded.model).items())
    assert record["matrices"]["zeros"] == sum(int((weight == 0).sum()) for weight in matrices(made).values())


@pytest.mark.parametrize("name", ["llama", "gpt2", "phi3", "mixtral"])
@pytest.mark.parametrize("pattern", ["2:4", "4:8"])
def test_patterns_lie_along_the_inputs(name: str, pattern: str, make_checkpoint, tmp_path: Path) -> None:
    source = make_checkpoint(name, dtype=torch.bfloat16)
    export_pruned(source, tmp_path / "pruned", PrunedExport(pattern=pattern))
    made, before = (matrices(load_model(folder, device="cpu")) for folder in (tmp_path / "pruned", source))
    kept, of = map(int, pattern.split(":"))
    for tensor, weight in made.items():
        groups, old = weight.reshape(-1, of), before[tensor].reshape(-1, of)
        assert ((groups != 0).sum(1) == kept).all()
        least = old.abs().sort(dim=1).values[:, of - kept - 1]
        assert (old[groups != 0].view(-1, kept).abs() >= least[:, None]).all()


def store_of(loaded: LoadedModel, folder: Path, fingerprint: str | None = None) -> ScoreStore:
    def domain(name: str, seed: int) -> NewDomainScores:
        generator = torch.Generator().manual_seed(seed)
        weights = unique_parameters(loaded.model)
        return NewDomainScores(name, "code", {n: torch.randn(w.shape, generator=generator) for n, w in weights.items()})

    about = {"model": {"id": "tiny", "fingerprint": fingerprint or loaded.fingerprint}}
    return ScoreStore.write(folder, [domain("go", 0), domain("rust", 1)], provenance=about)


def test_scores_are_compared_in_each_output_and_added_up(make_checkpoint, tmp_path: Path) -> None:
    source = make_checkpoint("gpt2")
    loaded = load_model(source, device="cpu")
    store = store_of(loaded, tmp_path / "scores")
    export_pruned(source, tmp_path / "pruned", PrunedExport(sparsity=0.25, scores=str(tmp_path / "scores")))
    made = matrices(load_model(tmp_path / "pruned", device="cpu"))
    for name, weight in made.items():
        keys = sum(store.tensor(domain, name).abs() for domain in ("go", "rust")).movedim(0, -1)  # Conv1D: inputs first
        gone = weight == 0
        assert (gone.sum(-1) == round(0.25 * weight.shape[-1])).all()
        assert (keys.masked_fill(~gone, 0).amax(-1) < keys.masked_fill(gone, torch.inf).amin(-1)).all()


def inside(spot: Spot, name: str, weight: torch.Tensor) -> torch.Tensor:
    found = torch.zeros(weight.numel(), dtype=torch.bool)
    found[spot.grouped()[name]] = True
    return found.view(weight.shape)


@pytest.mark.parametrize("rest", [False, True], ids=["spot", "rest"])
def test_what_is_protected_goes_last(rest: bool, make_checkpoint, tmp_path: Path) -> None:
    source, file = make_checkpoint("llama"), tmp_path / "spot.safetensors"
    loaded = load_model(source, device="cpu")
    spot = random_spot(loaded.model, share=0.2)
    spot.save(file)
    settings = PrunedExport(sparsity=0.5, within="tensor", protect=str(file), protect_rest=rest)
    result = export_pruned(source, tmp_path / "pruned", settings)
    for name, weight in matrices(load_model(tmp_path / "pruned", device="cpu")).items():
        of_spot = inside(spot, name, weight)
        assert int((weight == 0).sum()) == weight.numel() // 2
        assert (weight[of_spot] == 0).all() if rest else (weight[of_spot] != 0).all()
    assert (result.record["matrices"]["protected_zeros"] > 0) == rest
    card = (tmp_path / "pruned/README.md").read_text()
    assert ("Protected was all but a spot" if rest else "Protected was a spot: 0 of its weights") in card


def test_bad_input_is_one_line(make_checkpoint, tmp_path: Path) -> None:
    source = make_checkpoint("llama")
    loaded = load_model(source, device="cpu")
    store_of(loaded, tmp_path / "scores", "0" * 64)
    empty = tmp_path / "empty"
    random_spot(loaded.model).prefix(0).save(empty)
    cases: list[tuple[type[CodingSpotError], str, PrunedExport]] = [
        (StudyError, "--sparsity is given beside --pattern 2:4", PrunedExport(sparsity=0.5, pattern="2:4")),
        (StudyError, "name it with --protect", PrunedExport(protect_rest=True)),
        (FingerprintError, "are of other weights", PrunedExport(scores=str(tmp_path / "scores"))),
        (SelectionError, "scope 'norms' holds no matrix", PrunedExport(scope="norms")),
        (StudyError, "unknown scope", PrunedExport(scope="nowhere")),
        (SelectionError, "the spot is empty", PrunedExport(protect=str(empty))),
        (ArtefactError, r"empty/manifest\.json does not exist", PrunedExport(scores=str(empty))),
    ]
    for error, words, settings in cases:
        with pytest.raises(error, match=words):
            export_pruned(source, tmp_path / "pruned", settings)
    moe = make_checkpoint("qwen3-moe")  # experts of 12 inputs
    with pytest.raises(SelectionError, match=r"down_proj has 12 inputs, which 4:8 doesn't divide"):
        export_pruned(moe, tmp_path / "pruned", PrunedExport(pattern="4:8"))
    assert not (tmp_path / "pruned").exists()


def test_the_command(tmp_path: Path) -> None:
    made = CliRunner().invoke(app, ["export", "pruned", "testbed", "--pattern", "2:4", "--out", str(tmp_path / "made")])
    assert made.exit_code == 0, made.output
    assert "1,179,648 of 2,359,296 weights are 0 (50.0%), 2:4, the least by magnitudes." in made.output
    assert "How it was found" not in (tmp_path / "made/README.md").read_text()
