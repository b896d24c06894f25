"""Where in a language model's weights does the ability to code live, and how specific is that place?

The public names load when they are first used, so that importing the package is quick.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from codingspot.lazy import load_lazily

__version__ = "0.1.0"

if TYPE_CHECKING:
    from codingspot.ablation import WeightEditor, edited, matched_control, uniform_control
    from codingspot.corpus import Corpus, Domain, Source, open_corpus
    from codingspot.importance import ScoreStore, score
    from codingspot.models import LoadedModel, load_model, shipped_model
    from codingspot.report import build_report
    from codingspot.spot import Spot, density, find_spot
    from codingspot.study import Study, load_study, run_study
    from codingspot.testbed.world import world_corpus
    from codingspot.units import find_units_spot

__all__ = [
    "Corpus",
    "Domain",
    "LoadedModel",
    "ScoreStore",
    "Source",
    "Spot",
    "Study",
    "WeightEditor",
    "build_report",
    "density",
    "edited",
    "find_spot",
    "find_units_spot",
    "load_model",
    "load_study",
    "matched_control",
    "open_corpus",
    "run_study",
    "score",
    "shipped_model",
    "uniform_control",
    "world_corpus",
]

load_lazily(__name__)
