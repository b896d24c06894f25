"""Checkpoints of tiny random models, and a spot of the shipped one."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parents[1] / "models"))  # for architectures.py and gguf_files.py
sys.path.insert(0, str(Path(__file__).parents[1] / "report"))  # for synthetic_runs.py

from architectures import make_model, make_tokenizer
from export_spots import random_spot

from codingspot import Spot, load_model
from codingspot.models import fingerprint


@pytest.fixture
def make_checkpoint(tmp_path: Path) -> Callable[..., Path]:
    """Saves a tiny model of an architecture with its tokenizer, in shards."""

    def make(name: str = "llama", *, tied: bool = False, dtype: torch.dtype = torch.float32, size: str = "8KB") -> Path:
        folder = tmp_path / f"{name}-source"
        make_model(name, tied=tied).to(dtype).save_pretrained(folder, max_shard_size=size)
        make_tokenizer().save_pretrained(folder)
        return folder

    return make


@pytest.fixture(scope="session")
def testbed_spot() -> Spot:
    """A random 1% of the shipped model, found in its weights as they are loaded by default."""
    loaded = load_model("testbed", device="cpu")
    return random_spot(loaded.model, share=0.01, found_in=fingerprint(loaded.model))
