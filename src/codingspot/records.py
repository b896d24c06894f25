"""Records: JSON objects whose keys and types a model declares, checked whenever they are read."""

from __future__ import annotations

import json
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue, ValidationError

from codingspot.errors import ArtefactError
from codingspot.files import parse_json, read_text

AGAIN = "delete it and make it again"


class Record(BaseModel):
    """Base of records: nothing is converted, and keys that are not declared are kept aside."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False, protected_namespaces=())


M = TypeVar("M", bound=BaseModel)
Count = Annotated[int, Field(ge=0, lt=2**63)]
Plain = dict[str, JsonValue]
"""A JSON object of which no more is known."""


def _file_name(name: str) -> str:
    if name != Path(name).name or name in ("", ".", "..") or "\\" in name or "\0" in name:
        raise ValueError(f"{name!r} is not the name of a file beside it")
    return name


FileName = Annotated[str, AfterValidator(_file_name)]
"""Name of a file in the same folder: no path that leads elsewhere."""


def _relative_file(path: str) -> str:
    parts = PurePosixPath(path).parts
    if path != "/".join(map(_file_name, parts)) or not parts:
        raise ValueError(f"{path!r} is not a file in the folder")
    return path


RelativeFile = Annotated[str, AfterValidator(_relative_file)]
"""Relative path, with slashes, of a file in the same folder or below."""


def read_model(path: Path, model: type[M], *, what: str = "", way_out: str = AGAIN) -> M:
    """Read a JSON file as ``model``; ``what`` it is and the ``way_out`` are for the message.

    Raises:
        ArtefactError: the file is missing, is not JSON, or is not what the model declares.
    """
    return parse_model(read_text(path), model, str(path), what=what, way_out=way_out)


def read_plain(path: Path, model: type[BaseModel], *, what: str = "", way_out: str = AGAIN) -> Any:
    """Read a JSON file as :func:`read_model` does, and return all that it holds as plain data."""
    text = read_text(path)
    parse_model(text, model, str(path), what=what, way_out=way_out)
    return json.loads(text)


def parse_model(text: str, model: type[M], origin: str, *, what: str = "", way_out: str = AGAIN) -> M:
    """The JSON ``text`` as ``model``; ``origin`` names it.

    Raises:
        ArtefactError: as :func:`read_model`.
    """
    parse_json(text, origin)
    try:
        return model.model_validate_json(text, strict=True)
    except ValidationError as error:
        fault = first_fault(error)
        raise ArtefactError(f"{origin} is not {what or 'what it should be'} ({fault}); {way_out}") from None


def first_fault(error: ValidationError) -> str:
    """Where the first fault is and what it is, in one line."""
    first = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(str(part) for part in first["loc"])
    said = " ".join(first["msg"].removeprefix("Value error, ").split())
    return f"{where}: {said}"[:200] if where else said[:200]
