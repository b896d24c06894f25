"""The settings of a testbed model's training."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, model_validator

from codingspot.testbed.architecture import Architecture
from codingspot.testbed.world import Mixture


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
    tokens: int = Field(20_000_000, gt=0)
    batch_tokens: int = Field(4096, gt=0)
    sequence_length: int = Field(256, gt=1)
    long_share: float = Field(0.15, ge=0, le=1, description="last share of training, at the full context")
    learning_rate: float = Field(3e-3, gt=0)
    weight_decay: float = Field(0.1, ge=0)
    warmup_share: float = Field(0.02, ge=0, le=1)
    code_share: float = Field(0.55, ge=0, le=1)
    languages: tuple[str, ...] = Mixture().languages
    seed: int = 0

    @model_validator(mode="after")
    def _batches_divide(self) -> Recipe:
        if self.batch_tokens % self.sequence_length or self.batch_tokens % self.context:
            raise ValueError("batch_tokens must be a multiple of sequence_length and of context")
        return self

    @property
    def steps(self) -> int:
        """Number of optimizer steps."""
        return max(1, self.tokens // self.batch_tokens)

    @property
    def mixture(self) -> Mixture:
        """The shares of the training documents."""
        return Mixture(code=self.code_share, languages=self.languages)

    def length_at(self, step: int) -> int:
        """Sequence length in tokens at ``step``: short first, the full context at the end."""
        return self.context if step >= round(self.steps * (1 - self.long_share)) else self.sequence_length

    def learning_rate_at(self, step: int) -> float:
        """Linear warm-up, then constant, then linear to zero over the last 60% of the steps."""
        warmup = max(1, round(self.steps * self.warmup_share))
        decay = max(1, round(self.steps * 0.6))
        return self.learning_rate * min(1.0, (step + 1) / warmup, (self.steps - step) / decay)
