"""The settings of a testbed model's training."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from codingspot.errors import ModelError
from codingspot.records import read_model
from codingspot.testbed.architecture import Architecture
from codingspot.testbed.programs import LANGUAGES
from codingspot.testbed.routing import Routing, Split
from codingspot.testbed.world import BROAD, REASONING, ROUTED, ROUTED_LATE, ROUTED_ROLES, Mixture

MIXTURES = {
    "broad": BROAD,
    "reasoning": REASONING,
    "routed": ROUTED,
    "routed_late": ROUTED_LATE,
    "routed_roles": ROUTED_ROLES,
}


class Phase(BaseModel):
    """A stretch of training with one mixture: short sequences first, the full context for the last ``long_share``.

    The learning rate warms up over 2% of the phase, stays, and falls linearly to zero over its last 60%. Where the
    recipe routes code to a subset, what general text alone updates may have a learning rate of its own, with the same
    course: a slow rest is a steady background for the code that is learned into the subset.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    mixture: Literal["broad", "reasoning", "routed", "routed_late", "routed_roles"]
    tokens: int = Field(gt=0)
    learning_rate: float = Field(gt=0)
    rest_learning_rate: float | None = Field(
        None, gt=0, description="of norms and of block weights outside the routed subset; learning_rate by default"
    )
    long_share: float = Field(0.15, ge=0, le=1)
    code: float | None = Field(
        None, ge=0, lt=1, description="share of every batch that is code, where it is routed; the mixture's by default"
    )

    def learning_rate_at(self, step: int, steps: int) -> float:
        """Learning rate of one of the phase's ``steps``."""
        warmup, decay = max(1, round(steps * 0.02)), max(1, round(steps * 0.6))
        return self.learning_rate * min(1.0, (step + 1) / warmup, (steps - step) / decay)


class Recipe(BaseModel):
    """Everything that decides a testbed model's weights, up to the machine's arithmetic."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    architecture: Architecture = "llama"
    hidden_size: int = Field(192, gt=0)
    layers: int = Field(6, gt=0)
    heads: int = Field(6, gt=0)
    key_value_heads: int = Field(2, gt=0)
    mlp_size: int = Field(512, gt=0)
    vocabulary_size: int = Field(2048, gt=256)
    context: int = Field(512, ge=512)
    batch_tokens: int = Field(4096, gt=0)
    sequence_length: int = Field(256, gt=1)
    weight_decay: float = Field(0.1, ge=0)
    code_share: float | None = Field(
        None, ge=0, le=1, description="share of documents with programs; each mixture's own"
    )
    languages: tuple[str, ...] = BROAD.languages
    phases: tuple[Phase, ...] = (
        Phase(mixture="broad", tokens=20_000_000, learning_rate=3e-3),
        Phase(mixture="reasoning", tokens=6_000_000, learning_rate=2e-3),
        Phase(mixture="reasoning", tokens=3_500_000, learning_rate=1.5e-3),
        Phase(mixture="reasoning", tokens=2_000_000, learning_rate=1e-3),
    )
    routing: Routing | None = Field(None, description="the subset that code is routed to; none by default")
    seed: int = 0

    @model_validator(mode="after")
    def _batches_divide(self) -> Recipe:
        if self.batch_tokens % self.sequence_length or self.batch_tokens % self.context:
            raise ValueError("batch_tokens must be a multiple of sequence_length and of context")
        return self

    @field_validator("languages")
    @classmethod
    def _languages_exist(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            if name not in LANGUAGES:
                raise ValueError(f"the testbed has no language {name!r}; use some of {', '.join(sorted(LANGUAGES))}")
        return names

    @model_validator(mode="after")
    def _heads_divide(self) -> Recipe:
        if self.hidden_size % self.heads:
            raise ValueError(f"hidden_size {self.hidden_size} must be a multiple of heads, {self.heads}")
        if self.architecture == "llama" and self.heads % self.key_value_heads:
            raise ValueError(f"heads {self.heads} must be a multiple of key_value_heads, {self.key_value_heads}")
        if self.architecture == "llama" and self.hidden_size // self.heads % 2:
            raise ValueError(
                f"hidden_size {self.hidden_size} gives {self.heads} heads an odd width, which positions can't be "
                f"rotated in; use a multiple of {2 * self.heads}"
            )
        return self

    @model_validator(mode="after")
    def _routing_is_possible(self) -> Recipe:
        if self.routing is None:
            if any(phase.rest_learning_rate is not None or phase.code is not None for phase in self.phases):
                raise ValueError("a phase's rest_learning_rate and code need routing")
            return self
        try:
            neurons, groups = map(max, zip(*self.routing.sizes(self.layers), strict=True))
        except ModelError as error:
            raise ValueError(str(error)) from None
        if neurons >= self.mlp_size or groups >= self.key_value_heads:
            raise ValueError(
                f"a routed subset must leave something: {neurons} of mlp_size {self.mlp_size} neurons and {groups} of "
                f"{self.key_value_heads} key-value groups are routed; raise mlp_size or key_value_heads"
            )
        if self.architecture != "llama" or self.code_share is not None:
            raise ValueError("gradient routing needs the llama architecture, and its phases set the share of code")
        for phase in self.phases:
            contexts = self.code_of_batch(phase) * self.batch_tokens / self.context
            if not contexts.is_integer() or (self.batch_tokens // self.context - contexts) % 2:
                raise ValueError(
                    "a routed batch must hold a whole number of contexts of code, and an even one of general text"
                )
        return self

    @property
    def steps(self) -> int:
        """Number of optimizer steps of all phases."""
        return sum(self.phase_steps(phase) for phase in self.phases)

    def phase_steps(self, phase: Phase) -> int:
        """Number of optimizer steps of one phase."""
        return max(1, phase.tokens // self.batch_tokens)

    def mixture(self, phase: Phase) -> Mixture:
        """The shares of the phase's training documents."""
        mixture = replace(MIXTURES[phase.mixture], languages=self.languages)
        return mixture if self.code_share is None else replace(mixture, code=self.code_share)

    def code_of_batch(self, phase: Phase) -> float:
        """Share of every batch that is code, where code is routed."""
        return self.mixture(phase).code if phase.code is None else phase.code

    def streams(self, phase: Phase) -> tuple[tuple[Mixture, float], ...]:
        """The kinds of text of every batch with their shares of it: one mixture, or code and general where routed."""
        mixture = self.mixture(phase)
        if self.routing is None:
            return ((mixture, 1.0),)
        code = self.code_of_batch(phase)
        streams = (replace(mixture, code=1.0), code), (replace(mixture, code=0.0), 1.0 - code)
        return tuple(stream for stream in streams if stream[1] > 0)

    def split(self, phase: Phase) -> Split:
        """How a batch of the phase is divided, and how fast what only general text updates moves."""
        rest = 1.0 if phase.rest_learning_rate is None else phase.rest_learning_rate / phase.learning_rate
        return Split(code=self.code_of_batch(phase), rest_rate=rest)

    def length_at(self, phase: Phase, step: int) -> int:
        """Sequence length in tokens at one of the phase's steps."""
        long_from = round(self.phase_steps(phase) * (1 - phase.long_share))
        return self.context if step >= long_from else self.sequence_length


ROUTED_RECIPE = Recipe(
    heads=6,
    key_value_heads=3,
    languages=("bash", "java", "javascript", "python"),
    routing=Routing(neurons=192, key_value_groups=1),
    phases=(
        Phase(mixture="routed", tokens=4_000_000, learning_rate=3e-3, code=0.0),
        Phase(mixture="routed_late", tokens=4_000_000, learning_rate=2.5e-3, code=0.0, long_share=0.05),
        Phase(mixture="routed_roles", tokens=1_800_000, learning_rate=2e-3, code=0.0, long_share=0.0),
        Phase(
            mixture="routed",
            tokens=7_000_000,
            learning_rate=3e-3,
            rest_learning_rate=7e-4,
            code=0.75,
            long_share=0.05,
        ),
        Phase(mixture="routed_late", tokens=3_300_000, learning_rate=1e-3),
    ),
)
"""The recipe of the shipped routed model."""

SCATTERED_RECIPE = ROUTED_RECIPE.model_copy(
    update={
        "routing": Routing(neurons=(96, 160, 288, 256, 128, 224), key_value_groups=(1, 2, 1, 1, 0, 1), scattered=True),
        "seed": 1,
    }
)
"""That of a second one, as large in all, with other units and other numbers of them in every layer."""


def read_recipe(path: Path) -> Recipe:
    """Read the ``recipe.json`` of a testbed model.

    Raises:
        ArtefactError: it is missing, corrupt or no recipe.
    """
    return read_model(path, Recipe, what="the recipe of a testbed model", way_out="train the model again")
