"""Reading a study file; whatever is wrong with it is one line that names the setting."""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path

from pydantic import ValidationError

from codingspot.errors import StudyError
from codingspot.records import parse_yaml
from codingspot.study.config import (
    CorpusSection,
    EvaluationSection,
    LanguageMatrixSection,
    ModelSection,
    ScoringSection,
    SpotSection,
    Study,
    SufficiencySection,
)

_SECTIONS = (
    Study,
    ModelSection,
    CorpusSection,
    ScoringSection,
    SpotSection,
    SufficiencySection,
    EvaluationSection,
    LanguageMatrixSection,
)
_SETTINGS = sorted({name for section in _SECTIONS for name in section.model_fields})


def load_study(path: Path) -> Study:
    """Read and validate a study file.

    Raises:
        StudyError: the file is missing or isn't a valid study; the message names the first setting at fault.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        raise StudyError(
            f"{path} can't be read as a study file; `codingspot demo --show-study` prints one to start from"
        ) from None
    return parse_study(text, str(path))


def parse_study(text: str, origin: str) -> Study:
    """Validate a study given as YAML; ``origin`` names it in messages.

    Raises:
        StudyError: as :func:`load_study`.
    """
    try:
        data = parse_yaml(text)
    except ValueError as error:
        raise StudyError(f"{origin} is not valid YAML: {error}; correct it there") from None
    if not isinstance(data, dict):
        raise StudyError(f"{origin} must be a mapping with the keys of a study (name, model, corpus, spots, ...)")
    try:
        return Study.model_validate(data)
    except ValidationError as error:
        raise StudyError(f"{origin}: {_first_fault(error)}") from None


def _first_fault(error: ValidationError) -> str:
    """The setting at fault and why; a misspelt one before the one that is missing for it."""
    faults = error.errors()
    first = next((fault for fault in faults if fault["type"] == "extra_forbidden"), faults[0])
    where = ".".join(str(part) for part in first["loc"]) or "study"
    if first["type"] == "extra_forbidden":
        missing = [str(fault["loc"][-1]) for fault in faults if fault["type"] == "missing"]
        meant = get_close_matches(str(first["loc"][-1]), missing or _SETTINGS, n=1)
        return f"{where}: there is no such setting; " + (f"did you mean {meant[0]}?" if meant else "leave it out")
    if first["type"] == "missing":
        return f"{where}: is missing; give it"
    return f"{where}: {first['msg'].removeprefix('Value error, ')}"
