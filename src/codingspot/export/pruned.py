"""A pruned checkpoint: the weights that matter least at zero, those of a spot last of all, or first.

1. A weight's key is its magnitude or, where scores are given, the sum of its scores' magnitudes over their domains
   (Wanda's |w| times the norm of its input, where they were made by it).
2. Protected weights have the largest keys of all: they go where there is nothing else left.
3. Of each group of weights (an output's, a whole matrix, or every few inputs of an output that stand together) those of
   the smallest keys become 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from codingspot.errors import ArtefactError, FingerprintError, SelectionError, StudyError
from codingspot.export.card import reduced_card
from codingspot.export.checkpoint import Checkpoint
from codingspot.export.export import Exported, Given, not_empty
from codingspot.export.kinds import PrunedExport
from codingspot.export.rewriting import copy_weights, rewrite
from codingspot.export.writing import Made, made_of, write_checkpoint
from codingspot.importance import ScoreStore
from codingspot.models import SCOPES, describe, input_places
from codingspot.models.section import ModelSection
from codingspot.outputs import check_folder
from codingspot.spot import Spot


def write(given: Given, settings: PrunedExport, directory: Path, force: bool) -> Exported:
    """The command."""
    assert given.model is not None
    inputs = input_places(given.model.id, settings.scores, settings.protect)
    check_folder(directory, inputs=inputs, force=force)
    return export_pruned(given.model, directory, settings, force=force)


def export_pruned(
    model: ModelSection | str | Path,
    directory: str | Path,
    settings: PrunedExport | None = None,
    *,
    force: bool = False,
) -> Exported:
    """Write the checkpoint of a model, pruned; see :class:`PrunedExport`.

    Raises:
        StudyError: a sparsity is given beside a pattern that has its own, the rest is protected of no spot, or the
            scope is unknown.
        FingerprintError: the scores or the spot were made from other weights.
        SelectionError: the scope holds no matrix, the spot is empty, or a pattern doesn't divide its inputs.
        ModelError: the model is not found.
        OutputError: something is there already, or it can't be uploaded.
    """
    settings = settings or PrunedExport()
    if settings.sparsity is not None and settings.pattern != "unstructured":
        raise StudyError(f"--sparsity is given beside --pattern {settings.pattern}, which has its own; give one")
    if settings.protect_rest and settings.protect is None:
        raise StudyError("--protect-rest is of a spot; name it with --protect")

    def make(checkpoint: Checkpoint, folder: Path) -> Made:
        pruning = _Pruning.of(checkpoint, settings)
        digests = copy_weights(checkpoint, folder)
        rewrite(checkpoint, folder, pruning.input_axes, pruning, undone=False)
        record = {
            **made_of(checkpoint, pruning.spot),
            "weights": digests,
            "settings": settings.model_dump(mode="json", exclude={"push", "private"}),
            "scores": None if pruning.scores is None else pruning.scores.manifest.get("estimator"),
            "matrices": {
                "weights": sum(checkpoint.layout.sizes[name] for name in pruning.input_axes),
                "zeros": sum(pruning.zeros.values()),
                "protected_zeros": sum(pruning.protected_zeros.values()),
            },
        }
        lines = _said(record)
        return Made(lines, record, reduced_card(record, "made sparse", lines))

    return write_checkpoint(model, directory, make, settings, inputs=[settings.scores, settings.protect], force=force)


def _said(record: Mapping[str, Any]) -> tuple[str, ...]:
    found, settings = record["matrices"], record["settings"]
    by = "magnitudes" if record["scores"] is None else f"scores ({record['scores'].get('name')})"
    how = settings["pattern"] if settings["pattern"] != "unstructured" else f"of each {settings['within']}"
    share = found["zeros"] / found["weights"]
    lines = [f"{found['zeros']:,} of {found['weights']:,} weights are 0 ({share:.1%}), {how}, the least by {by}."]
    if settings["protect"] is not None:
        what = "all but a spot" if settings["protect_rest"] else "a spot"
        lines.append(f"Protected was {what}: {found['protected_zeros']:,} of its weights are 0 all the same.")
    return tuple(lines)


@dataclass(frozen=True, eq=False)
class _Pruning:
    """What is pruned, matrix by matrix.

    Attributes:
        spot: the one that is protected, or everything but it; empty where none is.
        offsets: its, in each tensor.
        input_axes: of every matrix that is pruned.
        zeros: how many weights of each are 0.
        protected_zeros: of them, those that are protected.
    """

    settings: PrunedExport
    spot: Spot
    offsets: Mapping[str, Int64[Tensor, " n"]]
    scores: ScoreStore | None
    input_axes: Mapping[str, int]
    zeros: dict[str, int]
    protected_zeros: dict[str, int]

    @classmethod
    def of(cls, checkpoint: Checkpoint, settings: PrunedExport) -> _Pruning:
        """That of the settings, checked before anything is read of the weights."""
        inside = SCOPES[settings.scope]
        none = torch.empty(0, dtype=torch.int64)
        spot = Spot(none, none.float(), checkpoint.layout)
        if settings.protect is not None:
            spot = not_empty(Spot.load(settings.protect))
            checkpoint.check_spot(spot)
        store = None if settings.scores is None else _scores(checkpoint, settings.scores)
        axes = {
            name: one.input_axis
            for name, one in describe(checkpoint.model).items()
            if inside(one.role) and one.input_axis is not None and one.output_axis is not None
            if one.role.kind != "router" and len(one.shape) > 1
        }
        if not axes:
            raise SelectionError(f"scope {settings.scope!r} holds no matrix; choose another --scope")
        of = _group(settings)
        for name, axis in axes.items():
            inputs = checkpoint.layout.shape(name)[axis]
            if of and inputs % of:
                raise SelectionError(
                    f"{name} has {inputs} inputs, which {settings.pattern} doesn't divide; prune it unstructured"
                )
        return cls(settings, spot, spot.grouped(), store, axes, {}, {})

    def __call__(self, name: str, tensor: Tensor) -> Tensor:
        """A matrix with its least weights at 0."""
        keys = tensor.float().abs() if self.scores is None else _summed(self.scores, name)
        protected = torch.zeros(tensor.numel(), dtype=torch.bool)
        if self.settings.protect is not None:
            protected[self.offsets.get(name, torch.empty(0, dtype=torch.int64))] = True
            protected ^= self.settings.protect_rest
        protected = protected.view(tensor.shape)
        keys = keys.double() + protected * (keys.max().double() + 1)
        axis = self.input_axes[name]
        rows = keys.movedim(axis, -1)
        gone = _least(rows.reshape(-1, _width(rows, self.settings)), self.settings)
        gone = gone.reshape(rows.shape).movedim(-1, axis)
        self.zeros[name] = int((gone | (tensor == 0)).sum())
        self.protected_zeros[name] = int((gone & protected).sum())
        return tensor.masked_fill(gone, 0)


def _scores(checkpoint: Checkpoint, folder: str) -> ScoreStore:
    store = ScoreStore.open(folder)
    made = (store.manifest.get("model") or {}).get("fingerprint")
    if store.layout != checkpoint.layout or (made is not None and not checkpoint.has(made)):
        raise FingerprintError(f"the scores in {folder} are of other weights; score {checkpoint.found.id}")
    if not store.scored:
        raise ArtefactError(f"{folder} holds no scores; score the model again")
    return store


def _summed(store: ScoreStore, name: str) -> Float[Tensor, " ..."]:
    """The sum of the magnitudes of a parameter's scores over domains."""
    found = torch.zeros(store.layout.shape(name))
    for domain in store.domains:
        found += store.tensor(domain.name, name).abs()
    return found


def _group(settings: PrunedExport) -> int:
    """Inputs that a pattern is of; 0 where there is none."""
    return 0 if settings.pattern == "unstructured" else int(settings.pattern.partition(":")[2])


def _width(rows: Tensor, settings: PrunedExport) -> int:
    """Weights that are compared with one another."""
    return _group(settings) or (rows.shape[-1] if settings.within == "row" else rows.numel())


def _least(keys: Float[Tensor, "groups width"], settings: PrunedExport) -> Tensor:
    """True at the smallest of each group, as many as the sparsity says."""
    width = keys.shape[1]
    kept = int(settings.pattern.partition(":")[0]) if _group(settings) else None
    gone = width - kept if kept is not None else round((settings.sparsity or 0.5) * width)
    least = keys.argsort(dim=1, stable=True)[:, :gone]
    return torch.zeros(keys.shape, dtype=torch.bool).scatter_(1, least, True)
