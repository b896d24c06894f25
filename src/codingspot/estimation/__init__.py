"""What a study will take - memory, disk, floating-point operations - from the model's configuration alone."""

from codingspot.estimation.estimate import Estimate, estimate
from codingspot.estimation.footprint import Footprint, measure_footprint
from codingspot.estimation.peaks import MemoryPeak

__all__ = ["Estimate", "Footprint", "MemoryPeak", "estimate", "measure_footprint"]
