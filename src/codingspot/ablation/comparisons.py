"""Controls by name: what a spot must be set beside before it may be called a place of coding.

Each is a registered function from :class:`Controlled` to a Spot of the same length. Its keyword-only, typed parameters
are its settings; one that has a ``seed`` is random and is drawn several times. What else it is, it declares
(:class:`ControlTraits`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Int64
from torch import Tensor

from codingspot.ablation.controls import binned_control, matched_control, uniform_control
from codingspot.ablation.super_weights import super_weights
from codingspot.errors import SelectionError
from codingspot.importance import ScoreStore
from codingspot.models import LoadedModel, Registry, unique_parameters
from codingspot.settings import Count, Seed
from codingspot.spot import RECIPES, Spot, TrainingInput, find_spot, measure_spot
from codingspot.spot.candidates import names_in
from codingspot.spot.requirements import Domains, Requirement, general_text
from codingspot.spot.selection import KeyChunk, select_top


@dataclass(frozen=True)
class Controlled:
    """The spot a control is for, the scores it was found in, and the model.

    ``given`` makes what the spot's recipe was given, where that reads activations. Matched random controls leave out
    the spot's own parameters where they are to be ``apart`` (:mod:`codingspot.ablation.controls`).
    """

    spot: Spot
    store: ScoreStore
    loaded: LoadedModel
    given: Callable[[], TrainingInput] | None = None
    apart: bool = True

    @property
    def scope(self) -> str:
        """The scope the spot was found in."""
        return str(self.spot.metadata["scope"])

    @property
    def trained(self) -> bool:
        """Whether the spot's recipe is trained, so that it isn't found by scores alone."""
        made = dict(self.spot.metadata["recipe"])
        return RECIPES.traits(str(made.pop("name")), made).training is not None

    @property
    def domains(self) -> Domains:
        """The domains that were scored."""
        return Domains(self.store.names("code"), self.store.names("general"))

    def found_again(
        self, store: ScoreStore, *, worst_first: bool = False, without: Int64[Tensor, " n"] | None = None
    ) -> Spot:
        """A spot by the same recipe, in the same scope and number: from other scores, the end, or what is left."""
        made = self.spot.metadata
        recipe = {**made["recipe"]}
        if self.trained:
            raise SelectionError(f"a spot by {recipe['name']!r} isn't found in scores alone, so this control can't be")
        if made.get("left_out"):
            raise SelectionError("a spot that leaves others out has random controls only; give it uniform or matched")
        name = str(recipe.pop("name"))
        if RECIPES.traits(name, recipe).reading is not None:
            return self._measured_again(store, name, recipe, worst_first=worst_first, without=without)
        return find_spot(
            store,
            recipe=name,
            scope=self.scope,
            max_k_percent=float(made["k_percent"]),
            per_tensor=bool(made["per_tensor"]),
            worst_first=worst_first,
            without=without,
            **recipe,
        )

    def _measured_again(
        self,
        store: ScoreStore,
        recipe: str,
        parameters: dict[str, Any],
        *,
        worst_first: bool,
        without: Int64[Tensor, " n"] | None,
    ) -> Spot:
        if self.given is None:
            raise SelectionError(f"a spot by {recipe!r} takes its text to be found again; name the control in a study")
        given = self.given()
        texts = {**given.code, **given.general}
        code, general = ({name: texts[name] for name in store.texts(kind)} for kind in ("code", "general"))
        again = replace(given, store=store, code=code, general=general, worst_first=worst_first, without=without)
        return measure_spot(again, recipe=recipe, **parameters).spot


ControlMaker = Callable[..., Spot]


@dataclass(frozen=True)
class ControlTraits:
    """What a control is, for the stages that draw, show and judge by it.

    Attributes:
        matched: what it shares with the spot, such as ``("tensor", "magnitude")``: as many parameters of each tensor
            and of each bin of magnitude. A specific spot must surpass those that share the tensors.
        own_size: its number of parameters is its own, not the spot's; it is edited whole, once.
        of_units: it draws whole units, for a spot of whole units.
        needs: what it needs of the domains.
        scored: it reads the scores of weights, whatever the spot's recipe reads.
        regroups: it calls some languages general text, so that their scores must have been kept apart.
        drawn: where its parameters come from, as a sentence says it; empty for one that isn't random.
        published: the condition of published figures that it is; empty for none.
    """

    matched: tuple[str, ...] = ()
    own_size: bool = False
    of_units: bool = False
    needs: Requirement | None = None
    scored: bool = False
    regroups: bool = False
    drawn: str = ""
    published: str = ""

    @property
    def matches_tensors(self) -> bool:
        """Whether it has as many parameters of each tensor as the spot, so that a specific spot must surpass it."""
        return "tensor" in self.matched


CONTROLS: Registry[ControlMaker, ControlTraits] = Registry("control", ControlTraits())


def is_random(name: str) -> bool:
    """Whether a control is drawn by a seed.

    Raises:
        StudyError: there is no control of that name.
    """
    return "seed" in CONTROLS.parameters(name)


@CONTROLS.register(
    "uniform",
    label="uniform random",
    traits=ControlTraits(drawn="drawn from all others of the scope", published="random"),
)
def uniform(controlled: Controlled, *, seed: Seed = 0) -> Spot:
    """Parameters drawn uniformly from the spot's scope."""
    return uniform_control(controlled.spot, seed=seed, scope=controlled.scope)


@CONTROLS.register(
    "matched",
    label="matched random",
    traits=ControlTraits(matched=("tensor",), drawn="drawn from the same tensors"),
)
def matched(controlled: Controlled, *, seed: Seed = 0) -> Spot:
    """Random parameters, the same number from each tensor."""
    return matched_control(controlled.spot, seed=seed, apart=controlled.apart)


@CONTROLS.register(
    "matched_magnitude",
    label="magnitude-matched random",
    traits=ControlTraits(matched=("tensor", "magnitude"), drawn="drawn from the same tensors with the same magnitudes"),
)
def matched_magnitude(controlled: Controlled, *, bins: Count = 10, seed: Seed = 0) -> Spot:
    r"""Random parameters of the same tensors and the same magnitudes: each from the decile of \|theta\| of its own."""
    weights = unique_parameters(controlled.loaded.model)

    def magnitudes(name: str) -> np.ndarray:
        return weights[name].detach().abs().float().flatten().cpu().numpy()

    return binned_control(controlled.spot, magnitudes, by="magnitude", bins=bins, seed=seed, apart=controlled.apart)


@CONTROLS.register(
    "matched_general",
    label="general-matched random",
    traits=ControlTraits(
        needs=general_text,
        scored=True,
        matched=("tensor", "general score"),
        drawn="drawn from the same tensors with the same general scores",
    ),
)
def matched_general(controlled: Controlled, *, bins: Count = 10, seed: Seed = 0) -> Spot:
    """Random parameters of the same tensors that matter as much to general text: from the same decile of its score.

    Raises:
        SelectionError: no general domain was scored.
    """
    store = controlled.store
    general = store.names("general")
    general_text("matched_general", controlled.domains)

    def scores(name: str) -> np.ndarray:
        size = store.layout.sizes[name]
        return torch.stack([store.magnitude(domain, name, 0, size) for domain in general]).amax(0).numpy()

    return binned_control(controlled.spot, scores, by="general score", bins=bins, seed=seed, apart=controlled.apart)


@CONTROLS.register("top_magnitude", label="largest weights")
def top_magnitude(controlled: Controlled) -> Spot:
    """The largest weights of the scope: what pruning would keep."""
    weights = unique_parameters(controlled.loaded.model)
    layout = controlled.spot.layout
    names = names_in(layout, controlled.scope)

    def source() -> list[KeyChunk]:
        chunks = ((name, weights[name].detach().abs().float().flatten().cpu()) for name in names)
        return [KeyChunk(name, layout.slice(name).start, keys) for name, keys in chunks]

    ranking = select_top(source, len(controlled.spot))
    return _named(Spot(ranking.positions, ranking.keys, layout, controlled.spot.metadata), "top_magnitude")


@CONTROLS.register(
    "general_spot", label="spot of general text", traits=ControlTraits(needs=general_text, regroups=True)
)
def general_spot(controlled: Controlled) -> Spot:
    """The same recipe with the roles exchanged: the spot of general text, with code taken out where it contrasts."""
    store = controlled.store
    general_text("general_spot", controlled.domains)
    exchanged = store.with_kinds({d.name: "general" if d.kind == "code" else "code" for d in store.domains})
    return _named(controlled.found_again(exchanged), "general_spot")


def _more_languages(name: str, domains: Domains) -> None:
    if not 0 < len(domains.general) < len(domains.code):
        raise SelectionError(f"{name} needs a general domain and more languages than general domains")


@CONTROLS.register("shuffled_labels", traits=ControlTraits(needs=_more_languages, regroups=True))
def shuffled_labels(controlled: Controlled, *, seed: Seed = 0) -> Spot:
    """The same recipe with the domains' labels exchanged at random: general text is called code, a language general.

    As many domains are general as before, and none of them is one that is.

    Raises:
        SelectionError: there are fewer languages than general domains, or no general domain.
    """
    store = controlled.store
    general = [domain.name for domain in store.domains if domain.kind == "general"]
    languages = [domain.name for domain in store.domains if domain.kind == "code"]
    _more_languages("shuffled_labels", controlled.domains)
    drawn = set(np.random.default_rng(seed).permutation(languages)[: len(general)].tolist())
    shuffled = store.with_kinds({d.name: "general" if d.name in drawn else "code" for d in store.domains})
    return _named(controlled.found_again(shuffled), "shuffled_labels", seed=seed, general=sorted(drawn))


@CONTROLS.register("bottom", label="bottom of the order", traits=ControlTraits(published="bottom"))
def bottom(controlled: Controlled) -> Spot:
    """The other end of the recipe's order: the parameters that it would take last."""
    return _named(controlled.found_again(controlled.store, worst_first=True), "bottom")


@CONTROLS.register("super_weights", label="super weights alone", traits=ControlTraits(own_size=True))
def super_weights_alone(controlled: Controlled, *, count: Count = 6) -> Spot:
    """The weights behind the largest activation spikes alone: at most ``count``, one a layer, wherever the spot is."""
    positions = _super_positions(controlled, count)
    scores = torch.arange(len(positions), 0, -1, dtype=torch.float32)
    spot = Spot(positions, scores, controlled.spot.layout, controlled.spot.metadata)
    return _named(spot, "super_weights", count=count)


@CONTROLS.register("without_super_weights", label="spot without super weights")
def without_super_weights(controlled: Controlled, *, count: Count = 6) -> Spot:
    """The spot without the ``count`` weights behind the largest activation spikes; the next in order fill their places.

    A learned spot has no next: at its largest dose it is left with that many fewer.
    """
    spot, heaviest = controlled.spot, _super_positions(controlled, count)
    kept = ~torch.isin(spot.positions, heaviest)
    inside = len(kept) - int(kept.sum())
    if inside and not controlled.trained:
        rest = controlled.found_again(controlled.store, without=heaviest)
    else:
        rest = Spot(spot.positions[kept], spot.scores[kept], spot.layout, spot.metadata)
    return _named(rest, "without_super_weights", count=count, inside=inside)


def _super_positions(controlled: Controlled, count: int) -> torch.Tensor:
    return torch.tensor(super_weights(controlled.loaded, count=count)["position"].tolist(), dtype=torch.int64)


def _named(spot: Spot, name: str, **about: object) -> Spot:
    return replace(spot, metadata={**spot.metadata, "control": {"name": name, **about}})
