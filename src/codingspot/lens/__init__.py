"""The logit lens over few-shot code translation: what each layer would say next, and in whose words."""

from codingspot.lens.analysis import LensAnalysis, LensSettings, analyse_lens, keyword_layers
from codingspot.lens.bias import UNDECIDED, by_keywords, by_parsing, written_languages
from codingspot.lens.keywords import (
    ENGLISH,
    SHARED,
    Keywords,
    TokenSet,
    collect_keywords,
    grammar_keywords,
    token_sets,
)
from codingspot.lens.prompts import TokenisedTranslation, Translation, fitting_rows, tokenise, translations
from codingspot.lens.readings import Reading, read_layers
from codingspot.lens.unembedding import TunedLens, Unembedding

__all__ = [
    "ENGLISH",
    "SHARED",
    "UNDECIDED",
    "Keywords",
    "LensAnalysis",
    "LensSettings",
    "Reading",
    "TokenSet",
    "TokenisedTranslation",
    "Translation",
    "TunedLens",
    "Unembedding",
    "analyse_lens",
    "by_keywords",
    "by_parsing",
    "collect_keywords",
    "fitting_rows",
    "grammar_keywords",
    "keyword_layers",
    "read_layers",
    "token_sets",
    "tokenise",
    "translations",
    "written_languages",
]
