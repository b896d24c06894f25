"""The recipe ``units``: whole neurons, heads, key-value groups or layers, best first, as a spot.

1. The model reads the study's scored text once, domain by domain, and what units write is added up
   (:mod:`codingspot.units.moments`); scores follow from the sums (:mod:`codingspot.units.scores`).
2. Scores on code are set against those on general text (:mod:`codingspot.units.contrast`).
3. The spot is all weights of the best unit, then all of the next. It is rounded down to whole units: it ends before the
   first unit that would make it larger than k percent of all parameters, and so does every smaller dose.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import pandas as pd
import torch
from jaxtyping import Bool, Float64
from pydantic import Field
from torch import Tensor
from transformers import PreTrainedModel

from codingspot.corpus import PackedTokens
from codingspot.errors import SelectionError, StudyError
from codingspot.models import UnitKind, Units, find_units, unique_parameters
from codingspot.provenance import library_versions
from codingspot.settings import Count
from codingspot.spot import RECIPES, MeasuredSpot, Reading, RecipeTraits, Spot, TrainingInput, WholeUnits
from codingspot.spot.requirements import general_text
from codingspot.spot.selection import count_for
from codingspot.spot.spot import made_from
from codingspot.units.contrast import (
    Contrast,
    General,
    Languages,
    Normalise,
    contrasted,
    normalised,
    together,
)
from codingspot.units.moments import Moments, measure
from codingspot.units.scores import UNIT_SCORES, UnitDomain, UnitScoreName


def _traits(*, unit: UnitKind, score: str, contrast: Contrast, token_budget: int | None, **_: Any) -> RecipeTraits:
    about = UNIT_SCORES.traits(score)
    if about.signed and contrast in ("ratio", "share"):
        raise StudyError(f"unit score {score!r} is signed, which has no {contrast}; set contrast to difference or none")

    def fits(model: PreTrainedModel, scope: str, doses: Sequence[float]) -> None:
        _require_fit(find_units(model, unit), scope, doses)

    return RecipeTraits(
        contrast=contrast != "none",
        reading=Reading(token_budget, about.backward),
        unit=unit,
        folds=True,
        fits=fits,
        needs=None if contrast == "none" else general_text,
        by=f"By whole {unit}s ({UNIT_SCORES.label(score)}, {contrast})",
    )


@RECIPES.register(
    "units",
    label="whole units by what they do on code and on {general}",
    reference="arXiv 2403.01267",
    traits=_traits,
)
def units(
    given: TrainingInput,
    *,
    unit: UnitKind = "neuron",
    score: UnitScoreName = "rms",
    contrast: Contrast = "ratio",
    smoothing: Annotated[float, Field(ge=0)] = 0.1,
    normalise: Normalise = "domain",
    languages_together: Languages = "mean",
    general_together: General = "largest",
    token_budget: Count | None = None,
    batch_tokens: Count | None = None,
) -> MeasuredSpot:
    """Whole units (neurons, heads, key-value groups, layers) by what they write on code and on general text.

    ``unit`` is what is selected and ``score`` how much one does on a domain (:data:`UNIT_SCORES`); ``contrast``,
    ``smoothing``, ``normalise`` and both ``_together`` make one key of its scores on all domains
    (:mod:`codingspot.units.contrast`). Of each domain at most ``token_budget`` tokens are read, all by default, and
    ``batch_tokens`` are run at once. The defaults are selective pruning's (arXiv 2403.01267), with a smoothing.

    Raises:
        SelectionError: the scope holds no such unit, or k is less than the best one has.
        ModelError: the model's units can't be told apart.
        NonFiniteError: an activation or gradient is not a number.
    """
    found = find_units(given.loaded.model, unit)
    reader = _Reader(given, found, score, token_budget, batch_tokens)
    inside = found.inside(given.scope)
    eligible = _eligible(found, inside, given)
    code, general = (normalised(reader.scores(texts), normalise, inside) for texts in (given.code, given.general))
    on_code = together(code, languages_together)
    on_general = together(general, general_together) if len(general) else torch.full_like(on_code, torch.nan)
    keys = contrasted(on_code, on_general, contrast, smoothing, inside)
    ranked = keys.neg() if given.worst_first else keys
    order = torch.argsort(ranked.masked_fill(~eligible, -torch.inf), descending=True, stable=True)
    order = order[: int(eligible.sum())]
    whole = WholeUnits(unit, order, found.sizes[order]).within(count_for(given.max_k_percent, found.layout.total))
    if not len(whole):
        raise SelectionError(f"k = {given.max_k_percent}% is less than the best {unit} has; raise k")
    table = pd.DataFrame(
        {
            "rank": range(1, len(order) + 1),
            "layer": found.layers[order],
            "expert": found.experts[order],
            "index": found.indices[order],
            "parameters": found.sizes[order],
            "code": on_code[order],
            "general": on_general[order],
            "key": keys[order],
            "selected": torch.arange(len(order)) < len(whole),
        }
    )
    recipe = {
        "name": "units",
        "unit": unit,
        "score": score,
        "contrast": contrast,
        "smoothing": smoothing,
        "normalise": normalise,
        "languages_together": languages_together,
        "general_together": general_together,
        "token_budget": token_budget,
        "batch_tokens": batch_tokens,
    }
    return MeasuredSpot(_spot(given, found, whole, ranked, eligible, recipe), table)


class _Reader:
    """Reads each domain once for a statistic, also for other spots of the same text."""

    def __init__(
        self, given: TrainingInput, units: Units, score: str, token_budget: int | None, batch_tokens: int | None
    ) -> None:
        self._given, self._units, self._score = given, units, score
        self._token_budget, self._batch_tokens = token_budget, batch_tokens
        self._weights = unique_parameters(given.loaded.model)

    def scores(self, texts: Mapping[str, PackedTokens]) -> Float64[Tensor, "domains units"]:
        """The score of every unit on every domain."""
        rows = [UNIT_SCORES[self._score](self._domain(name, tokens)) for name, tokens in texts.items()]
        return torch.stack(rows) if rows else torch.empty(0, len(self._units), dtype=torch.float64)

    def _domain(self, name: str, tokens: PackedTokens) -> UnitDomain:
        store = self._given.store

        def magnitude(parameter: str) -> Tensor:
            size, shape = store.layout.sizes[parameter], store.layout.shape(parameter)
            return store.magnitude(name, parameter, 0, size).view(shape)

        return UnitDomain(self._units, self._moments(name, tokens), self._weights.__getitem__, magnitude)

    def _moments(self, name: str, tokens: PackedTokens) -> Moments | None:
        statistics = UNIT_SCORES.traits(self._score).statistics
        if not statistics:
            return None
        read = tokens.first(self._token_budget)
        key = (name, self._units.kind, statistics, read.tokens)
        if key not in self._given.measured:
            model = self._given.loaded.model
            self._given.measured[key] = measure(model, self._units, read, statistics, batch_tokens=self._batch_tokens)
        found: Moments = self._given.measured[key]
        return found


def _eligible(units: Units, inside: Bool[Tensor, " units"], given: TrainingInput) -> Bool[Tensor, " units"]:
    """Units in the scope that have no weight which is left out."""
    if not inside.any():
        raise SelectionError(f"scope {given.scope!r} holds no whole {units.kind}; choose a wider one")
    if given.without is None:
        return inside
    taken = torch.zeros(units.layout.total, dtype=torch.bool)
    taken[given.without] = True
    layout = units.layout
    touched = units.sums(lambda name: taken[layout.slice(name)].view(layout.shape(name)))
    return inside & (touched == 0)


def _require_fit(units: Units, scope: str, doses: Sequence[float]) -> None:
    """Check that the scope holds such units, and that the smallest dose is one of them at least.

    Raises:
        SelectionError: it isn't so.
    """
    inside = units.inside(scope)
    if not inside.any():
        raise SelectionError(f"scope {scope!r} holds no whole {units.kind}; choose a wider one")
    total, sizes = units.layout.total, units.sizes[inside]
    wanted, least = count_for(min(doses), total), int(sizes.max())
    if wanted < least:
        raise SelectionError(
            f"k = {min(doses):g}% is {wanted:,} parameters, and one {units.kind} has {least:,} "
            f"({100 * least / total:.2g}%); raise k_percent"
        )
    most, all_of_them = count_for(max(doses), total), int(sizes.sum())
    if most > all_of_them:
        raise SelectionError(
            f"k = {max(doses):g}% is {most:,} parameters, and all {units.kind}s in scope {scope!r} have "
            f"{all_of_them:,}; lower k_percent"
        )


def _spot(
    given: TrainingInput,
    units: Units,
    whole: WholeUnits,
    keys: Float64[Tensor, " units"],
    eligible: Bool[Tensor, " units"],
    recipe: Mapping[str, Any],
) -> Spot:
    inside = units.inside(given.scope)
    metadata = {
        **made_from(given.store),
        "recipe": dict(recipe),
        "languages": list(given.code),
        "general": list(given.general),
        "scope": given.scope,
        "scope_parameters": int(units.sizes[inside].sum()),
        "per_tensor": False,
        "worst_first": given.worst_first,
        "left_out": 0 if given.without is None else len(given.without),
        "k_percent": given.max_k_percent,
        "units": {"kind": units.kind, "selected": len(whole), "eligible": int(eligible.sum()), "all": len(units)},
        "control": None,
        "versions": library_versions(),
    }
    scores = keys[whole.numbers].float().repeat_interleave(whole.sizes)
    return Spot(units.positions(whole.numbers), scores, units.layout, metadata, whole)
