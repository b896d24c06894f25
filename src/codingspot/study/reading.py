"""Reading a study file; whatever is wrong with it is one line that names the setting."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import is_dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, get_args, get_type_hints

from pydantic import ValidationError

from codingspot.errors import CodingSpotError, StudyError
from codingspot.settings import Settings, reason
from codingspot.settings_text import LONGEST, parse_settings
from codingspot.study.config import Study
from codingspot.study.planning import plan_cells
from codingspot.study.views_section import own_views
from codingspot.views import VIEWS

_UNKNOWN = ("extra_forbidden", "unexpected_keyword_argument")
Level = tuple[str, ...]
"""Names of the sections, from the outermost on, in which a setting stands; none for those of the study itself."""


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
    first = next((fault for fault in faults if fault["type"] in _UNKNOWN), faults[0])
    if first["type"] in _UNKNOWN:
        missing = [str(fault["loc"][-1]) for fault in faults if fault["type"] == "missing"]
        return _unknown(first["loc"], missing)
    where = " ".join(".".join(map(str, first["loc"])).split()) or "study"
    if first["type"] == "missing":
        return f"{where}: is missing; give it"
    return f"{where}: {reason(first)}"


def _unknown(place: Sequence[int | str], missing: Sequence[str]) -> str:
    """What to do about a setting that isn't one where it stands: it is another's misspelling, or another level's."""
    levels = dict(_levels((), Study))
    levels[("views",)] = frozenset(own_views())
    for view in own_views():
        levels |= _levels(("views", view), VIEWS[view])
    names = frozenset[str]().union(*levels.values())
    # Between sections pydantic names the alternatives of a setting's type.
    *sections, name = (str(part) for part in place if isinstance(part, int) or part in names or part is place[-1])
    own = levels.get(tuple(part for part in sections if not part.isdecimal()), frozenset())
    said = f"{' '.join('.'.join((*sections, name)).split())}: there is no such setting"
    if meant := get_close_matches(name, missing, n=1):
        return f"{said}; did you mean {meant[0]}?"
    if places := _places(name, levels):
        return f"{said} here; it belongs to {places}"
    if meant := get_close_matches(name, own, n=1):
        return f"{said}; did you mean {meant[0]}?"
    if meant := get_close_matches(name, sorted(names), n=1, cutoff=0.8):
        return f"{said}; did you mean {meant[0]}, which belongs to {_places(meant[0], levels)}?"
    return f"{said}; leave it out"


def _levels(level: Level, section: Any) -> Iterator[tuple[Level, frozenset[str]]]:
    """The names of a section's settings, and of those of the sections in it."""
    types = get_type_hints(section) if is_dataclass(section) else {}
    types |= {name: field.annotation for name, field in getattr(section, "model_fields", {}).items()}
    yield level, frozenset(types)
    for name, hint in types.items():
        for inner in _sections_in(hint):
            yield from _levels((*level, name), inner)


def _sections_in(hint: Any) -> Iterator[Any]:
    if isinstance(hint, type) and (is_dataclass(hint) or issubclass(hint, Settings)):
        yield hint
    for each in get_args(hint):
        yield from _sections_in(each)


def _places(name: str, levels: dict[Level, frozenset[str]]) -> str:
    """The sections that have a setting of that name."""
    found = [".".join(level) or "the study itself" for level, names in levels.items() if name in names]
    return " or ".join(filter(None, (", ".join(found[:-1]), *found[-1:])))
