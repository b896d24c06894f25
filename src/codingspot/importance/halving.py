"""Scores kept in float16, at half the disk: one scale a tensor, which its file's metadata say.

A scale is a power of two, so that nothing is rounded by scaling. It brings a tensor's largest magnitude to between 2^14
and 2^15, below float16's largest number (65,504). What is at least 2^-28 of the largest is then kept to a relative
error of 2^-11, and what is smaller than that to an absolute one of 2^-39 of the largest.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
from jaxtyping import Float16, Float32
from pydantic import AfterValidator, Field, RootModel
from torch import Tensor

from codingspot.errors import ArtefactError
from codingspot.files import atomic_path
from codingspot.importance.manifest import ScoreDtype
from codingspot.records import parse_model
from codingspot.tensor_files import Form, Place, metadata, places, write_tensors

FORMS: dict[ScoreDtype, str] = {"float32": "F32", "float16": "F16"}
"""Types of scores as safetensors name them."""

_SCALES = "scales"
_LARGEST, _LEAST = 15, -126  # as exponents: of a scaled score, and of a scale that float32 holds in full precision
_CLOSE = 2.0**_LARGEST - 2**4  # the next below 2^15, which times the largest scale would be beyond float32


def _power_of_two(scale: float) -> float:
    if math.frexp(scale)[0] != 0.5:
        raise ValueError(f"{scale} is no power of two")
    return scale


_Scale = Annotated[float, Field(ge=2.0**_LEAST, le=2.0 ** (128 - _LARGEST)), AfterValidator(_power_of_two)]


class _Scales(RootModel[dict[str, _Scale]]):
    """By tensor, what its float16 numbers are multiplied by."""


@dataclass(frozen=True)
class KeptScores:
    """The scores of one tensor in a file, float32 or float16 times ``scale``."""

    path: Path
    place: Place
    scale: float = 1.0

    def read(self, start: int, stop: int) -> Float32[Tensor, " n"]:
        """Those from ``start`` to ``stop`` of the flattened tensor.

        Raises:
            ArtefactError: the file was removed or cut.
        """
        kept = np.dtype("<f2" if self.place.dtype == FORMS["float16"] else "<f4")
        try:
            values = np.fromfile(self.path, kept, stop - start, offset=self.place.start + kept.itemsize * start)
        except OSError as error:
            raise ArtefactError(f"{self.path} can't be read ({error.strerror}); score again") from None
        if len(values) != stop - start:
            raise ArtefactError(f"{self.path} is truncated; score again")
        scores = torch.from_numpy(values).to(torch.float32)
        return scores if self.scale == 1 else scores.mul_(self.scale)


def kept_scores(path: Path) -> dict[str, KeptScores]:
    """The scores of every tensor of a file that was found whole.

    Raises:
        ArtefactError: a tensor is in float16 and has no scale, or what it has is none.
    """
    about = metadata(path)
    scales = parse_model(
        about.get(_SCALES, "{}"), _Scales, f"{path}: its scales", what="those of scores", way_out="score again"
    ).root
    found = {name: KeptScores(path, place, scales.get(name, 1.0)) for name, place in places(path).items()}
    bare = next((name for name, each in found.items() if each.place.dtype == "F16" and name not in scales), None)
    if bare is not None:
        raise ArtefactError(f"{path} holds {bare} in float16 without its scale; score again")
    return found


def halve(path: Path) -> None:
    """Write a file of float32 scores anew in float16, one tensor in memory at a time; one in float16 stays."""
    found = kept_scores(path)
    if all(each.place.dtype == FORMS["float16"] for each in found.values()):
        return
    scales = {name: _scale(_whole(each)) for name, each in found.items()}
    forms = {name: Form(FORMS["float16"], each.place.shape, each.place.size // 2) for name, each in found.items()}

    def halved() -> Iterator[Float16[Tensor, " n"]]:
        for name, each in found.items():
            yield _whole(each).div_(scales[name]).clamp_(-_CLOSE, _CLOSE).to(torch.float16)

    with atomic_path(path) as temporary:
        write_tensors(temporary, forms, halved(), {_SCALES: json.dumps(scales)})


def _whole(scores: KeptScores) -> Float32[Tensor, " n"]:
    return scores.read(0, math.prod(scores.place.shape))


def _scale(scores: Float32[Tensor, " n"]) -> float:
    """The power of two that brings the largest magnitude to below 2^15."""
    largest = float(torch.linalg.vector_norm(scores, math.inf)) if len(scores) else 0.0
    return 2.0 ** max(_LEAST, math.frexp(largest)[1] - _LARGEST)
