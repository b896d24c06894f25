"""How importance is distributed over a model, and how it changes while the model is fine-tuned.

At each snapshot of a fine-tuning (:attr:`codingspot.importance.FineTune.snapshots`) the scores of all parameters are
reduced to what the tables need, so that neither memory nor disk grows with the number of snapshots times the model:

1. the sum of the magnitudes of every part of every tensor (attention heads, halves of fused matrices);
2. the magnitudes of a seeded sample of the parameters, for rank correlations;
3. the positions of the exact top k percent, for overlaps.

Pairs of snapshots are compared where they differ in one thing: the step, the domain, or the seed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float32, Int64
from scipy.stats import spearmanr
from torch import Tensor

from codingspot.importance.estimators import Estimate
from codingspot.models import ParameterLayout, Part, Structure, describe
from codingspot.spot.overlap import expected_jaccard, jaccard
from codingspot.spot.selection import KeyChunk, count_for, select_top

if TYPE_CHECKING:  # it takes seconds to load
    from transformers import PreTrainedModel

_RUN = 1 << 22
_MOST_SELECTED = 1 << 23  # positions kept a snapshot: 64 MiB


@dataclass(frozen=True)
class Snapshot:
    """Importance at one step of the fine-tuning on one domain.

    ``sample`` are magnitudes at positions that are the same for all snapshots; ``top`` the positions of the largest,
    best first; ``sums`` the sums of the magnitudes of the parts, in the recorder's order.
    """

    domain: str
    step: int
    seed: int
    loss: float | None
    sample: Float32[Tensor, " sampled"]
    top: Int64[Tensor, " selected"]
    sums: tuple[float, ...]


@dataclass
class SnapshotRecorder:
    """Reduces scores to snapshots: hears of them as :func:`codingspot.importance.score` takes them.

    ``k_percents`` are percentages of all the model's parameters; ``seed`` is the fine-tuning's, set anew for each.
    """

    structures: Mapping[str, Structure]
    layout: ParameterLayout
    k_percents: tuple[float, ...]
    sampled: np.ndarray
    seed: int = 0
    snapshots: list[Snapshot] = field(default_factory=list)

    @classmethod
    def of(
        cls,
        model: PreTrainedModel,
        *,
        k_percents: Sequence[float] = (0.01, 0.09, 0.25, 1.0),
        sample: int = 100_000,
        sample_seed: int = 0,
    ) -> SnapshotRecorder:
        """A recorder for ``model``; ``sample`` parameters are drawn by ``sample_seed`` for rank correlations.

        Percentages of more than 2^23 parameters are left out, so that snapshots of large models stay small; the
        smallest is kept.

        Raises:
            SelectionError: k is not above 0 and at most 100.
        """
        layout = ParameterLayout.of(model)
        counts = {k: count_for(k, layout.total) for k in sorted(k_percents)}
        kept = [k for k, count in counts.items() if count <= _MOST_SELECTED] or [min(counts)]
        draw = np.random.default_rng(sample_seed)
        sampled = np.sort(draw.choice(layout.total, min(sample, layout.total), replace=False, shuffle=False))
        return cls(describe(model), layout, tuple(kept), sampled)

    def __call__(self, domain: str, step: int, estimate: Estimate) -> None:
        """Keep a snapshot of the scores."""
        largest = count_for(self.k_percents[-1], self.layout.total)
        self.snapshots.append(
            Snapshot(
                domain,
                step,
                self.seed,
                estimate.loss,
                self._sample(estimate.scores),
                select_top(lambda: self._chunks(estimate.scores), largest).positions,
                tuple(self._sums(estimate.scores)),
            )
        )

    def distribution(self) -> pd.DataFrame:
        """Where importance lies, one row a snapshot and part of a tensor.

        Columns: ``domain``, ``step``, ``seed``, ``tensor``, ``layer``, ``block``, ``kind``, ``head`` (missing where
        none divides it), ``parameters``, ``mean`` magnitude, and ``share`` of the sum over all parameters.
        """
        places = pd.DataFrame([self._place(name, part) for name in self.layout.names for part in self._parts(name)])
        for column in ("layer", "head"):
            places[column] = places[column].astype("Int64")
        tables = []
        for snapshot in self.snapshots:
            sums = np.array(snapshot.sums)
            table = places.assign(mean=sums / places["parameters"], share=sums / sums.sum())
            table.insert(0, "domain", snapshot.domain)
            table.insert(1, "step", snapshot.step)
            table.insert(2, "seed", snapshot.seed)
            tables.append(table)
        return pd.concat(tables, ignore_index=True)

    def evolution(self) -> pd.DataFrame:
        """How far snapshots agree, one row a pair that differs in one thing, and k.

        Columns: ``comparison`` (``steps``, ``domains`` or ``seeds``), ``first_domain``, ``first_step``, ``first_seed``,
        ``second_domain``, ``second_step``, ``second_seed``, ``spearman`` of the sampled magnitudes, ``k_percent``,
        ``jaccard`` of the top k percent, and ``expected_jaccard`` of two random selections as large.
        """
        rows = [row for first, second in combinations(self.snapshots, 2) for row in self._compared(first, second)]
        return pd.DataFrame(rows, columns=_EVOLUTION_COLUMNS)

    def losses(self) -> pd.DataFrame:
        """The domain's loss at every snapshot: ``domain``, ``seed``, ``step``, ``loss`` (nats a token)."""
        return pd.DataFrame(
            [{"domain": s.domain, "seed": s.seed, "step": s.step, "loss": s.loss} for s in self.snapshots]
        )

    def _compared(self, first: Snapshot, second: Snapshot) -> Iterator[dict[str, Any]]:
        comparison = _comparison(first, second)
        if comparison is None:
            return
        correlation = float(spearmanr(first.sample.numpy(), second.sample.numpy()).statistic)
        for k in self.k_percents:
            n = count_for(k, self.layout.total)
            yield {
                "comparison": comparison,
                "first_domain": first.domain,
                "first_step": first.step,
                "first_seed": first.seed,
                "second_domain": second.domain,
                "second_step": second.step,
                "second_seed": second.seed,
                "spearman": correlation,
                "k_percent": k,
                "jaccard": jaccard(first.top[:n], second.top[:n]),
                "expected_jaccard": expected_jaccard(n, n, self.layout.total),
            }

    def _chunks(self, scores: Mapping[str, Tensor]) -> Iterator[KeyChunk]:
        for name in self.layout.names:
            first, flat = self.layout.slice(name).start, scores[name].detach().reshape(-1)
            for start in range(0, len(flat), _RUN):
                yield KeyChunk(name, first + start, flat[start : start + _RUN].abs().float().cpu())

    def _sample(self, scores: Mapping[str, Tensor]) -> Float32[Tensor, " sampled"]:
        bounds = np.searchsorted(self.sampled, self.layout.offsets.numpy())
        parts = []
        for index, name in enumerate(self.layout.names):
            inside = torch.from_numpy(self.sampled[bounds[index] : bounds[index + 1]]) - self.layout.slice(name).start
            flat = scores[name].detach().reshape(-1)
            parts.append(flat[inside.to(flat.device)].abs().float().cpu())
        return torch.cat(parts)

    def _sums(self, scores: Mapping[str, Tensor]) -> Iterator[float]:
        for name in self.layout.names:
            axis = self.structures[name].parts_axis
            for part in self._parts(name):
                tensor = scores[name].detach()
                span = tensor if axis is None else tensor.narrow(axis, part.start, part.stop - part.start)
                yield float(torch.linalg.vector_norm(span, 1, dtype=torch.float64))

    def _parts(self, name: str) -> tuple[Part, ...]:
        """The parts of a tensor; the whole of it where it has none."""
        one = self.structures[name]
        return one.parts or (Part(one.role.kind, None, 0, 0),)

    def _place(self, name: str, part: Part) -> dict[str, Any]:
        one = self.structures[name]
        share = 1.0 if one.parts_axis is None else (part.stop - part.start) / one.shape[one.parts_axis]
        return {
            "tensor": name,
            "layer": one.role.layer,
            "block": one.role.block,
            "kind": part.kind,
            "head": part.head,
            "parameters": round(one.parameters * share),
        }


_EVOLUTION_COLUMNS = [
    "comparison",
    "first_domain",
    "first_step",
    "first_seed",
    "second_domain",
    "second_step",
    "second_seed",
    "spearman",
    "k_percent",
    "jaccard",
    "expected_jaccard",
]


def _comparison(first: Snapshot, second: Snapshot) -> str | None:
    differing = [name for name in ("step", "domain", "seed") if getattr(first, name) != getattr(second, name)]
    return f"{differing[0]}s" if len(differing) == 1 else None
