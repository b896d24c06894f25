"""The view of the logit lens: what makes and shows it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import pandas as pd

from codingspot.views import Found, View
from codingspot.views.layers import after_layers
from codingspot.views.lens.analysis import prepare_lens
from codingspot.views.lens.console import show_lens, told
from codingspot.views.lens.example import example_page
from codingspot.views.lens.report import lens_section
from codingspot.views.lens.schemas import SCHEMAS


def _profiles(found: Found) -> Mapping[str, pd.Series[float]]:
    """The target's keywords among the ten most probable tokens after each layer."""
    sets = found["lens_sets"]
    own = sets[(sets["set"] == sets["target"]) & (sets["kind"] == "all")]
    return {"keywords": after_layers(own.groupby("layer")["share"].mean())}


def _files(found: Found) -> Mapping[str, str]:
    return {"lens.html": example_page(found["lens_example"], str(found.inputs["model"]))}


LENS: Final = View(
    schemas=SCHEMAS,
    prepare=prepare_lens,
    section=lens_section,
    told=told,
    show=show_lens,
    files=_files,
    profiles=_profiles,
)
