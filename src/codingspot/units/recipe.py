"""The recipe ``units``: whole neurons, heads, key-value groups or layers, best first, as a spot.

1. The model reads the study's scored text once, domain by domain, and what units write is added up
   (:mod:`codingspot.units.moments`); scores follow from the sums (:mod:`codingspot.units.scores`).
2. Scores on code are set against those on general text (:mod:`codingspot.units.contrast`).
3. The spot is all weights of the best unit, then all of the next. It is rounded down to whole units: it ends before the
   first unit that would make it larger than k percent of all parameters, and so does every smaller dose.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import torch
from jaxtyping import Bool, Float64, Int64
from pydantic import Field
from torch import Tensor

from codingspot.errors import SelectionError, StudyError
from codingspot.models import UnitKind, Units, find_units
from codingspot.provenance import library_versions
from codingspot.settings import Count, Seed
from codingspot.spot import RECIPES, MeasuredSpot, Reading, RecipeTraits, Spot, TrainingInput, WholeUnits
from codingspot.spot.requirements import general_text
from codingspot.spot.selection import count_for
from codingspot.units.attention import require_attention_everywhere
from codingspot.units.contrast import Contrast, General, Languages, Normalise
from codingspot.units.ranking import Ranked, UnitSettings, rank
from codingspot.units.refining import by_effect, by_masks, in_rounds
from codingspot.units.reliability import selected_by_draws
from codingspot.units.scores import UNIT_SCORES, UnitScoreName, require_unit

if TYPE_CHECKING:  # it takes seconds to load
    import pandas as pd
    from transformers import PreTrainedModel


def _traits(
    *,
    unit: UnitKind,
    score: str,
    contrast: Contrast,
    token_budget: int | None,
    rounds: int,
    refined: int,
    refined_tokens: int,
    masks: int,
    **_: Any,
) -> RecipeTraits:
    require_unit(score, unit)
    about = UNIT_SCORES.traits(score)
    if about.signed and contrast in ("ratio", "share"):
        raise StudyError(f"unit score {score!r} is signed, which has no {contrast}; set contrast to difference or none")

    def fits(model: PreTrainedModel, scope: str, doses: Sequence[float]) -> None:
        found = find_units(model, unit)
        _require_fit(found, scope, doses)
        if about.every_layer:
            require_attention_everywhere(model, found)

    return RecipeTraits(
        contrast=contrast != "none",
        reading=Reading(
            token_budget if about.statistics else 0,
            about.backward,
            rounds,
            refined_tokens * (masks or refined) if refined else 0,
            about.attention,
        ),
        unit=unit,
        nested=rounds == 1,
        scored=not about.statistics,
        folds=bool(about.statistics),
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
    rounds: Count = 1,
    refined: Annotated[int, Field(ge=0)] = 0,
    refined_tokens: Count = 1024,
    masks: Annotated[int, Field(ge=0)] = 0,
    mask_share: Annotated[float, Field(gt=0, lt=1)] = 0.02,
    seed: Seed = 0,
) -> MeasuredSpot:
    """Whole units (neurons, heads, key-value groups, layers) by what they write on code and on general text.

    ``unit`` is what is selected and ``score`` how much one does on a domain (:data:`UNIT_SCORES`); ``contrast``,
    ``smoothing``, ``normalise`` and both ``_together`` make one key of its scores on all domains
    (:mod:`codingspot.units.contrast`). Of each domain at most ``token_budget`` tokens are read, all by default, and
    ``batch_tokens`` are run at once. The defaults are selective pruning's (arXiv 2403.01267), with a smoothing.

    With several ``rounds`` the spot is chosen part by part, each scored without the parts before. The best ``refined``
    units are put in order by what zeroing each does to the losses (:func:`codingspot.units.refining.by_effect`), on
    ``refined_tokens`` tokens of each domain: a forward pass a unit; or, with ``masks``, as many passes as these, each
    with a random ``mask_share`` of the units zeroed (:func:`codingspot.units.refining.by_masks`).

    Raises:
        SelectionError: the scope holds no such unit, or k is less than the best one has.
        ModelError: the model's units can't be told apart.
        NonFiniteError: an activation or gradient is not a number.
        StudyError: such units don't have what the score is made of.
    """
    found = find_units(given.loaded.model, unit)
    inside = found.inside(given.scope)
    eligible = _eligible(found, inside, given)
    settings = UnitSettings(
        score, contrast, smoothing, normalise, languages_together, general_together, token_budget, batch_tokens
    )
    ranked = rank(given, found, settings, inside)
    order = ranked.order(eligible, worst_first=given.worst_first)
    wanted = count_for(given.max_k_percent, found.layout.total)
    if rounds > 1:
        order = in_rounds(given, found, settings, order, eligible, parameters=wanted, rounds=rounds)
    effects = torch.full((len(order),), torch.nan, dtype=torch.float64)
    if refined:
        best, tokens = order[:refined], refined_tokens
        if masks:
            effects = by_masks(given, found, settings, best, tokens=tokens, masks=masks, share=mask_share, seed=seed)
        else:
            effects = by_effect(given, found, settings, best, tokens=tokens)
        best = torch.argsort(effects if given.worst_first else effects.neg(), stable=True)
        order = torch.cat([order[best], order[refined:]])
        effects = torch.cat([effects[best], torch.full((len(order) - len(best),), torch.nan, dtype=torch.float64)])
    whole = WholeUnits(unit, order, found.sizes[order]).within(wanted)
    if not len(whole):
        raise SelectionError(f"k = {given.max_k_percent}% is less than the best {unit} has; raise k")
    recipe = {
        **asdict(settings),
        "unit": unit,
        "rounds": rounds,
        "refined": refined,
        "refined_tokens": refined_tokens,
        "masks": masks,
        "mask_share": mask_share,
        "seed": seed,
    }
    spot = _spot(given, found, whole, ranked, eligible, {"name": "units", **recipe})
    once = rounds == 1 and not refined
    drawn = selected_by_draws(given, found, settings, eligible, wanted) if once else None
    return MeasuredSpot(spot, _table(found, order, ranked, effects, len(whole)), drawn)


def _table(
    units: Units, order: Int64[Tensor, " n"], ranked: Ranked, effects: Float64[Tensor, " n"], selected: int
) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame(
        {
            "rank": range(1, len(order) + 1),
            "layer": units.layers[order],
            "expert": units.experts[order],
            "index": units.indices[order],
            "parameters": units.sizes[order],
            "code": ranked.code[order],
            "general": ranked.general[order],
            "key": ranked.keys[order],
            "effect": effects,
            "selected": torch.arange(len(order)) < selected,
        }
    )


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
            f"({100 * least / total:.2g}%); raise k"
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
    ranked: Ranked,
    eligible: Bool[Tensor, " units"],
    recipe: Mapping[str, Any],
) -> Spot:
    inside = units.inside(given.scope)
    metadata = {
        **given.provenance,
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
    in_one_pass = recipe["rounds"] == 1 and not recipe["refined"]
    places = torch.arange(len(whole), 0, -1, dtype=torch.float64)
    keys = ranked.keys[whole.numbers] * (-1 if given.worst_first else 1) if in_one_pass else places
    scores = keys.float().repeat_interleave(whole.sizes)
    return Spot(units.positions(whole.numbers), scores, units.layout, metadata, whole)
