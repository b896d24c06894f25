"""What is taken away from a spot: edited and smaller checkpoints, adapters' places, masks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from codingspot.export.export import EXPORTS as EXPORTS
from codingspot.export.kinds import DistilledExport as DistilledExport
from codingspot.export.kinds import LoraExport as LoraExport
from codingspot.export.kinds import MaskExport as MaskExport
from codingspot.export.kinds import ModelExport as ModelExport
from codingspot.export.kinds import PrunedExport as PrunedExport
from codingspot.export.kinds import SmallerExport as SmallerExport
from codingspot.lazy import load_lazily

if TYPE_CHECKING:
    from codingspot.export.distilled import export_distilled
    from codingspot.export.export import Exported, ExportTraits, Given, SpotSettings
    from codingspot.export.finetuning import SpotTraining, masked_gradients
    from codingspot.export.lora import LoraPlacement, export_lora, place_lora
    from codingspot.export.mask import export_mask
    from codingspot.export.model import export_model
    from codingspot.export.pruned import export_pruned
    from codingspot.export.smaller import export_smaller
    from codingspot.export.undo import undo_export

__all__ = [
    "EXPORTS",
    "DistilledExport",
    "ExportTraits",
    "Exported",
    "Given",
    "LoraExport",
    "LoraPlacement",
    "MaskExport",
    "ModelExport",
    "PrunedExport",
    "SmallerExport",
    "SpotSettings",
    "SpotTraining",
    "export_distilled",
    "export_lora",
    "export_mask",
    "export_model",
    "export_pruned",
    "export_smaller",
    "masked_gradients",
    "place_lora",
    "undo_export",
]

load_lazily(__name__)
