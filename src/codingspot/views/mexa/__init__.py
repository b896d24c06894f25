"""Alignment of programming languages in a model's hidden states: MEXA."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from codingspot.settings import Seed
from codingspot.views.view import VIEWS, ParallelSettings, ViewTraits

if TYPE_CHECKING:
    from codingspot.views.view import View

Pooling = Literal["weighted", "last"]
"""``weighted``: the mean of the hidden states with weight t for the t-th token. ``last``: that of the last token."""

SpecialTokens = Literal["pooled", "unpooled", "none"]
"""What becomes of the tokens a tokenizer puts before a text: pooled with the rest, only read, or not added."""


def _load() -> View:
    from codingspot.views.mexa.view import MEXA

    return MEXA


@VIEWS.register(
    "align",
    label="Alignment",
    reference="Kargaran et al., arXiv 2410.05873; for code, arXiv 2506.01074",
    traits=ViewTraits(_load, place=2, saved_as="alignment"),
)
class AlignSettings(ParallelSettings):
    """Measure how well languages are aligned in every layer (MEXA).

    A row of parallel code scores where its text in one language is closer to its own text in the other than to any
    other row's, and the other way round.

    Example: codingspot align testbed --out runs/align

    Example: codingspot align my-model --parallel parallel.jsonl.gz -l C -l Java -l Python
    """

    pooling: Pooling = Field("weighted", description="of a text's tokens: by position, or the last")
    special_tokens: SpecialTokens = Field("pooled", description="what becomes of the tokenizer's own tokens")
    seed: Seed = Field(0, description="of the testbed's programs")
