"""Scores on disk: one float32 value a parameter and domain, read lazily, tensor by tensor or part by part.

A store is a folder with ``manifest.json`` and, for each domain, one or more safetensors files. Scores are
signed where their estimator has a sign; their *magnitude*, which ranks parameters, is the absolute value
under the store's normalisation.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import torch
from jaxtyping import Float32
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from codingspot.corpus import DomainKind
from codingspot.errors import ArtefactError, FingerprintError, NonFiniteError
from codingspot.files import digest, read_json, reason, write_json
from codingspot.importance.estimators import EstimatorTraits, estimator_traits
from codingspot.importance.manifest import FORMAT, StoreManifest
from codingspot.importance.manifest import Normalisation as Normalisation
from codingspot.models import ParameterLayout
from codingspot.outputs import Place, new_folder
from codingspot.provenance import library_versions
from codingspot.records import read_plain

# The library copies all of a file's tensors while it writes them.
_SHARD_BYTES = 1 << 29


@dataclass(frozen=True)
class DomainScores:
    """What a store holds about one domain, beside its tensors.

    ``predicted_tokens`` is the number the loss was divided by. ``mean`` and ``deviation`` are those of the
    absolute scores over all parameters. ``details`` is what the estimator adds, such as the loss in nats a
    token.
    """

    name: str
    kind: DomainKind
    predicted_tokens: int
    mean: float
    deviation: float
    files: tuple[str, ...]
    details: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class NewDomainScores:
    """Scores of one domain on their way into a store: a tensor for each parameter name."""

    name: str
    kind: DomainKind
    scores: Mapping[str, Tensor]
    predicted_tokens: int = 1
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class ScoreStore:
    """A folder of scores that was opened or written. Nothing is read before it is asked for."""

    folder: Path
    layout: ParameterLayout
    domains: tuple[DomainScores, ...]
    normalise: Normalisation
    manifest: Mapping[str, Any]

    def __repr__(self) -> str:
        names = ", ".join(domain.name for domain in self.domains)
        estimator = (self.manifest.get("estimator") or {}).get("name")
        how = f" by {estimator}" if estimator else ""
        return f"<ScoreStore {self.folder}: {self.layout.total:,} parameters{how}, domains {names}>"

    @classmethod
    def write(
        cls,
        folder: Path,
        domains: Iterable[NewDomainScores],
        *,
        provenance: Mapping[str, Any] | None = None,
        normalise: Normalisation = "tokens",
        shard_bytes: int = _SHARD_BYTES,
        inputs: Iterable[Place] = (),
        force: bool = False,
    ) -> ScoreStore:
        """Write a store to ``folder``. Domains are taken, written and let go one at a time.

        ``provenance`` is kept in the manifest: what made the scores (model, corpus, estimator, settings). ``inputs``
        are paths that ``folder`` must keep clear of; ``force`` replaces what this package wrote there before.

        Raises:
            OutputError: ``folder`` may not be written to (:func:`codingspot.outputs.check_folder`).
            ArtefactError: there is no domain, two share a name, or their tensors differ in name or shape.
            NonFiniteError: a score is NaN or infinite.
        """
        with store_writer(
            folder, provenance=provenance, normalise=normalise, shard_bytes=shard_bytes, inputs=inputs, force=force
        ) as writer:
            for new in domains:
                writer.add(new)
                del new  # its scores must be gone before the next domain's are made
        return cls.open(folder)

    @classmethod
    def open(cls, folder: str | Path) -> ScoreStore:
        """Open a store, checking that every tensor it lists is there whole. Reads headers only.

        Raises:
            ArtefactError: the folder is missing, truncated, corrupt, or holds something else.
        """
        folder = Path(folder)
        file = folder / "manifest.json"
        manifest = read_json(file)
        if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
            raise ArtefactError(f"{folder} is not a score store; give a folder made by 'codingspot score'")
        manifest = read_plain(file, StoreManifest, what="the manifest of a score store", way_out="score again")
        domains = tuple(
            DomainScores(**{**entry, "files": tuple(entry["files"])}) for entry in map(_own_keys, manifest["domains"])
        )
        layout = ParameterLayout.from_json(manifest["layout"], str(file))
        store = cls(folder, layout, domains, manifest["normalise"], manifest)
        for domain in domains:
            store._check_files(domain)
        return store

    @cached_property
    def traits(self) -> EstimatorTraits:
        """What the scores are, as their estimator declares it; those at fine-tuned weights neither add up nor predict.

        Raises:
            StudyError: the estimator isn't installed any more.
        """
        made = dict(self.manifest.get("estimator") or {})
        if not made:
            return EstimatorTraits()
        found = estimator_traits(str(made.pop("name")), made)
        tuned = (self.manifest.get("settings") or {}).get("finetune") is not None
        return replace(found, additive=False, first_order=False) if tuned else found

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the manifest: what the scores were made from, their settings and their statistics."""
        return digest(json.dumps(self.manifest, sort_keys=True))

    def domain(self, name: str) -> DomainScores:
        """What the store holds about the domain of that name.

        Raises:
            ArtefactError: there is none; the message lists those there are.
        """
        for domain in self.domains:
            if domain.name == name:
                return domain
        known = ", ".join(domain.name for domain in self.domains)
        raise ArtefactError(f"score store {self.folder} has no domain {name!r}; it has {known}")

    def names(self, kind: DomainKind) -> tuple[str, ...]:
        """Names of the domains of one kind."""
        return tuple(domain.name for domain in self.domains if domain.kind == kind)

    def with_normalisation(self, normalise: Normalisation) -> ScoreStore:
        """The same scores whose magnitudes are normalised otherwise."""
        return replace(self, normalise=normalise)

    def with_kinds(self, kinds: Mapping[str, DomainKind]) -> ScoreStore:
        """The same scores with some domains called code or general otherwise."""
        domains = tuple(replace(domain, kind=kinds.get(domain.name, domain.kind)) for domain in self.domains)
        return replace(self, domains=domains)

    def of(self, code: Iterable[str], general: Iterable[str]) -> ScoreStore:
        """The same scores of these domains alone, the first called code and the others general.

        Raises:
            ArtefactError: there is no domain of such a name.
        """
        kinds: dict[str, DomainKind] = {**dict.fromkeys(code, "code"), **dict.fromkeys(general, "general")}
        return replace(self, domains=tuple(replace(self.domain(name), kind=kind) for name, kind in kinds.items()))

    def tensor(self, domain: str, name: str) -> Tensor:
        """The signed scores of one parameter for one domain: float32, of the parameter's shape."""
        return self.part(domain, name, 0, self.layout.sizes[name]).view(self.layout.shape(name))

    def part(self, domain: str, name: str, start: int, stop: int) -> Float32[Tensor, " n"]:
        """Signed scores from ``start`` to ``stop`` of one flattened parameter, read from disk.

        Raises:
            ArtefactError: the file was removed or cut since the store was opened.
        """
        path, offset = self._data_offsets[domain][name]
        try:
            values = np.fromfile(path, dtype="<f4", count=stop - start, offset=offset + 4 * start)
        except OSError as error:
            raise ArtefactError(f"{path} can't be read ({error.strerror}); score again") from None
        if len(values) != stop - start:
            raise ArtefactError(f"{path} is truncated; score again")
        return torch.from_numpy(values)

    def magnitude(self, domain: str, name: str, start: int, stop: int) -> Float32[Tensor, " n"]:
        """Magnitudes, which rank parameters, from ``start`` to ``stop`` of one flattened parameter.

        With normalisation ``tokens`` this is ``|I|``, whose loss is a mean over the domain's tokens; with
        ``none`` ``|I|`` times their number (the loss summed); with ``zscore`` ``(|I| - mean) / deviation``
        within the domain.
        """
        values = self.part(domain, name, start, stop).abs_()
        about = self.domain(domain)
        if self.normalise == "none":
            return values.mul_(about.predicted_tokens)
        if self.normalise == "zscore":
            return values.sub_(about.mean).div_(about.deviation or 1.0)
        return values

    def check_model(self, fingerprint: str) -> None:
        """Make sure that the scores were made from the weights with this fingerprint.

        Raises:
            FingerprintError: they were made from others.
        """
        made_from = (self.manifest.get("model") or {}).get("fingerprint")
        if made_from is not None and made_from != fingerprint:
            raise FingerprintError(
                f"score store {self.folder} was made from other weights ({made_from[:12]}, not {fingerprint[:12]}); "
                "load that model or score again"
            )

    @cached_property
    def _data_offsets(self) -> dict[str, dict[str, tuple[Path, int]]]:
        """File and byte offset of every tensor, by domain and name."""
        return {
            domain.name: {
                name: (self.folder / file, offset)
                for file in domain.files
                for name, offset in _tensor_offsets(self.folder / file)
            }
            for domain in self.domains
        }

    def _check_files(self, domain: DomainScores) -> None:
        found: dict[str, tuple[int, ...]] = {}
        for file in domain.files:
            path = self.folder / file
            try:
                with safe_open(path, framework="pt") as tensors:
                    for name in tensors.keys():  # noqa: SIM118 - not a mapping
                        part = tensors.get_slice(name)
                        if part.get_dtype() != "F32":
                            raise ArtefactError(f"{path} holds {name} as {part.get_dtype()}, not F32; score again")
                        found[name] = tuple(part.get_shape())
            except (OSError, SafetensorError) as error:
                raise ArtefactError(f"{path} is missing, truncated or corrupt ({reason(error)}); score again") from None
        if found != dict(zip(self.layout.names, self.layout.shapes, strict=True)):
            raise ArtefactError(
                f"the tensors of domain {domain.name!r} in {self.folder} differ from those listed; score again"
            )


@dataclass
class StoreWriter:
    """A store on its way to disk, domain by domain."""

    folder: Path
    shard_bytes: int = _SHARD_BYTES
    layout: ParameterLayout | None = None
    domains: list[DomainScores] = field(default_factory=list)

    def add(self, new: NewDomainScores) -> None:
        """Write the scores of one domain, which may then be let go.

        Raises:
            ArtefactError: its name was there before, or its tensors differ from the others' in name or shape.
            NonFiniteError: a score is NaN or infinite.
        """
        own_layout = ParameterLayout.of(new.scores)
        if self.layout is not None and own_layout != self.layout:
            raise ArtefactError(f"domain {new.name!r} has other tensors than the domains before it")
        if new.name in {domain.name for domain in self.domains}:
            raise ArtefactError(f"two domains are named {new.name!r}; rename one")
        self.layout = own_layout
        self.domains.append(_write_domain(self.folder, new, self.shard_bytes))


@contextmanager
def store_writer(
    folder: Path,
    *,
    provenance: Mapping[str, Any] | None = None,
    normalise: Normalisation = "tokens",
    shard_bytes: int = _SHARD_BYTES,
    inputs: Iterable[Place] = (),
    force: bool = False,
) -> Iterator[StoreWriter]:
    """What a store is written with, domain by domain; it stands at ``folder`` when the block has ended well.

    Raises:
        OutputError: as :meth:`ScoreStore.write`.
        ArtefactError: no domain was written.
    """
    with new_folder(folder, FORMAT, inputs=inputs, force=force) as temporary:
        writer = StoreWriter(temporary, shard_bytes)
        yield writer
        if writer.layout is None:
            raise ArtefactError(f"score store {folder} would be empty; give it at least one domain")
        manifest = {
            **(provenance or {}),
            "format": FORMAT,
            "normalise": normalise,
            "versions": library_versions(),
            "domains": [asdict(domain) for domain in writer.domains],
            "layout": writer.layout.to_json(),
        }
        write_json(temporary / "manifest.json", manifest)


def _own_keys(entry: Mapping[str, Any]) -> dict[str, Any]:
    """What this version knows of a domain's entry."""
    return {each.name: entry[each.name] for each in fields(DomainScores) if each.name in entry}


def mean_and_deviation(scores: Iterable[Tensor]) -> tuple[float, float]:
    """Mean and standard deviation of the absolute values of all the tensors together."""
    total = magnitude_sum = square_sum = 0.0
    for each in scores:
        total += each.numel()
        magnitude_sum += float(torch.linalg.vector_norm(each, 1, dtype=torch.float64))
        square_sum += float(torch.linalg.vector_norm(each, 2, dtype=torch.float64)) ** 2
    mean = magnitude_sum / total
    return mean, math.sqrt(max(0.0, square_sum / total - mean**2))


def _write_domain(folder: Path, new: NewDomainScores, shard_bytes: int) -> DomainScores:
    for name, scores in new.scores.items():
        if scores.numel() and not all(math.isfinite(bound) for bound in scores.aminmax()):
            raise NonFiniteError(f"the scores of {name} in domain {new.name!r} hold NaN or infinity; score in float32")
    mean, deviation = mean_and_deviation(new.scores.values())
    shards = list(_shards(new.scores, shard_bytes))
    files = []
    for number, shard in enumerate(shards, start=1):
        suffix = "" if len(shards) == 1 else f"-{number:05d}-of-{len(shards):05d}"
        file = f"{quote(new.name, safe='')}{suffix}.safetensors"
        tensors = {name: new.scores[name].detach().to("cpu", torch.float32).contiguous() for name in shard}
        save_file(tensors, folder / file)
        files.append(file)
    return DomainScores(
        name=new.name,
        kind=new.kind,
        predicted_tokens=new.predicted_tokens,
        mean=mean,
        deviation=deviation,
        files=tuple(files),
        details=dict(new.details),
    )


def _shards(scores: Mapping[str, Tensor], shard_bytes: int) -> Iterator[list[str]]:
    """Names of the tensors of each file, in order, so that no file but one of a single tensor exceeds the size."""
    shard: list[str] = []
    size = 0
    for name in sorted(scores):
        tensor_bytes = 4 * scores[name].numel()
        if shard and size + tensor_bytes > shard_bytes:
            yield shard
            shard, size = [], 0
        shard.append(name)
        size += tensor_bytes
    yield shard


def _tensor_offsets(path: Path) -> Iterator[tuple[str, int]]:
    """Name and byte offset of each tensor, from the header of a safetensors file.

    The library maps whole files into memory; offsets let a part of a tensor be read into a bounded buffer
    instead.
    """
    with path.open("rb") as file:
        size = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(size))
    for name, entry in header.items():
        if name != "__metadata__":
            yield name, 8 + size + entry["data_offsets"][0]
