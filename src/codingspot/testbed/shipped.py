"""The trained models that ship with the package."""

from __future__ import annotations

from pathlib import Path

from codingspot.errors import ModelError

MODELS = Path(__file__).parent / "models"


def shipped_model(name: str = "plain") -> Path:
    """Folder of a shipped testbed model.

    Raises:
        ModelError: there is none of that name; the message lists those there are.
    """
    folder = MODELS / name
    if not (folder / "model.safetensors").is_file():
        known = ", ".join(sorted(path.name for path in MODELS.glob("*") if path.is_dir())) or "none"
        raise ModelError(f"no testbed model {name!r} ships with this package; there is {known}")
    return folder
