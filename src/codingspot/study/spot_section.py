"""What a study may set of a spot: how it is found and edited, and what it is compared with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field, field_validator, model_validator

from codingspot import learning as learning  # registers its recipe
from codingspot import units as units  # registers its recipe and controls
from codingspot.ablation import CONTROLS, EDITS, is_random
from codingspot.evaluation.standing import DRAWS_NEEDED
from codingspot.models import ScopeName
from codingspot.settings import Count, Dose, Doses, Name, Seed, Settings, as_setting
from codingspot.spot import RECIPES, RecipeTraits, TrainingCost, check_recipe, recipe_parameters, training_cost
from codingspot.study.cells import Control


class SufficiencySection(Settings):
    """What is left when everything but the spot and a base set is zeroed: by the base alone, with the spot, with
    controls in its place (one draw of each)."""

    k_percent: tuple[Dose, ...] = Field(min_length=1, description="doses, in percent of all parameters")
    base: tuple[ScopeName, ...] = Field(("vocabulary", "norms"), description="scopes that are kept whole")
    largest_percent: float = Field(
        0.0, ge=0, le=100, description="percent of each other tensor's weights, the largest, that are kept"
    )


class JudgedSection(Settings):
    """The dose that a spot's verdict is on, named before anything is known of it, and draws of its matched controls.

    Perplexity alone is taken of the draws beyond ``control_seeds``.
    """

    k_percent: Dose = Field(description="the dose, one of the spot's")
    draws: Count = Field(
        DRAWS_NEEDED,
        le=10_000,
        description="of each random control with the spot's number in every tensor; 19 let a test reach 5%",
    )


class SpotSection(Settings):
    """One spot: a recipe in a scope, the doses at which it is edited, and its controls."""

    name: Name = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$", description="as tables, figures and files have it")
    recipe: str = Field("sum", description="which parameters are the spot, best first")
    parameters: Mapping[str, Any] = Field(default_factory=dict, description="the recipe's own")
    scope: ScopeName = Field("all", description="where its parameters may lie")
    k_percent: Doses = Field(description="doses: how much is edited, in percent of all the model's parameters")
    without: tuple[str, ...] = Field(
        (), description="earlier spots whose weights are left out: is there another place as good?"
    )
    edit: str = Field("zero", description="what becomes of the spot's weights")
    edit_parameters: Mapping[str, Any] = Field(default_factory=dict, description="the edit's own, such as alpha")
    controls: tuple[Control, ...] = Field((), description="what is edited in the spot's place, to compare with")
    control_seeds: tuple[Seed, ...] = Field(
        (0, 1, 2), min_length=1, description="one draw of every random control a seed"
    )
    judged: JudgedSection | None = Field(
        None, description="the dose that the verdict is on, and how many draws of matched controls are evaluated there"
    )
    precision: float | None = Field(
        None,
        gt=0,
        description="further doses are evaluated until the onset, and the largest dose that keeps general ability, "
        "are known this closely, in log10 k; not given: on the grid only",
    )
    sufficiency: SufficiencySection | None = None

    @property
    def tested(self) -> bool:
        """Whether there are to be draws of controls enough for a test, which are then not drawn apart from the spot."""
        return self.judged is not None or len(self.control_seeds) >= DRAWS_NEEDED

    @property
    def judged_percent(self) -> float:
        """The dose that the study names for the verdict, or else the spot's largest."""
        return self.k_percent[-1] if self.judged is None else self.judged.k_percent

    @property
    def _own_parameters(self) -> dict[str, Any]:
        return recipe_parameters(self.parameters)

    @property
    def traits(self) -> RecipeTraits:
        """What the spot's recipe declares of itself."""
        return RECIPES.traits(self.recipe, self._own_parameters)

    @property
    def training(self) -> TrainingCost | None:
        """What training the spot's recipe takes; None for one that is computed from scores."""
        return training_cost(self.recipe, self._own_parameters, self.k_percent[-1])

    @property
    def selected(self) -> tuple[str, Mapping[str, Any], float]:
        """Recipe, parameters and percentage of what is selected from scores: the spot, or what training begins with."""
        training = self.training
        if training is None:
            return self.recipe, self.parameters, self.k_percent[-1]
        options = {name: self.parameters[name] for name in self.parameters.keys() - self._own_parameters.keys()}
        return training.shortlist, options, training.shortlist_percent

    @field_validator("controls")
    @classmethod
    def _controls_exist(cls, names: tuple[Control, ...]) -> tuple[Control, ...]:
        for name in names:
            if name not in CONTROLS:
                raise ValueError(f"unknown control {name!r}; use some of {', '.join(CONTROLS)}")
        return names

    @model_validator(mode="after")
    def _recipe_exists(self) -> SpotSection:
        with as_setting(f"spot {self.name}: "):
            check_recipe(self.recipe, self.parameters)
            traits, _ = self.traits, self.training
        others = self.parameters.keys() - self._own_parameters.keys() - {"languages"}
        if others and not traits.from_scores:
            raise ValueError(f"spot {self.name}: {min(others)} is for recipes computed from scores; leave it out")
        return self

    @model_validator(mode="after")
    def _controls_are_for_it(self) -> SpotSection:
        with as_setting(f"spot {self.name}: "):
            drawn = [name for name in self.controls if CONTROLS.traits(name).of_units]
        if drawn and self.traits.unit == "weight":
            raise ValueError(f"spot {self.name}: {drawn[0]} draws whole units, and {self.recipe} selects weights")
        return self

    @model_validator(mode="after")
    def _removes_the_spot(self) -> SpotSection:
        with as_setting(f"spot {self.name}: "):
            EDITS.check(self.edit, self.edit_parameters)
            rest = EDITS.traits(self.edit, self.edit_parameters).of_the_rest
        if rest:
            raise ValueError(f"spot {self.name}: {self.edit} edits what is outside the spot; ask for sufficiency")
        return self

    @model_validator(mode="after")
    def _is_judged_beside_controls(self) -> SpotSection:
        if self.judged is None:
            return self
        if self.judged.k_percent not in self.k_percent:
            raise ValueError(f"spot {self.name}: judged.k_percent is {self.judged.k_percent:g}, not in its k_percent")
        if not any(is_random(name) and CONTROLS.traits(name).matches_tensors for name in self.controls):
            raise ValueError(f"spot {self.name}: judged draws a matched control, and it has none; add one to controls")
        return self

    @model_validator(mode="after")
    def _sufficient_doses_are_found(self) -> SpotSection:
        if self.sufficiency is not None and max(self.sufficiency.k_percent) > self.k_percent[-1]:
            raise ValueError(f"spot {self.name}: sufficiency.k_percent exceeds the spot's own largest k")
        return self
