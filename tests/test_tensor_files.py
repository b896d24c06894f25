"""Safetensors files by their bytes are the library's own."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from codingspot.tensor_files import Form, change, is_of, places, write_tensors

TENSORS = {
    "a.weight": torch.arange(6, dtype=torch.float32).view(2, 3),
    "b": torch.tensor(3.0),
    "nothing": torch.zeros(0, 4),
    "c.bias": torch.arange(3, dtype=torch.bfloat16),
    "kept": torch.tensor([True, False, True]),
}
"""As the library orders them: by their types, then by name."""


@pytest.mark.parametrize("about", [None, {"format": "pt"}])
def test_a_file_written_tensor_by_tensor_is_that_of_the_library(tmp_path: Path, about: dict[str, str] | None) -> None:
    save_file(TENSORS, tmp_path / "whole.safetensors", metadata=about)
    forms: dict[str, Form] = {**places(tmp_path / "whole.safetensors")}
    assert list(forms) == list(TENSORS)
    write_tensors(tmp_path / "each.safetensors", forms, (TENSORS[name] for name in forms), about)
    assert (tmp_path / "each.safetensors").read_bytes() == (tmp_path / "whole.safetensors").read_bytes()


def test_what_is_not_contiguous_is_written_as_it_reads(tmp_path: Path) -> None:
    tensor = torch.arange(6).view(2, 3).T
    write_tensors(tmp_path / "file", {"a": Form("I64", (3, 2), 48)}, [tensor])
    assert torch.equal(load_file(tmp_path / "file")["a"], tensor)


def test_numbers_are_changed_where_they_are(tmp_path: Path) -> None:
    path = tmp_path / "file"
    save_file(TENSORS, path)
    change(path, places(path)["a.weight"], torch.tensor([1, 5]), torch.tensor([-1.0, -5.0]))
    changed = load_file(path)
    assert changed.pop("a.weight").tolist() == [[0, -1, 2], [3, 4, -5]]
    assert all(torch.equal(tensor, TENSORS[name]) for name, tensor in changed.items())


def test_a_file_says_what_it_is_of(tmp_path: Path) -> None:
    save_file(TENSORS, tmp_path / "masks", metadata={"format": "masks"})
    (tmp_path / "text").write_text("masks")
    kinds = {name: is_of(tmp_path / name, "masks") for name in ("masks", "text", "absent")}
    assert kinds == {"masks": True, "text": False, "absent": False}
    assert not is_of(tmp_path / "masks", "spot")
