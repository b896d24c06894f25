"""Writing a score store, domain by domain, so that no more than one domain's scores are in memory.

Languages may be *folded*: of all of them together the sum of magnitudes is kept, as one domain of code, which is all
that a recipe needs that adds them up.
"""

from __future__ import annotations

import math
from collections.abc import Container, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor

from codingspot.corpus import DomainKind
from codingspot.errors import ArtefactError, FingerprintError, NonFiniteError
from codingspot.files import remove, room_for, write_json
from codingspot.importance.halving import halve
from codingspot.importance.journal import JOURNAL, differing, finished_in, note
from codingspot.importance.manifest import FORMAT, DomainScores, Normalisation, ScoreDtype
from codingspot.models import ParameterLayout
from codingspot.models.finite import all_finite
from codingspot.models.parts import parts
from codingspot.models.ranks import ALONE, Ranks, own_part
from codingspot.outputs import MANIFEST, Place, check_folder, new_folder
from codingspot.provenance import library_versions
from codingspot.tensor_files import Form, places, raw, set_aside

FOLDED = "code"
"""Name of the domain that folded languages make together."""

# The library copies all of a file's tensors while it writes them.
SHARD_BYTES = 1 << 29


@dataclass(frozen=True)
class NewDomainScores:
    """Scores of one domain on their way into a store: a tensor for each parameter name."""

    name: str
    kind: DomainKind
    scores: Mapping[str, Tensor]
    predicted_tokens: int = 1
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass
class StoreWriter:
    """A store on its way to disk, domain by domain.

    With ``made_from``, its provenance, it keeps a journal in the folder, and can be gone on with after being stopped.
    """

    folder: Path
    shard_bytes: int = SHARD_BYTES
    layout: ParameterLayout | None = None
    domains: list[DomainScores] = field(default_factory=list)
    made_from: Mapping[str, Any] | None = None
    keep_dtype: ScoreDtype = "float32"

    @property
    def texts(self) -> list[str]:
        """Names of the domains that were written, folded ones by their own."""
        return [text for domain in self.domains for text in texts_of(domain)]

    def forget_all_but(self, texts: Container[str]) -> None:
        """Take domains for not written that have other text."""
        self.domains = [domain for domain in self.domains if all(text in texts for text in texts_of(domain))]

    def add(self, new: NewDomainScores) -> None:
        """Write the scores of one domain, which may then be let go.

        Raises:
            ArtefactError: its name was there before, or its tensors differ from the others' in name or shape.
            NonFiniteError: a score is NaN or infinite.
        """
        if new.name in {domain.name for domain in self.domains}:
            raise ArtefactError(f"two domains are named {new.name!r}; rename one")
        self._take_layout(new)
        self.domains.append(_write_domain(self.folder, new, self.shard_bytes))
        if new.name != FOLDED and Ranks.of(new.scores.values()).own == 0:  # each has written its part by now
            self.finish(self.domains[-1])
        self.note()

    def add_parts(self, new: NewDomainScores, layout: ParameterLayout, given: Iterable[Mapping[str, Tensor]]) -> None:
        """Write the scores of a domain, of ``layout``, as they are given: some tensors, then others, till all are.

        Raises:
            ArtefactError, NonFiniteError: as :meth:`add`.
        """
        forms = {name: torch.empty(layout.shape(name), device="meta") for name in layout.names}
        self._take_layout(replace(new, scores=forms))
        files = _files(replace(new, scores=forms), self.shard_bytes)
        homes = {}
        for file, names in files.items():
            set_aside(self.folder / file, {name: _form(forms[name]) for name in names})
            homes.update({name: (self.folder / file, place) for name, place in places(self.folder / file).items()})

        def written() -> Iterator[Tensor]:
            for name, scores in (each for part in given for each in part.items()):
                _require_finite(name, scores, new.name)
                file, place = homes.pop(name)
                with file.open("r+b") as stream:
                    stream.seek(place.start)
                    stream.write(raw(scores.to("cpu", torch.float32)))
                yield scores

        mean, deviation = mean_and_deviation(written())
        if homes:
            raise ArtefactError(f"domain {new.name!r} has no scores of {min(homes)}; score the model as a whole")
        self.domains.append(_domain(new, mean, deviation, files))
        self.note()

    def fold(self, new: NewDomainScores) -> None:
        """Add a language's magnitudes, in place of its scores, to those of :data:`FOLDED`.

        Raises:
            ArtefactError, NonFiniteError: as :meth:`add`.
        """
        for scores in new.scores.values():
            scores.abs_()
        language = {**new.details, "name": new.name, "predicted_tokens": new.predicted_tokens}
        if not any(domain.name == FOLDED for domain in self.domains):
            self.add(replace(new, name=FOLDED, details={**new.details, "languages": [language]}))
            return
        self._take_layout(new)
        self.note(whole=False)
        self.domains = [self._folded(domain, new, language) for domain in self.domains]
        self.note()

    def finish(self, domain: DomainScores) -> None:
        """Keep the scores of a domain, to which no more are added, in the store's type."""
        if self.keep_dtype == "float16":
            for file in domain.files:
                halve(self.folder / file)

    def note(self, *, whole: bool = True) -> None:
        """Keep the journal (:func:`codingspot.importance.journal.note`), where the writer can be gone on with."""
        if self.made_from is not None:
            note(self.folder, self.made_from, self.layout, self.domains, whole=whole)

    def _take_layout(self, new: NewDomainScores) -> None:
        own_layout = ParameterLayout.of(new.scores)
        if self.layout is not None and own_layout != self.layout:
            raise ArtefactError(f"domain {new.name!r} has other tensors than the domains before it")
        self.layout = own_layout

    def _folded(self, domain: DomainScores, new: NewDomainScores, language: dict[str, Any]) -> DomainScores:
        """The domain :data:`FOLDED` with another language in it, its files changed in place; any other as it is."""
        if domain.name != FOLDED:
            return domain
        mean, deviation = mean_and_deviation(self._sums(domain, new))
        tokens = domain.details.get("tokens", 0) + language.get("tokens", 0)
        return replace(
            domain,
            predicted_tokens=domain.predicted_tokens + new.predicted_tokens,
            mean=mean,
            deviation=deviation,
            details={"tokens": tokens, "languages": [*domain.details["languages"], language]},
        )

    def _sums(self, domain: DomainScores, new: NewDomainScores) -> Iterator[Tensor]:
        """Parts of the domain's scores in its files, after those of ``new`` were added.

        No more than a part is mapped at a time: what is mapped counts as the process's memory.
        """
        for file in domain.files:
            for name, place in places(self.folder / file).items():
                offset, scores = place.start, new.scores[name].detach().flatten()
                for (added,) in parts(scores) if len(scores) else ():
                    mapped = np.memmap(self.folder / file, "<f4", "r+", offset, (len(added),))
                    yield torch.from_numpy(mapped).add_(added.to("cpu", torch.float32))
                    offset += mapped.nbytes


@contextmanager
def store_writer(
    folder: Path,
    *,
    provenance: Mapping[str, Any] | None = None,
    normalise: Normalisation = "tokens",
    keep_dtype: ScoreDtype = "float32",
    shard_bytes: int = SHARD_BYTES,
    inputs: Iterable[Place] = (),
    force: bool = False,
    partial: Path | None = None,
    ranks: Ranks = ALONE,
) -> Iterator[StoreWriter]:
    """What a store is written with, domain by domain; it stands at ``folder`` when the block has ended well.

    Until then it is in the folder ``partial``, if that is given, which stays where the block ends otherwise and a
    domain was written: the next writer there, for a store of the same provenance, has the domains that were written.
    One for a store of another provenance is refused, or, with ``force``, begins anew.
    Several ``ranks`` write one store together: the first makes its folder, each writes the scores that it holds, and
    the domains of all, the first's first, are the store's.

    Raises:
        FingerprintError: this one of the ``ranks`` was given another provenance than the first.
        OutputError: as :meth:`ScoreStore.write`; or ``partial`` is there and this package did not leave it, or left it
            for a store of another provenance.
        ArtefactError: no domain was written.
    """
    made_from = {**(provenance or {}), **({} if keep_dtype == "float32" else {"keep_dtype": keep_dtype})}
    if ranks.own > 0:
        place, of_first = ranks.first((folder, made_from))
        others = differing(of_first, made_from)
        if others:
            raise FingerprintError(
                f"rank {ranks.own} scores with another {' and '.join(others)} than rank 0; give all the same files"
            )
        writer = StoreWriter(place, shard_bytes, keep_dtype=keep_dtype)
        with room_for(folder):
            yield writer
        ranks.each(writer.domains)
        ranks.wait()
        return
    with new_folder(folder, FORMAT, inputs=inputs, force=force) as temporary:
        if partial is not None:
            temporary.rmdir()
        place = temporary if partial is None else partial
        writer = StoreWriter(place, shard_bytes, keep_dtype=keep_dtype)
        if partial is not None:
            writer.layout, writer.domains = finished_in(partial, made_from, force=force)
            writer.made_from = made_from
            writer.note()  # from now on the folder is known as this package's
        ranks.first((place, made_from))
        try:
            yield writer
        except BaseException:
            if partial is not None and not writer.domains:
                remove(partial)
            raise
        found = {domain.name: domain for own in ranks.each(writer.domains) for domain in own}
        for domain in found.values():
            writer.finish(domain)
        if writer.layout is None:
            raise ArtefactError(f"score store {folder} would be empty; give it at least one domain")
        manifest = {
            **made_from,
            "format": FORMAT,
            "normalise": normalise,
            "versions": library_versions(),
            "domains": [asdict(domain) for domain in found.values()],
            "layout": writer.layout.to_json(),
        }
        write_json(place / MANIFEST, manifest)
        if partial is not None:
            check_folder(folder, force=force)  # before the move: what may not appear stays where it can be gone on with
            partial.rename(temporary)
            (temporary / JOURNAL).unlink()
    ranks.wait()


def texts_of(domain: DomainScores) -> list[str]:
    """The names of the text whose scores a domain has: its own, or those of the languages that were folded into it."""
    return [str(each["name"]) for each in domain.details.get("languages", [{"name": domain.name}])]


_ROW = 4096
"""Scores that are added up by one thread."""


def mean_and_deviation(scores: Iterable[Tensor], ranks: Ranks = ALONE) -> tuple[float, float]:
    """Mean and standard deviation of the absolute values of all the tensors together, and of all ``ranks``' parts."""
    total = magnitude_sum = square_sum = 0.0
    for (part,) in (part for each in scores for part in parts(each)):  # each is copied in float64
        total += part.numel()
        for rows in (part[: len(part) // _ROW * _ROW].view(-1, _ROW), part[len(part) // _ROW * _ROW :][None]):
            # A row is one thread's, and rows are too few to be divided: sums don't depend on the number of threads.
            magnitude_sum += float(torch.linalg.vector_norm(rows, 1, dim=1, dtype=torch.float64).sum())
            square_sum += float(torch.linalg.vector_norm(rows, 2, dim=1, dtype=torch.float64).square().sum())
    total, magnitude_sum, square_sum = ranks.sums(total, magnitude_sum, square_sum)
    mean = magnitude_sum / total
    return mean, math.sqrt(max(0.0, square_sum / total - mean**2))


def _write_domain(folder: Path, new: NewDomainScores, shard_bytes: int) -> DomainScores:
    for name, scores in new.scores.items():
        _require_finite(name, scores, new.name)
    ranks = Ranks.of(new.scores.values())
    mean, deviation = mean_and_deviation(new.scores.values(), ranks)
    files = _files(new, shard_bytes)
    for file, names in files.items():
        _save({name: new.scores[name].detach() for name in names}, folder / file, ranks)
    return _domain(new, mean, deviation, files)


def _require_finite(name: str, scores: Tensor, domain: str) -> None:
    if not all_finite(scores):
        raise NonFiniteError(f"the scores of {name} in domain {domain!r} hold NaN or infinity; score in float32")


def _files(new: NewDomainScores, shard_bytes: int) -> dict[str, list[str]]:
    """The files of a domain, and the names of the tensors of each."""
    shards = list(_shards(new.scores, shard_bytes))
    start = quote(new.name, safe="")
    ends = [""] if len(shards) == 1 else [f"-{n + 1:05d}-of-{len(shards):05d}" for n in range(len(shards))]
    return {f"{start}{end}.safetensors": shard for end, shard in zip(ends, shards, strict=True)}


def _form(tensor: Tensor) -> Form:
    """How the scores of a tensor's shape are written."""
    return Form("F32", tuple(tensor.shape), 4 * tensor.numel())


def _domain(new: NewDomainScores, mean: float, deviation: float, files: Iterable[str]) -> DomainScores:
    return DomainScores(
        name=new.name,
        kind=new.kind,
        predicted_tokens=new.predicted_tokens,
        mean=mean,
        deviation=deviation,
        files=tuple(files),
        details=dict(new.details),
    )


def _save(tensors: Mapping[str, Tensor], file: Path, ranks: Ranks) -> None:
    """Write tensors to a file in float32; of those in shards every rank its own rows, at their place."""
    own = {name: own_part(tensor).to("cpu", torch.float32).contiguous() for name, tensor in tensors.items()}
    if ranks.count == 1:
        save_file(own, file)
        return
    if ranks.own == 0:
        set_aside(file, {name: _form(each) for name, each in tensors.items()})
    ranks.wait()
    with file.open("r+b") as stream:
        for name, place in places(file).items():
            row = place.size // max(1, place.shape[0])
            stream.seek(place.start + row * ranks.first_row(place.shape[0]))
            stream.write(raw(own[name]))
    ranks.wait()


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
