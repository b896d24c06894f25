"""The memory that each stage takes at its peak, part by part; bytes, as tensors hold them.

What Python and the libraries take themselves (about half a gigabyte) is not counted, nor what an allocator keeps of
freed memory: on a CPU glibc may hold a quarter more than is in use.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from codingspot.estimation.footprint import Footprint
from codingspot.importance.finetune import FineTune
from codingspot.learning.mask import learning_memory

_RUN = 1 << 19  # parameters that selection reads at once
_GATHERED_BYTES = 12  # a selected parameter's position and key
_SORTED_BYTES = 38  # the same while they are put in order, which is when nothing is read any more


@dataclass(frozen=True)
class MemoryPeak:
    """The largest memory of a stage: where, and what it is made of.

    ``place`` is ``device`` (where the weights are) or ``host``; on a CPU both are the same memory.
    """

    stage: str
    place: str
    parts: Mapping[str, int]

    @property
    def total(self) -> int:
        """All parts together."""
        return sum(self.parts.values())


def scoring_peak(model: Footprint) -> MemoryPeak:
    """Weights, one float32 accumulator a parameter, and a micro-batch's activations and largest gradient."""
    return MemoryPeak(
        "scoring",
        "device",
        {
            "weights": model.weight_bytes,
            "accumulators": 4 * model.parameters,
            "activations and gradient": model.pass_bytes,
        },
    )


def finetuning_peaks(
    model: Footprint, step: Footprint, finetune: FineTune, optimizer_state: int
) -> tuple[MemoryPeak, MemoryPeak]:
    """Fine-tuning before scoring, on the device and on the host, which keeps a copy of the weights.

    ``step`` is the footprint of one step. Weights of half precision are updated in float32, one tensor at a time.
    Snapshots are scored while the optimizer's state is there.
    """
    exact = model.weight_bytes == 4 * model.parameters
    update = model.largest_tensor * (0 if exact else 12)
    scored = 4 * model.parameters + model.pass_bytes if finetune.snapshots else 0
    device = {
        "weights": model.weight_bytes,
        "optimizer": optimizer_state,
        "activations and gradient": max(step.pass_bytes + update, scored),
    }
    return (
        MemoryPeak("fine-tuning", "device", device),
        MemoryPeak("fine-tuning", "host", {"copy of the weights": model.weight_bytes}),
    )


def learning_peak(model: Footprint, batch: Footprint, shortlisted: int) -> MemoryPeak:
    """A learned mask: weights, what is kept of every shortlisted parameter, and a batch's activations and gradient."""
    bytes_a_weight = model.weight_bytes // model.parameters
    return MemoryPeak(
        "learned mask",
        "device",
        {
            "weights": model.weight_bytes,
            "shortlist": learning_memory(shortlisted, 0, bytes_a_weight),
            "activations and gradient": batch.pass_bytes,
        },
    )


def reading_peak(model: Footprint, with_probabilities: int) -> MemoryPeak:
    """Scores of units: weights, and at most what scoring a micro-batch takes, which has gradients of weights too.

    Or, where that is more, what the passes that hold attention probabilities take.
    """
    parts = {"weights": model.weight_bytes, "activations and gradient": max(model.pass_bytes, with_probabilities)}
    return MemoryPeak("unit scores", "device", parts)


def selection_peak(selected: int, domains: int, largest_tensor: int, *, ranked: bool) -> MemoryPeak:
    """Selecting from a store on disk: a run of every domain's scores, and the selected positions and keys.

    ``ranked`` recipes (consensus) keep each domain's best keys as well, as many as are selected or a few times more.
    """
    read = 4 * min(_RUN, largest_tensor) * (2 * domains + 2)
    return MemoryPeak(
        "selection",
        "host",
        {
            "scores read at once": read,
            "selected": max(_GATHERED_BYTES * selected, _SORTED_BYTES * selected - read),
            **({"best of each language": 4 * selected * domains} if ranked else {}),
        },
    )
