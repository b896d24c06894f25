"""The logit lens over few-shot code translation: what each layer would say next, and in whose words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from codingspot.settings import InputPath, Name, Seed
from codingspot.views.view import VIEWS, ParallelSettings, ViewTraits

if TYPE_CHECKING:
    from codingspot.views.view import View


def _load() -> View:
    from codingspot.views.lens.view import LENS

    return LENS


@VIEWS.register("lens", label="Logit lens", reference="arXiv 2506.01074, section 3", traits=ViewTraits(_load, place=3))
class LensSettings(ParallelSettings):
    """Decode every layer while the model translates code (logit lens).

    Hidden states at each position of the answer go through the model's own final norm and output head: which tokens
    each layer would give, and how many are keywords of which language, or English.

    Example: codingspot lens testbed --generated 4 --out runs/lens

    Example: codingspot lens my-model --parallel parallel.jsonl.gz --keywords keywords --example Java Python
    """

    shots: int = Field(3, ge=0, description="translations shown before each")
    items: int = Field(10, gt=0, description="prompts a pair of languages")
    generated: int = Field(0, ge=0, description="of them, how many the model answers itself")
    keywords: InputPath | None = Field(None, description="folder of keyword files; by default from grammars")
    english: int = Field(10_000, ge=0, description="most frequent English words")
    example: tuple[Name, Name] | None = Field(None, description="source and target of the example; the first pair")
    tuned_lens: InputPath | None = Field(None, description="safetensors file of a tuned lens")
    seed: Seed = Field(0, description="of rows and shots")
