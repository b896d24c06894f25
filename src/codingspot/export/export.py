"""What an export is: settings, what it reads and writes, and the function that makes it.

An export is registered by its settings, whose fields are the options of its command and whose documentation is the
command's help. Its traits say what stands before the options (a spot, a model) and load the function when it is used.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from codingspot.errors import SelectionError
from codingspot.registry import Registry
from codingspot.settings import Dose, Settings

if TYPE_CHECKING:  # loading the stages takes seconds, which `--help` should not
    from codingspot.models.section import ModelSection
    from codingspot.spot import Spot


def not_empty(spot: Spot) -> Spot:
    """The spot, where it selects something.

    Raises:
        SelectionError: it doesn't.
    """
    if not len(spot):
        raise SelectionError("the spot is empty; give one that selects something")
    return spot


class SpotSettings(Settings):
    """Of an export of a spot: how much of it."""

    k: Dose | None = Field(None, description="percentage of all parameters; the whole spot by default")

    def chosen(self, spot: Spot) -> Spot:
        """The spot's first ``k`` percent.

        Raises:
            SelectionError: the spot was found at a smaller k, or selects nothing.
        """
        return not_empty(spot if self.k is None else spot.top(self.k))


Tell = Callable[[str, float], None]


def to_nobody(_text: str, _share: float) -> None:
    """Nobody hears it."""


@dataclass(frozen=True)
class Given:
    """What a command was given before its options; None where the export doesn't read it.

    ``tell`` hears what is being done, and the share of all work that is done.
    """

    spot: Path | None = None
    model: ModelSection | None = None
    tell: Tell = to_nobody


@dataclass(frozen=True)
class Exported:
    """What was written: ``lines`` for people, and the same as plain data."""

    lines: tuple[str, ...]
    record: Mapping[str, Any] = field(default_factory=dict)


FOLDER = "codingspot-export"
"""What the manifest of an exported folder says it is."""

Write = Callable[[Given, Any, Path, bool], Exported]
"""Writes an export: what is given, the settings, where to, and whether an earlier one is replaced."""


@dataclass(frozen=True)
class ExportTraits:
    """What the program may know of an export before it is loaded.

    Attributes:
        load: loads the function that writes it.
        reads: what its command takes before the options.
        writes: what ``--out`` names: a folder, or a safetensors file.
        runs: whether the model is run, so that where and how are options.
    """

    load: Callable[[], Write]
    reads: tuple[Literal["spot", "model"], ...] = ("spot",)
    writes: Literal["folder", "file"] = "folder"
    runs: bool = False


EXPORTS: Registry[type[Settings], ExportTraits] = Registry("export", ExportTraits)
"""Exports by the name that the command line gives them."""
