"""A spot: selected parameters in one order, so that every smaller k is a prefix; and finding one in a score store."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, get_args

import numpy as np
import torch
from jaxtyping import Float32, Int64
from pydantic import Field
from safetensors import SafetensorError, safe_open
from torch import Tensor

from codingspot.errors import ArtefactError, FingerprintError, SelectionError
from codingspot.escaping import visible
from codingspot.extras import optional_packages
from codingspot.files import parse_json, reason
from codingspot.importance.manifest import CorpusRecord, EstimatorRecord, ModelRecord
from codingspot.models import ParameterLayout, UnitKind
from codingspot.models.hub import fetch, push
from codingspot.outputs import new_file
from codingspot.records import Count, Record, parse_model
from codingspot.spot.selection import count_for
from codingspot.spot.whole_units import WholeUnits
from codingspot.tensor_files import Form, is_of, write_tensors

if TYPE_CHECKING:  # they take seconds to load
    import pandas as pd
    from matplotlib.axes import Axes
    from transformers import PreTrainedModel

    from codingspot.models import LoadedModel

_FORMAT = "codingspot-spot"
_AGAIN = "find the spot again"
_ON_THE_HUB = "spot.safetensors"


class NamedRecord(Record):
    """A method and its settings."""

    name: str


class CombinationRecord(Record):
    """How two spots were combined."""

    operation: str


class SpotRecord(Record):
    """What the program reads again of a spot's metadata; a spot made by hand has none of it."""

    model: ModelRecord | None = None
    corpus: CorpusRecord | None = None
    estimator: EstimatorRecord | None = None
    recipe: NamedRecord | None = None
    scope: str | None = None
    scope_parameters: Count | None = None
    k_percent: float | None = Field(None, gt=0, le=100)
    per_tensor: bool | None = None
    left_out: Count | None = None
    control: NamedRecord | None = None
    combination: CombinationRecord | None = None


@dataclass(frozen=True, eq=False)
class Spot:
    """Parameters of a model in one order, best first, with the key each was ordered by.

    A position is an index into the model's parameters as ``layout`` puts them end to end. ``metadata`` says what the
    spot was made from. Of a spot of whole units, ``units`` says which they are, in the spot's order.
    """

    positions: Int64[Tensor, " n"]
    scores: Float32[Tensor, " n"]
    layout: ParameterLayout
    metadata: Mapping[str, Any] = field(default_factory=dict)
    units: WholeUnits | None = None

    def __len__(self) -> int:
        return len(self.positions)

    def __repr__(self) -> str:
        recipe, control = (self.metadata.get(key) or {} for key in ("recipe", "control"))
        k = 100 * len(self) / self.layout.total if self.layout.total else 0.0
        how = {
            "recipe": recipe.get("name"),
            "combination": (self.metadata.get("combination") or {}).get("operation"),
            "control": control.get("name"),
            "scope": self.metadata.get("scope"),
        }
        parts = [f"{len(self):,} parameters", *(f"{key} {value}" for key, value in how.items() if value)]
        return visible(f"<Spot: {', '.join(parts)}, k = {k:.4g}%>", keep="")

    def _repr_html_(self) -> str:
        from codingspot.spot.frames import spot_html

        return spot_html(self)

    def __and__(self, other: Spot) -> Spot:
        """What both select, in this one's order; see :func:`codingspot.spot.combining.combine`."""
        from codingspot.spot.combining import INTERSECTION, combine

        return combine(INTERSECTION, self, other) if isinstance(other, Spot) else NotImplemented

    def __or__(self, other: Spot) -> Spot:
        """What either selects, the best of both in turn; see :func:`codingspot.spot.combining.combine`."""
        from codingspot.spot.combining import UNION, combine

        return combine(UNION, self, other) if isinstance(other, Spot) else NotImplemented

    def __sub__(self, other: Spot) -> Spot:
        """What this one selects and the other doesn't; see :func:`codingspot.spot.combining.combine`."""
        from codingspot.spot.combining import DIFFERENCE, combine

        return combine(DIFFERENCE, self, other) if isinstance(other, Spot) else NotImplemented

    def frame(self, model: PreTrainedModel | LoadedModel | None = None) -> pd.DataFrame:
        """Its parameters by tensor and, where the model is given, head; :func:`codingspot.spot.frames.spot_frame`."""
        from codingspot.spot.frames import spot_frame

        return spot_frame(self, model)

    def unit_frame(self, model: PreTrainedModel | LoadedModel, kind: UnitKind | None = None) -> pd.DataFrame:
        """What it has of whole units; :func:`codingspot.spot.frames.unit_frame`."""
        from codingspot.spot.frames import unit_frame

        return unit_frame(self, model, kind)

    def plot(self, ax: Axes | None = None) -> Axes:
        """Where it lies, by layer and module, drawn with matplotlib; :func:`codingspot.report.spot_plot.plot_spot`."""
        with optional_packages():
            from codingspot.report.spot_plot import plot_spot

            return plot_spot(self, ax)

    @property
    def fingerprint(self) -> str | None:
        """Fingerprint of the weights the spot was found in; None for a spot made by hand."""
        return (self.metadata.get("model") or {}).get("fingerprint")

    def count(self, k_percent: float) -> int:
        """How many parameters k percent of all the model's parameters are.

        Raises:
            SelectionError: k is not above 0 and at most 100.
        """
        return count_for(k_percent, self.layout.total)

    def top(self, k_percent: float) -> Spot:
        """The first k percent (of all the model's parameters) of the spot; of units, rounded down to whole ones.

        Raises:
            SelectionError: k is not above 0 and at most 100, the spot was found at a smaller k, or k is less than the
                spot's first unit.
        """
        n = self.count(k_percent)
        if n > self._reach:
            largest = 100 * len(self) / self.layout.total
            raise SelectionError(f"k = {k_percent}% exceeds the spot's own {largest:.4g}%; find it with a larger k")
        found = self.prefix(n)
        if not len(found):
            raise SelectionError(
                f"k = {k_percent}% is {n:,} parameters, fewer than the first of the spot's units has; raise k"
            )
        return found

    def prefix(self, parameters: int) -> Spot:
        """The first so many parameters: fewer where they would cut through one of the spot's units."""
        units = None if self.units is None else self.units.within(parameters)
        n = parameters if units is None else units.parameters
        return replace(self, positions=self.positions[:n], scores=self.scores[:n], units=units)

    @property
    def _reach(self) -> int:
        """The most parameters that may be asked for: of units and their controls, what was rounded down."""
        asked = self.metadata.get("k_percent") if self.metadata.get("units") else None
        return len(self) if asked is None else max(len(self), self.count(asked))

    def grouped(self) -> dict[str, Int64[Tensor, " _"]]:
        """For each tensor the spot touches, offsets into the flattened tensor, best first."""
        return {name: located.offsets for name, located in self.layout.locate(self.positions).items()}

    def check_model(self, fingerprint: str) -> None:
        """Make sure that the spot was found in the weights with this fingerprint.

        Raises:
            FingerprintError: it was found in others.
        """
        if self.fingerprint is not None and self.fingerprint != fingerprint:
            raise FingerprintError(
                f"the spot was found in other weights ({self.fingerprint[:12]}, not {fingerprint[:12]}); load that "
                "model or find the spot again"
            )

    def save(self, path: str | Path, *, force: bool = False) -> None:
        """Write the spot as one safetensors file, atomically; ``force`` replaces a spot that is there.

        Raises:
            OutputError: something else is there, or a spot and not ``force``.
        """
        header = {
            "format": _FORMAT,
            "layout": json.dumps(self.layout.to_json()),
            "metadata": json.dumps(dict(self.metadata)),
        }
        tensors = {"positions": self.positions}
        if self.units is not None:
            header["units"] = self.units.kind
            tensors |= {"unit_numbers": self.units.numbers, "unit_sizes": self.units.sizes}
        tensors["scores"] = self.scores  # last, so that those of 8 bytes begin at multiples of 8
        with new_file(Path(path), is_spot, force=force) as temporary:
            # The library's own writer puts metadata in another order each time: equal spots are to be equal files.
            write_tensors(temporary, {name: _form(each) for name, each in tensors.items()}, tensors.values(), header)

    @classmethod
    def load(cls, path: str | Path) -> Spot:
        """Read a spot written by :meth:`save`.

        Raises:
            ArtefactError: the file is missing, truncated, corrupt, or holds something else.
        """
        if Path(path).is_dir():
            raise ArtefactError(f"{path} is a folder, not a spot; give a file made by 'codingspot spot'")
        try:
            with safe_open(path, framework="pt") as file:
                header = file.metadata() or {}
                if header.get("format") != _FORMAT:
                    raise ArtefactError(f"{path} is not a spot; give a file made by 'codingspot spot'")
                positions, scores = (file.get_tensor(name) for name in ("positions", "scores"))
                units = _read_units(file, header)
        except FileNotFoundError:
            raise ArtefactError(f"{path} does not exist; find the spot first, or correct the path") from None
        except (OSError, SafetensorError) as error:
            raise ArtefactError(f"{path} is truncated or corrupt ({reason(error)}); {_AGAIN}") from None
        fault = _fault(positions, scores) or _unit_fault(positions, units)
        if fault is not None:
            raise ArtefactError(f"{path} is corrupt ({fault}); {_AGAIN}")
        layout = ParameterLayout.from_json(parse_json(header.get("layout", ""), f"{path}: its layout"), str(path))
        if len(positions) and not 0 <= int(positions.min()) <= int(positions.max()) < layout.total:
            raise ArtefactError(f"{path} has a position outside the model's {layout.total} parameters; {_AGAIN}")
        text = header.get("metadata", "")
        parse_model(text, SpotRecord, f"{path}: its metadata", what="what a spot's are", way_out=_AGAIN)
        return cls(positions, scores, layout, json.loads(text), units)

    def push_to_hub(self, repository: str, *, private: bool = False) -> str:
        """Upload the spot to a model repository on the Hugging Face Hub as ``spot.safetensors``; returns its address.

        Raises:
            OutputError: it can't be uploaded: no such namespace, not logged in, or no network.
        """
        with TemporaryDirectory() as folder:
            self.save(Path(folder) / _ON_THE_HUB)
            return push(
                Path(folder), repository, private=private, way_out="log in with 'hf auth login' and push it again"
            )

    @classmethod
    def from_hub(cls, repository: str, *, file: str = _ON_THE_HUB, revision: str | None = None) -> Spot:
        """Read a spot from a model repository on the Hugging Face Hub.

        Raises:
            ArtefactError: it can't be downloaded, or is no spot (:meth:`load`).
        """
        return cls.load(fetch(repository, file, revision))


def _read_units(file: Any, header: Mapping[str, str]) -> WholeUnits | None:
    if "units" not in header:
        return None
    kind: Any = header["units"]
    return WholeUnits(kind, file.get_tensor("unit_numbers"), file.get_tensor("unit_sizes"))


def _unit_fault(positions: Tensor, units: WholeUnits | None) -> str | None:
    """Why these are not the units of a spot; None where they are, or where it has none."""
    if units is None:
        return None
    if units.kind not in get_args(UnitKind):
        return f"its units are {units.kind!r}, none of {', '.join(get_args(UnitKind))}"
    numbers, sizes = units.numbers, units.sizes
    if numbers.dtype != torch.int64 or sizes.dtype != torch.int64 or numbers.dim() != 1 or numbers.shape != sizes.shape:
        return "the numbers and sizes of its units don't match as int64 [units]"
    if len(numbers) and (int(numbers.min()) < 0 or int(sizes.min()) < 1 or len(torch.unique(numbers)) < len(numbers)):
        return "a unit has a negative number, no weights, or is there twice"
    return None if units.parameters == len(positions) else "its units don't have as many weights as it has positions"


def _fault(positions: Tensor, scores: Tensor) -> str | None:
    """Why these are not the positions and scores of a spot; None where they are."""
    if positions.dtype != torch.int64 or scores.dtype != torch.float32:
        return f"positions are {positions.dtype} and scores {scores.dtype}, not torch.int64 and torch.float32"
    if positions.dim() != 1 or positions.shape != scores.shape:
        return f"positions {list(positions.shape)} and scores {list(scores.shape)} don't match as [n] and [n]"
    ordered = np.sort(positions.numpy())  # torch would sort as many indices beside them
    if bool((ordered[1:] == ordered[:-1]).any()):
        return "a position is there twice"
    return "a score is not a number" if bool(scores.isnan().any()) else None


def _form(tensor: Tensor) -> Form:
    return Form({torch.int64: "I64", torch.float32: "F32"}[tensor.dtype], tuple(tensor.shape), tensor.nbytes)


def is_spot(path: Path) -> bool:
    """Whether the file was written by :meth:`Spot.save`."""
    return is_of(path, _FORMAT)
