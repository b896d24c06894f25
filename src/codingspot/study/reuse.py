"""Scores of another run that scored the same: the same weights, corpus and settings."""

from __future__ import annotations

from typing import Any

from codingspot.errors import FingerprintError
from codingspot.files import read_text, write_text
from codingspot.models import LoadedModel
from codingspot.outputs import MANIFEST
from codingspot.remote import local_path
from codingspot.study.config import Study
from codingspot.study.directory import RunDirectory
from codingspot.study.reading import load_study

_FREE = frozenset({"reuse", "micro_batch_tokens", "keep", "keep_dtype"})
"""Settings of scoring that leave its scores, but for rounding, as they are; what was kept of them is seen from them."""


def reuse_scores(study: Study, loaded: LoadedModel, corpus: str, directory: RunDirectory) -> None:
    """Let ``directory`` read the scores that ``scoring.reuse`` names, where they are; one with its own keeps them.

    Their manifest is copied, for whoever reads the run without them.

    Args:
        study: what is to be scored.
        loaded: its model.
        corpus: fingerprint of the corpus on which its parameters are scored.
        directory: of the run.

    Raises:
        FingerprintError: they are of another model, corpus or settings; the message names what differs. Or there are
            none.
    """
    if study.scoring.reuse is None or (directory.scores / MANIFEST).exists():
        return
    other = RunDirectory(local_path(study.scoring.reuse))
    if not (other.scores / MANIFEST).exists():
        raise FingerprintError(f"{other.path} has no scores; give the directory of a run that scored its model")
    made = {**_scoring(load_study(other.path / "study.yaml")), **other.inputs()}
    wanted = {**_scoring(study), "weights": loaded.fingerprint, "corpus": corpus}
    differing = next((name for name, value in wanted.items() if made.get(name) != value), None)
    if differing is not None:
        raise FingerprintError(
            f"the scores of {other.path} are of another {differing} ({_short(made.get(differing))}, and this study's "
            f"is {_short(wanted[differing])}); leave them out, and it scores anew"
        )
    write_text(directory.scores_manifest, read_text(other.scores / MANIFEST))
    directory.read_scores_of(other)


def _scoring(study: Study) -> dict[str, Any]:
    settings = study.scoring.model_dump(mode="json", exclude=set(_FREE))
    return {f"scoring.{name}": value for name, value in settings.items()}


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 40 else f"{text[:12]}..."
