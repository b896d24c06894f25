"""The journal of a store that is being written: what is finished of it, so that the same scoring, stopped, goes on."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from itertools import takewhile
from pathlib import Path
from typing import Any, Final

from safetensors import SafetensorError, safe_open

from codingspot.errors import OutputError
from codingspot.files import remove, write_json
from codingspot.importance.manifest import DomainRecord, DomainScores
from codingspot.mirrors import mirror_of
from codingspot.models import ParameterLayout
from codingspot.outputs import contents
from codingspot.records import Count, Plain, Record, read_plain

JOURNAL: Final = "journal.json"


class _Journal(Record):
    """What a writer that was stopped had written."""

    made_from: Plain
    whole: bool
    domains: tuple[DomainRecord, ...]
    layout: tuple[tuple[str, tuple[Count, ...]], ...]


def note(
    folder: Path,
    made_from: Mapping[str, Any],
    layout: ParameterLayout | None,
    domains: Iterable[DomainScores],
    *,
    whole: bool = True,
) -> None:
    """Write down what is finished; not ``whole`` while sums are being changed, which can't be gone on with."""
    finished = [asdict(domain) for domain in domains]
    for file in (file for domain in finished for file in domain["files"]):
        mirror_of(folder).written(folder / file)
    own_layout = [] if layout is None else layout.to_json()
    write_json(folder / JOURNAL, {"made_from": made_from, "whole": whole, "domains": finished, "layout": own_layout})


def finished_in(
    folder: Path, made_from: Mapping[str, Any], *, force: bool
) -> tuple[ParameterLayout | None, list[DomainScores]]:
    """The domains that the same scoring left whole in ``folder``, up to one that isn't; all else there is removed.

    What one made from something else had finished goes with ``force`` alone.

    Raises:
        OutputError: it has the finished domains of another scoring, or what this package did not leave.
        ArtefactError: its journal can't be read.
    """
    journal = folder / JOURNAL
    if not journal.exists():
        if next(contents(folder), None) is not None:
            raise OutputError(f"{folder} is no scoring that was stopped; move it away, or choose another folder")
        folder.mkdir(parents=True, exist_ok=True)
        return None, []
    left = read_plain(journal, _Journal, what="the record of a stopped scoring", way_out=f"remove {folder}")
    others = differing(left["made_from"], json.loads(json.dumps(made_from)))
    if left["domains"] and others and not force:
        raise OutputError(
            f"{folder} has what is finished of a scoring with another {' and '.join(others)}; give the same, "
            "choose another folder, or replace it with --force"
        )
    found: list[DomainScores] = []
    if left["whole"] and not others:
        listed = (DomainScores(**{**each, "files": tuple(each["files"])}) for each in left["domains"])
        found = list(takewhile(lambda domain: all(_is_whole(folder / file) for file in domain.files), listed))
    known = {file for domain in found for file in domain.files} | {JOURNAL}
    for each in folder.iterdir():
        if each.name not in known:  # of a domain that wasn't finished
            remove(each)
    return ParameterLayout.from_json(left["layout"], str(journal)) if found else None, found


def differing(left: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """What differs of what two scorings are made from: ``model``, ``corpus``, ``estimator``, or a setting."""
    one, other = ({**each, **dict(each.get("settings") or ())} for each in (left, new))
    return [name for name in {**one, **other} if name != "settings" and one.get(name) != other.get(name)]


def _is_whole(file: Path) -> bool:
    try:
        with safe_open(file, framework="pt"):
            return True
    except (OSError, SafetensorError):
        return False
