"""What every artefact records about the software that made it."""

from __future__ import annotations

import platform
from functools import cache
from importlib.metadata import PackageNotFoundError, version

_LIBRARIES = ("codingspot", "torch", "transformers", "tokenizers", "safetensors", "lm_eval", "numpy")


@cache
def library_versions() -> dict[str, str]:
    """Versions of Python and of the libraries that can change a number, by name."""
    found = {"python": platform.python_version()}
    for name in _LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
