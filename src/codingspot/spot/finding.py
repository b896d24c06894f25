"""Finding a spot in scores: a recipe's best parameters, exactly, whatever the model's size."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from jaxtyping import Bool, Float32, Int64
from torch import Tensor

from codingspot.errors import SelectionError
from codingspot.importance import ScoreStore
from codingspot.models.ranks import ALONE, Ranks
from codingspot.provenance import library_versions
from codingspot.spot.candidates import Candidates, Keys, Run, candidates
from codingspot.spot.recipes import RECIPES, check_recipe, recipe_parameters
from codingspot.spot.requirements import Domains, require
from codingspot.spot.selection import count_for, select_per_tensor, select_top
from codingspot.spot.spot import Spot


def find_spot(
    store: ScoreStore,
    *,
    recipe: str = "sum",
    scope: str = "all",
    max_k_percent: float,
    per_tensor: bool = False,
    languages: Sequence[str] | None = None,
    worst_first: bool = False,
    without: Int64[Tensor, " n"] | None = None,
    ranks: Ranks = ALONE,
    **parameters: Any,
) -> Spot:
    """The best ``max_k_percent`` percent of all the model's parameters by a recipe, in one order.

    k counts all the model's parameters (tied ones once), whatever the scope: n = round(k / 100 * all), at least one.
    With ``per_tensor`` the recipe is applied inside each tensor, and parameters are ordered by their rank there as a
    share of the tensor (:func:`codingspot.spot.selection.select_per_tensor`). ``languages`` restricts the code domains;
    ``worst_first`` turns the recipe's order around, over the parameters it finds eligible; those at the positions
    ``without`` are passed over; ``parameters`` are those of the recipe. Of several ``ranks``
    (:func:`codingspot.models.ranks.process_group`), all of which must call it, each reads a part of the scores; the
    first has the spot, the others an empty one.

    Raises:
        SelectionError: k is not in (0, 100], fewer parameters are eligible than k asks for, or the recipe needs other
            domains, or all scores in one process.
        StudyError: the recipe, its parameter or the scope is unknown, or a parameter is not what its type says.
    """
    options = {"per_tensor": per_tensor, "languages": languages, "worst_first": worst_first}
    checked = check_recipe(recipe, {**parameters, **options})
    settings = recipe_parameters(checked)
    traits = RECIPES.traits(recipe, settings)
    if not traits.from_scores:
        how = "is trained" if traits.reading is None else "reads activations"
        raise SelectionError(f"recipe {recipe!r} {how}, which takes the model and its text; name it in a study")
    if ranks.count > 1 and not traits.in_shards:
        raise SelectionError(f"recipe {recipe!r} needs all scores in one process; leave out torchrun")
    wanted = count_for(max_k_percent, store.layout.total)
    found = candidates(store, scope, wanted, languages=checked["languages"], ranks=ranks)
    require(traits.needs, recipe, Domains(found.code, found.general), **settings)
    with RECIPES.at_work(recipe):
        return best_of(
            found,
            partial(RECIPES[recipe], **settings),
            {"name": recipe, **settings},
            scope=scope,
            max_k_percent=max_k_percent,
            per_tensor=per_tensor,
            worst_first=worst_first,
            without=without,
        )


def best_of(
    found: Candidates,
    recipe: Callable[[Candidates], Keys],
    about: Mapping[str, Any],
    *,
    scope: str,
    max_k_percent: float,
    per_tensor: bool = False,
    worst_first: bool = False,
    without: Int64[Tensor, " n"] | None = None,
) -> Spot:
    """As many of the candidates in a scope as are wanted, which is ``max_k_percent`` percent, best first by a recipe.

    ``about`` names the recipe and its parameters for the spot's metadata; the others are those of :func:`find_spot`.

    Raises:
        SelectionError: fewer are eligible than wanted.
    """
    store = found.store

    def run_recipe(part: Candidates) -> Keys:
        keys = _reversed(recipe(part)) if worst_first else recipe(part)
        return keys if without is None else _without(keys, without.sort().values)

    if per_tensor:
        sources = {name: part.source(run_recipe(part)) for name, part in found.by_tensor().items()}
        ranking = select_per_tensor(sources, found.wanted, found.ranks)
    else:
        ranking = select_top(found.source(run_recipe(found)), found.wanted, found.ranks)
    metadata = {
        **made_from(store),
        "recipe": dict(about),
        "languages": list(found.code),
        "general": list(found.general),
        "scope": scope,
        "scope_parameters": found.total,
        "per_tensor": per_tensor,
        "worst_first": worst_first,
        "left_out": 0 if without is None else len(without),
        "k_percent": max_k_percent,
        "control": None,
        "versions": library_versions(),
    }
    return Spot(ranking.positions, ranking.keys, store.layout, metadata)


def made_from(store: ScoreStore) -> dict[str, Any]:
    """What a spot's metadata say of the scores it was found in."""
    manifest = store.manifest
    return {
        "model": manifest.get("model"),
        "corpus": manifest.get("corpus"),
        "estimator": manifest.get("estimator"),
        "normalise": store.normalise,
        "scores": store.digest,
    }


def _reversed(keys: Keys) -> Keys:
    def negated(run: Run) -> tuple[Float32[Tensor, " n"], Bool[Tensor, " n"] | None]:
        values, eligible = keys(run)
        return values.neg(), eligible

    return negated


def _without(keys: Keys, excluded: Int64[Tensor, " n"]) -> Keys:
    """The keys with the parameters at these positions, in order, not eligible."""

    def kept(run: Run) -> tuple[Float32[Tensor, " n"], Bool[Tensor, " n"] | None]:
        values, eligible = keys(run)
        first, end = torch.searchsorted(excluded, torch.tensor([run.position, run.position + len(values)])).tolist()
        if first == end:
            return values, eligible
        eligible = torch.ones(len(values), dtype=torch.bool) if eligible is None else eligible.clone()
        eligible[excluded[first:end] - run.position] = False
        return values, eligible

    return kept
