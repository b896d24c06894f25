"""GGUF files, as llama.cpp's tools write them: which one a path names, and whether it is whole.

Their weights are read by transformers, which takes what a file says of its own lengths at its word; so the header is
walked here first, and everything in it must lie in the file.
"""

from __future__ import annotations

import math
import mmap
import struct
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from codingspot.errors import ModelError

SUFFIX = ".gguf"

_VERSIONS = (2, 3)
_WIDTHS = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}  # of a number, by its type in the file
_STRING, _ARRAY = 8, 9
_NEEDED = ("gguf", "accelerate")


@dataclass(frozen=True)
class GgufFile:
    """A whole GGUF file of a model.

    ``types`` are those of its tensors, such as Q4_K and F32, that of the most parameters first.
    """

    path: Path
    types: tuple[str, ...]

    @property
    def description(self) -> str:
        """How its weights are stored: ``GGUF (Q4_K, F32)``."""
        return f"GGUF ({', '.join(self.types)})"


def find_gguf(source: str) -> GgufFile | None:
    """The GGUF file that ``source`` is, or that a folder without safetensors holds; None where it names another model.

    Raises:
        ModelError: the file isn't there or isn't whole, a folder holds several, or a package for reading it is missing.
    """
    path = Path(source)
    if path.suffix != SUFFIX:
        files = sorted(path.glob(f"*{SUFFIX}")) if path.is_dir() and not any(path.glob("*.safetensors")) else []
        if len(files) > 1:
            raise ModelError(f"{source} holds {len(files)} GGUF files; name the one to read, such as {files[0]}")
        if not files:
            return None
        path = files[0]
    if not path.is_file():
        raise ModelError(f"GGUF file {path} does not exist; correct the path")
    missing = [name for name in _NEEDED if find_spec(name) is None]
    if missing:
        raise ModelError(
            f"{path} is a GGUF file, and reading one needs {' and '.join(missing)}; pip install 'codingspot[gguf]'"
        )
    try:
        if not path.stat().st_size:
            raise ValueError("it is empty")
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            types = _tensor_types(_Reader(content))
    except OSError as error:
        raise ModelError(f"{path} can't be read ({error.strerror}); correct its permissions") from None
    except (ValueError, struct.error) as error:
        reason = "it ends too early" if isinstance(error, struct.error) else str(error)
        raise ModelError(f"{path} is no whole GGUF file ({reason}); download or convert it again") from None
    return GgufFile(path, types)


class _Reader:
    """Reads a GGUF header from the start on. What would lie beyond the end is a ``struct.error``."""

    def __init__(self, content: mmap.mmap) -> None:
        self.content = content
        self.position = 0

    def numbers(self, layout: str) -> tuple[int, ...]:
        found = struct.unpack_from(f"<{layout}", self.content, self.position)
        self.position += struct.calcsize(f"<{layout}")
        return found

    def skip(self, length: int) -> None:
        self.position += length
        if self.position > len(self.content):
            raise struct.error

    def string(self) -> str:
        (length,) = self.numbers("Q")
        self.skip(length)
        return self.content[self.position - length : self.position].decode("utf-8", "replace")

    def skip_value(self, kind: int) -> None:
        if kind in _WIDTHS:
            self.skip(_WIDTHS[kind])
        elif kind == _STRING:
            self.string()
        elif kind == _ARRAY:
            inner, length = self.numbers("IQ")
            if inner in _WIDTHS:
                self.skip(length * _WIDTHS[inner])
            elif inner == _STRING:
                for _ in range(length):
                    self.skip(*self.numbers("Q"))
            else:
                raise ValueError(f"it has an array of values of type {inner}")
        else:
            raise ValueError(f"it has a value of type {kind}")


def _tensor_types(reader: _Reader) -> tuple[str, ...]:
    if reader.content[:4] != b"GGUF":
        raise ValueError("it doesn't begin with GGUF")
    reader.skip(4)
    version, tensors, values = reader.numbers("IQQ")
    if version not in _VERSIONS:
        raise ValueError(f"its version is {version}, not {' or '.join(map(str, _VERSIONS))}")
    alignment, names = 32, set()
    for _ in range(values):
        name = reader.string()
        (kind,) = reader.numbers("I")
        if name == "general.alignment" and kind == 4:
            (alignment,) = struct.unpack_from("<I", reader.content, reader.position)
        reader.skip_value(kind)
        names.add(name)
    if "general.architecture" not in names:
        raise ValueError("it doesn't say its architecture")
    sizes: Counter[str] = Counter()
    end = 0
    for kind_name, parameters, stop in _tensors(reader, tensors):
        sizes[kind_name] += parameters
        end = max(end, stop)
    start = -(-reader.position // max(alignment, 1)) * max(alignment, 1)
    if start + end > len(reader.content):
        raise ValueError(f"it has {len(reader.content):,} bytes and its tensors take {start + end:,}")
    return tuple(name for name, _ in sizes.most_common())


def _tensors(reader: _Reader, number: int) -> Iterator[tuple[str, int, int]]:
    """Type, parameters and end (in bytes from the first tensor's beginning) of each tensor."""
    from gguf import GGML_QUANT_SIZES, GGMLQuantizationType

    for _ in range(number):
        name = reader.string()
        (dimensions,) = reader.numbers("I")
        shape = reader.numbers(f"{dimensions}Q")
        kind, offset = reader.numbers("IQ")
        try:
            block, width = GGML_QUANT_SIZES[GGMLQuantizationType(kind)]
        except (ValueError, KeyError):
            raise ValueError(f"its tensor {name[:80]!r} has values of the unknown type {kind}") from None
        yield GGMLQuantizationType(kind).name, math.prod(shape), offset + math.prod(shape) // block * width
