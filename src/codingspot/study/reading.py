"""Reading a study file; whatever is wrong with it is one line that names the setting."""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path

from pydantic import ValidationError

from codingspot.errors import CodingSpotError, StudyError
from codingspot.models.section import ModelSection
from codingspot.settings import reason
from codingspot.settings_text import LONGEST, parse_settings
from codingspot.study.config import LanguageMatrixSection, Study
from codingspot.study.corpus_section import CorpusSection
from codingspot.study.evaluation_section import EvaluationSection
from codingspot.study.planning import plan_cells
from codingspot.study.scoring_section import ScoringSection
from codingspot.study.spot_section import SpotSection, SufficiencySection

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


def load_study(path: Path, model: str | None = None) -> Study:
    """Read and validate a study file, as one of ``model`` (``org/name``, ``org/name@revision``, a folder) where given.

    Raises:
        StudyError: the file is missing or isn't a valid study; the message names the first setting at fault.
    """
    try:
        with path.open(encoding="utf-8") as file:
            text = file.read(LONGEST + 1)
    except (OSError, UnicodeDecodeError):
        raise StudyError(
            f"{path} can't be read as a study file; `codingspot demo --show-study` prints one to start from"
        ) from None
    return parse_study(text, str(path), model)


def parse_study(text: str, origin: str, model: str | None = None) -> Study:
    """Validate a study given as YAML; ``origin`` names it in messages, ``model`` is its model in place of its own.

    Raises:
        StudyError: as :func:`load_study`.
    """
    data = parse_settings(text, origin)
    if not isinstance(data, dict):
        raise StudyError(f"{origin} must be a mapping with the keys of a study (name, model, corpus, spots, ...)")
    if model is not None:
        source, revision = (model, None) if Path(model).exists() or "@" not in model else model.rsplit("@", 1)
        own = data.get("model")
        data["model"] = {**(own if isinstance(own, dict) else {}), "id": source, "revision": revision}
    try:
        study = Study.model_validate(data)
        plan_cells(study, parameters=1)
    except ValidationError as error:
        raise StudyError(f"{origin}: {_first_fault(error)}") from None
    except CodingSpotError as error:
        raise StudyError(f"{origin}: {error}") from None
    return study


def _first_fault(error: ValidationError) -> str:
    """The setting at fault and why; a misspelt one before the one that is missing for it."""
    faults = error.errors()
    first = next((fault for fault in faults if fault["type"] == "extra_forbidden"), faults[0])
    where = " ".join(".".join(str(part) for part in first["loc"]).split()) or "study"
    if first["type"] == "extra_forbidden":
        missing = [str(fault["loc"][-1]) for fault in faults if fault["type"] == "missing"]
        meant = get_close_matches(str(first["loc"][-1]), missing or _SETTINGS, n=1)
        return f"{where}: there is no such setting; " + (f"did you mean {meant[0]}?" if meant else "leave it out")
    if first["type"] == "missing":
        return f"{where}: is missing; give it"
    return f"{where}: {reason(first)}"
