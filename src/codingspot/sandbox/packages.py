"""Installed packages for programs that may import more than the standard library, each with what it needs itself."""

from __future__ import annotations

import importlib.metadata as metadata
from pathlib import Path

from packaging.requirements import Requirement

from codingspot.errors import SandboxError


def installed_files(name: str) -> dict[str, Path]:
    """What must lie in a folder of the import path so that a package can be imported from there.

    Args:
        name: by which the package is imported.

    Returns:
        Files and folders of the distributions that hold it and those they require, by their names in that folder.

    Raises:
        SandboxError: it isn't installed.
    """
    holders = metadata.packages_distributions().get(name)
    if not holders:
        raise SandboxError(
            f"the programs of a task need the package {name}, which isn't installed: install it beside codingspot"
        )
    found: dict[str, Path] = {}
    waiting, known = list(holders), set()
    while waiting:
        holder = waiting.pop()
        if holder in known:
            continue
        known.add(holder)
        distribution = metadata.distribution(holder)
        entries = {file.parts[0] for file in distribution.files or () if file.parts[0] not in ("..", "__pycache__")}
        found |= {entry: Path(str(distribution.locate_file(entry))) for entry in entries}
        required = map(Requirement, distribution.requires or ())
        waiting += [each.name for each in required if each.marker is None or each.marker.evaluate({"extra": ""})]
    return {entry: path for entry, path in sorted(found.items()) if path.exists()}
