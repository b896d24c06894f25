"""The recipe ``unit_prior``: weights by a contrast of their scores, in units that are for code.

Two kinds of evidence make one key:

1. A unit (neuron; head; key-value group) is for code if it writes more on code than on general text, and if general
   text does not need it. Its prior is the rank of rms_code / rms_general (smoothed by a tenth of the means) plus the
   rank of minus its attribution on general text, which is how much the loss of general text would fall, to first
   order, without the unit; both among units of its kind.
2. A weight's own evidence is the rank of its contrast among all weights in scope.
3. Its key is the sum of the rank of its unit's prior among units of that kind and its own. Ranks run from 0 to 1, so
   that nothing has to be weighed or scaled. Weights of no unit have a prior of 0.

Activity alone can't tell a unit that disturbs general text from one that serves it; the sign of the attribution can.
Weights alone can't tell that others of their unit are for code, too.

Text is read once: code forward, general text forward and backward. Own ranks come from a table that is counted in two
passes over the scores (:class:`codingspot.spot.ranks.RankTable`), and the spot is selected as any is that is found in
scores, so that memory doesn't grow with the model.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import numpy as np
import torch
from jaxtyping import Bool, Float32, Float64
from pydantic import Field
from torch import Tensor

from codingspot.corpus import PackedTokens
from codingspot.errors import SelectionError, StudyError
from codingspot.models import Units, find_units
from codingspot.settings import Count, Distinct
from codingspot.spot import RECIPES, MeasuredSpot, Reading, RecipeTraits, TrainingInput
from codingspot.spot.candidates import Candidates, Keys, Run, candidates
from codingspot.spot.finding import best_of
from codingspot.spot.ranks import RankTable, shared_ranks
from codingspot.spot.requirements import general_text
from codingspot.spot.selection import count_for
from codingspot.units.contrast import contrasted, normalised, together
from codingspot.units.moments import Moments
from codingspot.units.ranking import UnitReader, read_once

if TYPE_CHECKING:  # it takes seconds to load
    from transformers import PreTrainedModel

Kind = Literal["group", "head", "neuron"]
Kinds = Annotated[tuple[Kind, ...], Field(min_length=1), Distinct]
KINDS: Final[tuple[Kind, ...]] = ("group", "head", "neuron")

_SMOOTHING: Final = 0.1
_DIVISIONS: Final = 1 << 21


def _traits(*, contrast: str, units: Kinds, token_budget: int | None, **_: Any) -> RecipeTraits:
    about = RECIPES.traits(contrast)
    if not (about.contrast and about.from_scores):
        raise StudyError(f"recipe {contrast!r} is no contrast of scores; use one such as log_ratio or set_difference")

    def fits(model: PreTrainedModel, scope: str, doses: Sequence[float]) -> None:
        del doses
        _units_in(model, units, scope)

    return RecipeTraits(
        contrast=True,
        ranks=about.ranks,
        folds=about.folds,
        nested=about.nested,
        reading=Reading(token_budget, backward=True),
        fits=fits,
        needs=general_text,
        by="By the {label} ({estimator})",
    )


@RECIPES.register("unit_prior", label="contrast of scores in units that are for code", traits=_traits)
def unit_prior(
    given: TrainingInput,
    *,
    contrast: str = "log_ratio",
    units: Kinds = KINDS,
    token_budget: Count | None = None,
    batch_tokens: Count | None = None,
) -> MeasuredSpot:
    """Weights by a contrast of their scores, in units that write for code and aren't needed by general text.

    ``contrast`` is a recipe that sets scores of code against those of general text, with its defaults: what it drops is
    dropped here. ``units`` are kinds of units; later ones take the place of earlier ones where they share weights. Of
    each domain at most ``token_budget`` tokens are read for the units, all by default, and ``batch_tokens`` at once.

    Raises:
        SelectionError: no unit lies in the scope, or fewer weights are eligible than k asks for.
        ModelError: the model's units can't be told apart.
        NonFiniteError: an activation or gradient is not a number.
    """
    settings: dict[str, Any] = {
        "contrast": contrast, "units": units, "token_budget": token_budget, "batch_tokens": batch_tokens,
    }  # fmt: skip
    store = given.scores.of(given.code, given.general)
    found = candidates(store, given.scope, count_for(given.max_k_percent, store.layout.total))
    spot = best_of(
        found,
        lambda part: prior_keys(given, part, **settings),
        {"name": "unit_prior", **settings},
        scope=given.scope,
        max_k_percent=given.max_k_percent,
        worst_first=given.worst_first,
        without=given.without,
    )
    return MeasuredSpot(spot)


def prior_keys(
    given: TrainingInput,
    found: Candidates,
    *,
    contrast: str,
    units: Sequence[Kind] = KINDS,
    token_budget: int | None = None,
    batch_tokens: int | None = None,
) -> Keys:
    """The keys of :func:`unit_prior`: from 0 to 2, the sum of the ranks of a weight's unit and of its own contrast."""
    priors = _priors(given, units, token_budget, batch_tokens)
    own = RECIPES.bind(contrast, {})(found)
    table = RankTable(found.source(own), _DIVISIONS, ranks=found.ranks)

    def keys(run: Run) -> tuple[Float32[Tensor, " n"], Bool[Tensor, " n"] | None]:
        values, eligible = own(run)
        ranks = table.ranks(values)
        if run.name in priors:
            ranks += _of_run(priors[run.name], found.store.layout.shape(run.name), run)
        return torch.from_numpy(ranks.astype(np.float32)), eligible

    return keys


def _units_in(model: PreTrainedModel, kinds: Sequence[Kind], scope: str) -> list[tuple[Units, Bool[Tensor, " units"]]]:
    """The units of those kinds that lie in a scope, and which of each kind do."""
    found = [(units, units.inside(scope)) for units in (find_units(model, kind) for kind in kinds)]
    there = [(units, inside) for units, inside in found if inside.any()]
    if not there:
        raise SelectionError(f"scope {scope!r} holds no whole {' or '.join(kinds)}; choose a wider one")
    return there


def _priors(
    given: TrainingInput, kinds: Sequence[Kind], token_budget: int | None, batch_tokens: int | None
) -> Mapping[str, np.ndarray]:
    """By parameter the rank of the prior of each weight's unit, 0 where it has none; broadcasts to its shape."""
    written = find_units(given.loaded.model, "layer")  # all that any unit writes through
    read = partial(read_once, given, written, token_budget=token_budget, batch_tokens=batch_tokens)
    found: dict[str, Tensor] = {}
    for units, inside in _units_in(given.loaded.model, kinds, given.scope):
        ranks = _unit_ranks(given, units, inside, read)
        for name, values in units.spread(ranks).items():
            before = found.get(name, torch.zeros_like(values))
            found[name] = torch.where(values.isnan(), before, values)
    return {name: values.numpy() for name, values in found.items()}


def _unit_ranks(
    given: TrainingInput, units: Units, inside: Bool[Tensor, " units"], read: Callable[..., Moments]
) -> Float64[Tensor, " units"]:
    """Rank from 0 to 1 of the prior of every unit ``inside`` the scope among these; NaN of others."""

    def moments(name: str, tokens: PackedTokens) -> Moments:
        return read(name, tokens, ("square", "effect") if name in given.general else ("square",))

    reader = UnitReader(given, units, moments)
    code = together(normalised(reader.scores("rms", given.code), "domain", inside), "mean")
    general, needed = (
        together(normalised(reader.scores(score, given.general), "domain", inside), "largest")
        for score in ("rms", "attribution")
    )
    writes = contrasted(code, general, "ratio", _SMOOTHING, inside)
    prior = shared_ranks(writes[inside].float()) + shared_ranks(-needed[inside].float())
    ranks = torch.full((len(units),), torch.nan, dtype=torch.float64)
    ranks[inside] = shared_ranks(prior.float())
    return ranks


def _of_run(values: np.ndarray, shape: tuple[int, ...], run: Run) -> np.ndarray:
    """Of a run of a parameter of that ``shape`` its part of ``values``, which broadcast to the shape, float64 [n]."""
    width = shape[-1]
    rows = np.arange(run.start // width, -(-run.stop // width))
    places = np.unravel_index(rows, (1, *shape[:-1]))
    lengths = (1, *values.shape[:-1])
    of_rows = values[None][tuple(place * (size > 1) for place, size in zip(places, lengths, strict=True))]
    whole = np.broadcast_to(of_rows, (len(rows), width)).reshape(-1)
    return np.asarray(whole[run.start - width * rows[0] :][: run.stop - run.start])
