"""Making a view once: read where it is saved, resumed where it was stopped."""

from __future__ import annotations

import json
from pathlib import Path

from codingspot.analysis import Pieces, is_saved, load_tables, save_analysis, saved_inputs
from codingspot.directories import held
from codingspot.errors import ArtefactError
from codingspot.records import parse_model
from codingspot.settings import Settings, paths_read
from codingspot.views.view import VIEWS, Found, ParallelSettings, Say, ViewInputs, saved_name


def _silent(_text: str, _share: float) -> None:
    """Ignored."""


def make_view(name: str, settings: Settings, given: ViewInputs, directory: Path, say: Say = _silent) -> Found | None:
    """The view that ``settings`` describe, made and saved in ``directory``, or read from it.

    Returns None where there is nothing to look at.

    Raises:
        FingerprintError: ``directory`` holds one of other inputs, or is no run directory
            (:func:`codingspot.directories.held`).
        CodingSpotError: whatever the view refuses.
    """
    view, saved_as = VIEWS.traits(name).load(), saved_name(name)
    work = view.prepare(given, settings)
    if work is None:
        return None
    with held(directory, inputs=[given.loaded.folder, *paths_read(settings)]):
        if is_saved(directory, saved_as, work.inputs):
            return Found(load_tables(directory, saved_as, view.schemas), work.inputs)
        pieces = Pieces(directory, saved_as, work.inputs)
        found = Found(work.make(pieces, say), work.inputs)
        save_analysis(directory, saved_as, found.tables, found.inputs, view.schemas)
        pieces.discard()
        return found


def check_view(name: str, settings: Settings, given: ViewInputs) -> None:
    """Check, before any work, that a view can be made.

    Raises:
        CodingSpotError: it can't.
    """
    if isinstance(settings, ParallelSettings):
        given.parallel(settings)
    VIEWS.traits(name).load().check(given, settings)


def saved_view(directory: Path, name: str) -> Found:
    """The view saved in ``directory``, whatever it was made from.

    Raises:
        ArtefactError: there is none, or it is corrupt.
    """
    view, saved_as = VIEWS.traits(name).load(), saved_name(name)
    inputs = saved_inputs(directory, saved_as)
    if inputs is None:
        raise ArtefactError(
            f"{directory} holds no finished analysis of {name}; run `codingspot {name} MODEL --out {directory}`"
        )
    origin = f"{directory}: the record of its {name}"
    parse_model(
        json.dumps(inputs), view.inputs, origin, what="one of such an analysis", way_out="run the analysis again"
    )
    return Found(load_tables(directory, saved_as, view.schemas), inputs)
