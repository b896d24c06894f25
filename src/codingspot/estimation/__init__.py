"""What a study will take - memory, disk, operations, and time - from the model's configuration and measured speeds."""

from codingspot.estimation.estimate import Estimate, estimate
from codingspot.estimation.footprint import Footprint, measure_footprint
from codingspot.estimation.peaks import MemoryPeak
from codingspot.estimation.speed import Speeds, measure_speeds, slower_than_float32, stage_seconds
from codingspot.estimation.ways import Way

__all__ = [
    "Estimate",
    "Footprint",
    "MemoryPeak",
    "Speeds",
    "Way",
    "estimate",
    "measure_footprint",
    "measure_speeds",
    "slower_than_float32",
    "stage_seconds",
]
