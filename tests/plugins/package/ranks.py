"""An export: how many of a spot's parameters are in each tensor, as a text file in a folder."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from codingspot.export import EXPORTS, Exported, ExportTraits, Given, SpotSettings
from codingspot.outputs import new_folder
from codingspot.spot import Spot, density


def write(given: Given, settings: RanksExport, directory: Path, force: bool) -> Exported:
    """The command."""
    spot = settings.chosen(Spot.load(given.spot))
    table = density(spot).nlargest(settings.tensors, "selected")
    with new_folder(directory, "codingspot-ranks", inputs=[given.spot], force=force) as folder:
        (folder / "ranks.txt").write_text("\n".join(table["tensor"]) + "\n")
    return Exported((f"{len(table)} tensors: {directory}",), {"tensors": table["tensor"].tolist()})


@EXPORTS.register("ranks", traits=ExportTraits(lambda: write))
class RanksExport(SpotSettings):
    """List the tensors that a spot has most of."""

    tensors: int = Field(3, gt=0, description="how many are listed")
