"""Models in GGUF files: read whole, dequantised, and said to be; broken files are refused in one line."""

from __future__ import annotations

import struct
from contextlib import suppress
from pathlib import Path

import gguf
import numpy as np
import pytest
import torch
from gguf_files import write_gguf

from codingspot.corpus import Corpus, Domain
from codingspot.errors import ModelError
from codingspot.estimation.footprint import measure_footprint
from codingspot.importance import score
from codingspot.models import ParameterLayout, configured_model, fingerprint, load_model
from codingspot.models import gguf as gguf_module


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("plain") / "tiny.gguf"
    write_gguf(path)
    return path


def test_the_weights_are_those_that_were_written(tmp_path: Path) -> None:
    written = write_gguf(tmp_path / "tiny.gguf")
    loaded = load_model(tmp_path / "tiny.gguf", device="cpu")
    assert loaded.fingerprint == fingerprint(written)
    assert loaded.id == str(tmp_path / "tiny.gguf")
    tokens = torch.tensor([[5, 17, 40, 3]])
    with torch.no_grad():
        assert torch.equal(loaded.model(tokens).logits, written(tokens).logits)
    text = "def total(values):\n    return sum(values)\n"
    assert loaded.tokenizer.decode(loaded.tokenizer(text)["input_ids"], skip_special_tokens=True) == text
    assert loaded.weights == "GGUF (F32), dequantised to float32"


def test_quantised_weights_are_dequantised_to_the_dtype_that_is_asked_for(tmp_path: Path) -> None:
    written = write_gguf(tmp_path / "model" / "tiny.gguf", "Q8_0")
    loaded = load_model(tmp_path / "model", dtype="bfloat16", device="cpu")
    assert loaded.weights == "GGUF (Q8_0, F32), dequantised to bfloat16"
    assert loaded.record["weights"] == loaded.weights
    name = "model.layers.1.mlp.down_proj.weight"
    stored = gguf.quantize(written.state_dict()[name].numpy(), gguf.GGMLQuantizationType.Q8_0)
    expected = torch.from_numpy(gguf.dequantize(stored, gguf.GGMLQuantizationType.Q8_0)).bfloat16()
    assert torch.equal(loaded.model.state_dict()[name], expected)
    assert not torch.equal(loaded.model.state_dict()[name], written.state_dict()[name].bfloat16())
    loaded.model.save_pretrained(tmp_path / "saved")
    loaded.tokenizer.save_pretrained(tmp_path / "saved")
    again = load_model(tmp_path / "saved", dtype="bfloat16", device="cpu")
    assert again.fingerprint == loaded.fingerprint
    assert again.weights is None


def test_the_layout_is_known_from_the_metadata(plain: Path) -> None:
    built = configured_model(plain)
    assert built.device.type == "meta"
    assert ParameterLayout.of(built).total == ParameterLayout.of(load_model(plain, device="cpu").model).total


def test_what_a_study_takes_is_known_from_the_metadata(plain: Path) -> None:
    found = measure_footprint(plain, sequences=2, sequence_length=16)
    assert found.parameters == ParameterLayout.of(configured_model(plain)).total


def test_scores_say_how_the_weights_were_read(plain: Path, tmp_path: Path) -> None:
    loaded = load_model(plain, device="cpu")
    corpus = Corpus("texts", (Domain("english", "general", ("The gardener gave the teacher a book. " * 9,)),))
    store = score(loaded, corpus, tmp_path / "scores", sequence_length=16, token_budget=32)
    assert store.manifest["model"] == loaded.record
    assert store.manifest["model"]["weights"] == "GGUF (F32), dequantised to float32"


def test_a_folder_is_read_where_it_holds_one_file_and_no_safetensors(plain: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    with pytest.raises(ModelError, match=r"no config\.json"):
        load_model(folder)
    for name in ("a.gguf", "b.gguf"):
        (folder / name).write_bytes(plain.read_bytes())
    with pytest.raises(ModelError, match=r"holds 2 GGUF files; name the one to read, such as .*a\.gguf"):
        load_model(folder)
    assert load_model(folder / "b.gguf", device="cpu").gguf.path == folder / "b.gguf"
    (folder / "b.gguf").unlink()
    assert load_model(folder, device="cpu").folder == folder / "a.gguf"
    (folder / "model.safetensors").write_bytes(b"")
    with pytest.raises(ModelError, match=r"no config\.json"):
        load_model(folder)


def test_what_is_missing_is_said_in_one_line(plain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ModelError, match=r"GGUF file .*none\.gguf does not exist"):
        load_model(tmp_path / "none.gguf")
    write_gguf(tmp_path / "part.gguf", without="model.layers.0.mlp.up_proj.weight")
    with pytest.raises(ModelError, match=r"lacks 1 weights of LlamaForCausalLM, such as .*up_proj"):
        load_model(tmp_path / "part.gguf", device="cpu")
    monkeypatch.setattr(gguf_module, "find_spec", lambda name: None)
    with pytest.raises(ModelError, match=r"needs gguf and accelerate; pip install 'codingspot\[gguf\]'"):
        load_model(plain)


def _string(text: str) -> bytes:
    return struct.pack("<Q", len(text)) + text.encode()


def _header(values: int = 1, tensors: int = 0, version: int = 3) -> bytes:
    return b"GGUF" + struct.pack("<IQQ", version, tensors, values)


ARCHITECTURE = _string("general.architecture") + struct.pack("<I", 8) + _string("llama")
HOSTILE = {
    "empty": (b"", "it is empty"),
    "other": (b"PK\x03\x04" * 9, "doesn't begin with GGUF"),
    "cut in the header": (b"GGUF\x03", "ends too early"),
    "old": (_header(version=1) + ARCHITECTURE, "version is 1, not 2 or 3"),
    "byte order": (_header(version=3 << 24) + ARCHITECTURE, "version is 50331648"),
    "endless values": (_header(values=2**63) + ARCHITECTURE, "ends too early"),
    "endless tensors": (_header(tensors=2**63) + ARCHITECTURE, "ends too early"),
    "endless name": (_header() + struct.pack("<Q", 2**63), "ends too early"),
    "endless numbers": (_header() + _string("x") + struct.pack("<IIQ", 9, 4, 2**62), "ends too early"),
    "endless strings": (_header() + _string("x") + struct.pack("<IIQ", 9, 8, 2**62), "ends too early"),
    "array of arrays": (_header() + _string("x") + struct.pack("<IIQ", 9, 9, 1), "array of values of type 9"),
    "unknown value": (_header() + _string("x") + struct.pack("<I", 77), "value of type 77"),
    "no architecture": (_header(values=0), "doesn't say its architecture"),
    "unknown type": (
        _header(tensors=1) + ARCHITECTURE + _string("t") + struct.pack("<IQIQ", 1, 32, 999, 0),
        "tensor 't' has values of the unknown type 999",
    ),
    "endless dimensions": (
        _header(tensors=1) + ARCHITECTURE + _string("t") + struct.pack("<I", 2**32 - 1),
        "ends too early",
    ),
    "endless tensor": (
        _header(tensors=1) + ARCHITECTURE + _string("t") + struct.pack("<IQIQ", 1, 2**62, 0, 0),
        "its tensors take 18,446",
    ),
    "nothing but a name": (_header() + ARCHITECTURE, ""),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_broken_file_is_one_line(name: str, tmp_path: Path) -> None:
    content, reason = HOSTILE[name]
    path = tmp_path / "broken.gguf"
    path.write_bytes(content)
    with pytest.raises(ModelError) as caught:
        load_model(path, device="cpu")
    assert reason in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
def test_a_file_that_was_cut_is_one_line(share: float, plain: Path, tmp_path: Path) -> None:
    content = plain.read_bytes()
    path = tmp_path / "cut.gguf"
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(ModelError, match="is no whole GGUF file"):
        load_model(path, device="cpu")


def test_damaged_metadata_never_is_more_than_an_error_of_ours(plain: Path, tmp_path: Path) -> None:
    content = bytearray(plain.read_bytes())
    generator = np.random.default_rng(0)
    path = tmp_path / "damaged.gguf"
    for _ in range(40):
        damaged = bytearray(content)
        for place in generator.integers(0, 700, size=3):
            damaged[place] = generator.integers(256)
        path.write_bytes(damaged)
        with suppress(ModelError):
            configured_model(path)
