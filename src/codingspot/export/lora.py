"""Where a budget of LoRA parameters goes: ranks in proportion to how dense the spot is in each module.

1. Every linear layer in the scope is a candidate. Its weight is the share of its matrix that the spot selects; turned
   round for the placement ``inverse`` (the densest gets the weight of the least dense, and so on), the same for all in
   ``uniform``. With ``top_modules`` only those of the largest weights stay.
2. A module of rank r costs r times (inputs + outputs). Ranks are the largest multiple of the weights, rounded down and
   at most the matrix's own rank, that the budget pays for; what is left over buys single ranks, first where most was
   rounded off.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import floor
from pathlib import Path
from typing import Any

from codingspot.errors import SelectionError
from codingspot.export.export import FOLDER, Exported, Given
from codingspot.export.kinds import LoraExport
from codingspot.files import write_json
from codingspot.models import SCOPES, role_of
from codingspot.outputs import check_folder, new_folder
from codingspot.provenance import library_versions
from codingspot.report.labels import plural
from codingspot.spot import Spot, density

CONFIG, PROVENANCE = "adapter_config.json", "provenance.json"


@dataclass(frozen=True)
class Module:
    """A linear layer: its name, the shape of its matrix, and the share of it that the spot selects."""

    name: str
    shape: tuple[int, int]
    density: float

    @property
    def cost(self) -> int:
        """Trainable parameters of one rank."""
        return sum(self.shape)


@dataclass(frozen=True)
class LoraPlacement:
    """Ranks by module.

    Attributes:
        ranks: of each module that gets an adapter.
        trainable: parameters of all adapters.
        budget: how many there might have been.
        alpha: ``lora_alpha`` over rank, the same for all, so that updates of every rank are scaled alike.
        dropout: of the adapters' inputs.
        model: id of the model that the spot was found in.
    """

    ranks: Mapping[str, int]
    trainable: int
    budget: int
    alpha: float
    dropout: float
    model: str | None

    def config(self) -> dict[str, Any]:
        """What ``adapter_config.json`` holds: a ``peft.LoraConfig`` takes it as it is."""
        usual = Counter(self.ranks.values()).most_common(1)[0][0]
        return {
            "peft_type": "LORA",
            "task_type": "CAUSAL_LM",
            "base_model_name_or_path": self.model,
            "inference_mode": False,
            "target_modules": list(self.ranks),
            "r": usual,
            "lora_alpha": self.alpha * usual,
            "lora_dropout": self.dropout,
            "bias": "none",
            "rank_pattern": dict(self.ranks),
            "alpha_pattern": {name: self.alpha * rank for name, rank in self.ranks.items()},
        }


def write(given: Given, settings: LoraExport, directory: Path, force: bool) -> Exported:
    """The command."""
    assert given.spot is not None
    check_folder(directory, inputs=[given.spot], force=force)
    return export_lora(Spot.load(given.spot), directory, settings, force=force)


def export_lora(
    spot: Spot, directory: str | Path, settings: LoraExport | None = None, *, force: bool = False
) -> Exported:
    """Write the configuration of LoRA adapters placed by a spot as a folder that peft reads; see :class:`LoraExport`.

    Raises:
        SelectionError: as :func:`place_lora`.
        OutputError: something is there already.
    """
    settings = settings or LoraExport()
    placed = place_lora(spot, settings)
    record = {
        "spot": dict(spot.metadata),
        "settings": settings.model_dump(mode="json"),
        "trainable": placed.trainable,
        "ranks": dict(placed.ranks),
        "versions": library_versions(),
    }
    with new_folder(Path(directory), FOLDER, force=force) as folder:
        write_json(folder / CONFIG, placed.config())
        write_json(folder / PROVENANCE, record)
    ranks = sorted(placed.ranks.values())
    line = (
        f"{placed.trainable:,} trainable parameters of a budget of {placed.budget:,} in "
        f"{plural(len(ranks), 'module')}, ranks {ranks[0]} to {ranks[-1]}: {directory}"
    )
    return Exported((line,), {"directory": str(directory), "budget": placed.budget, **record})


def place_lora(spot: Spot, settings: LoraExport | None = None) -> LoraPlacement:
    """Ranks for the modules of the model that a spot was found in.

    Raises:
        SelectionError: the spot has weights in the scope that no adapter reaches (a norm, fused experts), none that
            one does, or the budget is below rank 1.
        StudyError: the scope is unknown.
    """
    settings = settings or LoraExport()
    chosen = settings.chosen(spot)
    every = modules = _modules(chosen, settings.scope)
    weights = _weights([module.density for module in modules], settings.placement)
    if settings.top_modules is not None:
        best = sorted(range(len(modules)), key=lambda index: -weights[index])[: settings.top_modules]
        modules, weights = [modules[index] for index in sorted(best)], [weights[index] for index in sorted(best)]
    budget = settings.budget or settings.rank * sum(module.cost for module in every)
    ranks = _ranks(modules, weights, budget)
    paid = {module.name: rank for module, rank in zip(modules, ranks, strict=True) if rank}
    trainable = sum(module.cost * rank for module, rank in zip(modules, ranks, strict=True))
    model = (spot.metadata.get("model") or {}).get("id")
    return LoraPlacement(paid, trainable, budget, settings.alpha, settings.dropout, model)


def _modules(spot: Spot, scope: str) -> list[Module]:
    inside = SCOPES[scope]
    found, unreached = [], None
    shares = density(spot).set_index("tensor")["density"]
    for name in spot.layout.names:
        role, share = role_of(name), float(shares[name])
        if not inside(role) or name.endswith(".bias"):
            continue
        shape = spot.layout.shape(name)
        if name.endswith(".weight") and len(shape) == 2 and role.kind != "router":
            found.append(Module(name.removesuffix(".weight"), (shape[0], shape[1]), share))
        elif share:
            unreached = unreached or (name, shape)
    if unreached is not None:
        name, shape = unreached
        what = "fused experts" if len(shape) == 3 else "no linear layer"
        raise SelectionError(
            f"the spot has weights in {name}, which is {what}: peft adapts linear layers by name; choose a scope "
            "without it, such as --scope attention"
        )
    if not any(module.density for module in found):
        raise SelectionError(
            f"the spot has no weights in a linear layer of scope {scope!r}; choose another --scope or spot"
        )
    return found


def _weights(densities: Sequence[float], placement: str) -> list[float]:
    if placement == "density":
        return list(densities)
    if placement == "inverse":
        order = sorted(range(len(densities)), key=lambda index: densities[index])
        turned = {index: densities[other] for index, other in zip(order, reversed(order), strict=True)}
        return [turned[index] for index in range(len(densities))]
    return [1.0] * len(densities)


def _ranks(modules: Sequence[Module], weights: Sequence[float], budget: int) -> list[int]:
    """The rank of each module.

    Raises:
        SelectionError: the budget is below rank 1 of every module.
    """
    limits = [min(module.shape) if weight > 0 else 0 for module, weight in zip(modules, weights, strict=True)]

    def at(factor: float) -> list[int]:
        return [min(limit, floor(factor * weight)) for limit, weight in zip(limits, weights, strict=True)]

    def cost(ranks: Sequence[int]) -> int:
        return sum(module.cost * rank for module, rank in zip(modules, ranks, strict=True))

    positive = [weight for weight in weights if weight > 0]
    low, high = 0.0, (max(limits, default=0) + 1) / min(positive)
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if cost(at(middle)) <= budget else (low, middle)
    ranks = at(low)
    left = budget - cost(ranks)
    most_rounded = sorted(range(len(ranks)), key=lambda index: ranks[index] - low * weights[index])
    while buys := [index for index in most_rounded if ranks[index] < limits[index] and modules[index].cost <= left]:
        for index in buys:
            if modules[index].cost <= left:
                ranks[index] += 1
                left -= modules[index].cost
    if not any(ranks):
        first = min((m for m, limit in zip(modules, limits, strict=True) if limit), key=lambda module: module.cost)
        raise SelectionError(
            f"a budget of {budget:,} trainable parameters is below rank 1, which takes {first.cost:,} in {first.name}; "
            "raise --budget"
        )
    return ranks
