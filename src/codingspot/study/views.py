"""The views of one model beside a study's spots: whatever is registered and the study asks for.

Each is an analysis of its own in the run directory: made once, read where it is saved, resumed where it was stopped.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from codingspot.spot import Spot
from codingspot.study.views_section import ViewsSection
from codingspot.views import ViewInputs, saved_name
from codingspot.views.making import make_view


def study_views(
    section: ViewsSection,
    given: ViewInputs,
    spots: Mapping[str, Spot],
    directory: Path,
    *,
    stage: Callable[[str], None] = lambda _: None,
) -> None:
    """Make every view that ``section`` asks for; each sees the spots and those made before it.

    Args:
        section: of the study.
        given: the model and the texts.
        spots: the study's spots by name, without controls.
        directory: the run directory.
        stage: told what is being done.

    Raises:
        CodingSpotError: whatever a view refuses; what was saved before stays.
    """

    def say(text: str, _share: float) -> None:
        stage(text)

    given = replace(given, spots=spots)
    for name, settings in section.asked().items():
        found = make_view(name, settings, given, directory, say)
        if found is not None:
            given = replace(given, others={**given.others, saved_name(name): found})
