"""A student of fewer layers: which it keeps, that it computes what they do, and that it learns from its teacher."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from architectures import CONFIGS, make_model
from export_spots import random_spot
from typer.testing import CliRunner

from codingspot import Corpus, Domain, Spot, load_model
from codingspot.cli.app import app
from codingspot.errors import CodingSpotError, SelectionError
from codingspot.export import DistilledExport, export_distilled
from codingspot.export.distillation import distillation_loss
from codingspot.export.student import kept_layers, student_of
from codingspot.models import ParameterLayout
from codingspot.models.finding import FoundModel
from codingspot.models.roles import role_of

TOKENS = torch.arange(2, 18)[None]
REFUSED = "qwen3-moe"
"""Whose configuration says by number which layers have no experts."""


@pytest.mark.parametrize("name", [name for name in CONFIGS if name != REFUSED])
@torch.no_grad()
def test_a_student_computes_what_its_layers_do(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    teacher = make_model(name, tied=True)
    found = FoundModel(name, name, None, True, False, teacher.config)
    student = student_of(teacher, found, [1])
    assert student.config.num_hidden_layers == 1
    whole = teacher(TOKENS, use_cache=False).logits
    body = getattr(teacher, teacher.base_model_prefix)
    first = (body.layers if hasattr(body, "layers") else body.h)[0]
    passed = type(first).forward.__qualname__.startswith(("Falcon", "GPTNeoBlock"))  # which return a tuple
    monkeypatch.setattr(first, "forward", lambda states, *_a, **_k: (states,) if passed else states)
    without = teacher(TOKENS, use_cache=False).logits
    torch.testing.assert_close(student(TOKENS, use_cache=False).logits, without, rtol=1e-5, atol=1e-5)
    assert not torch.allclose(whole, without, rtol=1e-3, atol=1e-3)


def test_layers_that_can_not_stand_alone_are_refused() -> None:
    teacher = make_model(REFUSED, tied=True)
    with pytest.raises(SelectionError, match="these layers of tiny can't stand alone"):
        student_of(teacher, FoundModel("tiny", "tiny", None, True, False, teacher.config), [1])


def _spot_in(model: torch.nn.Module, layer: int) -> Spot:
    layout = ParameterLayout.of(model)
    inside = [layout.slice(name).start for name in layout.names if role_of(name).layer == layer]
    return Spot(torch.tensor(inside), torch.zeros(len(inside)), layout, {})


def test_layers_are_kept_evenly_or_by_density() -> None:
    model = make_model("llama", tied=True)
    spot = _spot_in(model, 1)
    assert kept_layers(model, 1, "dense", spot) == (1,)
    assert kept_layers(model, 1, "sparse", spot) == (0,)
    model.config.num_hidden_layers = 6
    assert kept_layers(model, 4) == (0, 2, 3, 5)
    assert kept_layers(model, 3) == (0, 2, 5)
    with pytest.raises(SelectionError, match="the model has 6 layers"):
        kept_layers(model, 6)


def test_the_loss_by_hand() -> None:
    student, teacher = torch.tensor([[2.0, 0.0], [5.0, 1.0]]), torch.tensor([[0.0, 2.0], [0.0, 0.0]])
    high = 1 / (1 + torch.tensor(-1.0).exp())  # of logits that differ by 2, at temperature 2
    divergence = (2 * high - 1) * 1  # sum of p (log p - log q), where the log-odds are 1 and -1
    text = -torch.tensor([2.0, 0.0]).log_softmax(0)[1]
    found = distillation_loss(student, teacher, torch.tensor([1, -100]), 2.0, 0.5)
    torch.testing.assert_close(found, 4 * divergence + 0.5 * text)


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """Words that go on alike, and others that don't."""
    texts = tuple(" ".join(f"w{(start + 3 * step) % 40}" for step in range(40)) for start in range(20))
    others = tuple(" ".join(f"w{(start * step) % 40}" for step in range(40)) for start in range(20))
    domains = (Domain("go", "code", texts), Domain("prose", "general", others, held_out=True))
    Corpus("words", domains).save(tmp_path / "corpus")
    return tmp_path / "corpus"


def _settings(corpus: Path, **settings: object) -> DistilledExport:
    small = {"layers": 1, "sequence_length": 16, "evaluation_documents": 4, "steps": 12, "learning_rate": 0.01}
    return DistilledExport(**{"corpora": (str(corpus),), **small, **settings})


def test_a_student_learns_from_its_teacher(make_checkpoint, corpus: Path, tmp_path: Path) -> None:
    source = make_checkpoint("llama", dtype=torch.bfloat16)
    spot = _spot_in(load_model(source, device="cpu").model, 1)
    spot.save(tmp_path / "spot.safetensors")
    settings = _settings(corpus, keep="dense", spot=str(tmp_path / "spot.safetensors"))
    result = export_distilled(source, tmp_path / "student", settings)
    losses, layers = result.record["losses"], result.record["layers"]
    assert layers == {"kept": [1], "of": 2}
    assert set(losses["after"]) == {"go", "prose"}
    assert losses["after"]["go"] < losses["before"]["go"] - 0.1
    made = load_model(tmp_path / "student", device="cpu", dtype="auto")
    assert made.model.dtype == torch.bfloat16
    assert made.model.num_parameters() == result.record["size"][1] < result.record["size"][0]
    assert "Of 2 layers 1 are kept, where the spot is densest: 1." in (tmp_path / "student/README.md").read_text()
    assert json.loads((tmp_path / "student/provenance.json").read_text())["losses"] == losses


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"keep": "dense"}, "--keep dense is by the density of a spot; name it with --spot"),
        ({"spot": "SPOT"}, "--spot says nothing of layers that are spread evenly"),
        ({"layers": 2}, "the model has 2 layers"),
        ({"corpora": ()}, "no corpus is named"),
        ({"corpora": ("testbed", "elsewhere")}, "testbed can't be put together with other sources; give it alone"),
        ({"held_out": ("go", "prose")}, "hold"),
        ({"keep": "dense", "spot": "SPOT"}, "was found in"),
    ],
)
def test_what_is_refused_is_one_line(make_checkpoint, corpus: Path, tmp_path: Path, options, message: str) -> None:
    source, file = make_checkpoint("llama"), tmp_path / "spot.safetensors"
    random_spot(load_model(source, device="cpu").model, found_in="other weights").save(file)
    given = {name: str(file) if value == "SPOT" else value for name, value in options.items()}
    with pytest.raises(CodingSpotError, match=message):
        export_distilled(source, tmp_path / "student", _settings(corpus, **given))
    assert not (tmp_path / "student").exists()


def test_the_command(make_checkpoint, corpus: Path, tmp_path: Path) -> None:
    options = ["--layers", "1", "--corpus", str(corpus), "--steps", "2", "--sequence-length", "16"]
    more = ["--evaluation-documents", "4", "--device", "cpu", "--out", str(tmp_path / "student")]
    result = CliRunner().invoke(app, ["export", "distilled", str(make_checkpoint("llama")), *options, *more])
    assert result.exit_code == 0, result.output
    assert "Loss of go: " in result.stdout
    told = [line for line in result.stderr.splitlines() if "student" in line or "losses" in line]
    assert [line.split(" ", 1)[1] for line in told] == [
        "losses before training",
        "training the student",
        "losses after training",
    ]
