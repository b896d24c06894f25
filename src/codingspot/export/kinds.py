"""The settings of every export: the options of its command, and its help."""

from __future__ import annotations

from pydantic import Field

from codingspot.export.export import EXPORTS, ExportTraits, SpotSettings, Write
from codingspot.settings import InputPath, NotEmpty, Settings


def _load_model() -> Write:
    from codingspot.export.model import write

    return write


def _load_undo() -> Write:
    from codingspot.export.undo import write

    return write


class Pushed(SpotSettings):
    """Of an export that the Hub may hold."""

    push: NotEmpty | None = Field(None, description="a repository on the Hugging Face Hub that it is uploaded to, too")
    private: bool = Field(False, description="make the repository private where it is new")


@EXPORTS.register("model", label="Edited checkpoint", traits=ExportTraits(_load_model, reads=("spot", "model")))
class ModelExport(Pushed):
    """Edit a spot of a checkpoint and write the edited checkpoint, one tensor in memory at a time.

    Names, shards and types of the tensors stay as they are. Beside them stand the tokenizer, the configuration, a
    model card, what it was made from, and what undoes it: `codingspot export undo`.

    Example: codingspot export model spot.safetensors testbed --k 0.25 --out runs/edited
    """

    edit: NotEmpty = Field("zero", description="see `codingspot methods edit`")
    set: tuple[NotEmpty, ...] = Field((), description="a parameter of the edit, NAME=VALUE")
    undo: bool = Field(True, description="write what restores the original bit for bit")
    run: InputPath | None = Field(None, description="a run directory that tried the spot, for the card's evidence")


@EXPORTS.register("undo", label="Restored checkpoint", traits=ExportTraits(_load_undo, reads=("model",)))
class Undo(Settings):
    """Restore the original of an edited checkpoint, bit for bit, from what was written beside it.

    Example: codingspot export undo runs/edited --out runs/restored
    """
