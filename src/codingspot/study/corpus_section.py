"""What a study may set of its text."""

from __future__ import annotations

from typing import Any

from pydantic import Field, field_validator

from codingspot.corpus import Source
from codingspot.corpus.schemas import Variant
from codingspot.models import TESTBED
from codingspot.settings import Count, Name, NotEmpty, Seed, Settings, as_setting


class CorpusSection(Settings):
    """What is scored and read: the testbed's world, or the sources that :func:`codingspot.corpus.open_corpus` takes."""

    source: str | Source | tuple[str | Source, ...] | None = Field(
        None, description="testbed, a Hub id, a path, or a list of ids, paths and sources with options of their own"
    )
    text_field: NotEmpty = Field("text", description="the column of the text in rows of no known data set")
    languages: tuple[Name, ...] | None = Field(
        None, description="the domains of code; all of a saved corpus, the eleven studied ones of other sources"
    )
    variant: Variant = Field("paper", description="how tiny-codes' answers are read")
    purified: bool = Field(True, description="whether code loses its comments, documentation and prose")
    documents: int = Field(700, ge=0, description="texts a domain for scoring, at most; 0: all")
    evaluation_documents: Count = Field(48, description="texts a domain kept from scoring, for perplexity")
    general: tuple[Name, ...] | None = Field(
        None, description="domains that are general text, besides those of which their source says so"
    )
    held_out: tuple[Name, ...] | None = Field(
        None, description="domains left out of scoring; what a saved corpus holds out, Python of the testbed's"
    )
    target: tuple[Name, ...] | None = Field(
        None,
        min_length=1,
        description="domains of the ability that is sought, in the place of code; all others are general text then",
    )
    seed: Seed = Field(0, description="of the choice of texts and their order")

    @field_validator("source")
    @classmethod
    def _names_a_source(cls, source: Any) -> Any:
        if source == () or (isinstance(source, str) and not source.strip()):
            raise ValueError("it is empty; name a folder, a file, a Hub id or testbed")
        with as_setting():
            for each in source if isinstance(source, tuple) else [source]:
                if isinstance(each, str):
                    Source(each)  # which refuses what is no path
        if isinstance(source, tuple) and TESTBED in source:
            if len(source) > 1:
                raise ValueError(f"{TESTBED} can't be put together with other sources; give it alone")
            return TESTBED
        return source
