"""Where in a language model's weights does the ability to code live, and how specific is that place?

The public names load when they are first used, so that importing the package is quick.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

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

_HOMES = {
    "ablation": ("WeightEditor", "edited", "matched_control", "uniform_control"),
    "corpus": ("Corpus", "Domain", "Source", "open_corpus"),
    "importance": ("ScoreStore", "score"),
    "models": ("LoadedModel", "load_model", "shipped_model"),
    "report": ("build_report",),
    "spot": ("Spot", "density", "find_spot"),
    "study": ("Study", "load_study", "run_study"),
    "testbed.world": ("world_corpus",),
}
_HOME = {name: f"codingspot.{home}" for home, names in _HOMES.items() for name in names}

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


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)
