"""Scores on disk: one value a parameter and domain, read lazily as float32, tensor by tensor or part by part.

A store is a folder with ``manifest.json`` and, for each domain, one or more safetensors files. Scores are
signed where their estimator has a sign; their *magnitude*, which ranks parameters, is the absolute value
under the store's normalisation.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from jaxtyping import Float32
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from codingspot.corpus import Corpus, DomainKind
from codingspot.errors import ArtefactError, FingerprintError
from codingspot.files import digest, read_json, reason
from codingspot.importance.estimators import EstimatorTraits, estimator_traits
from codingspot.importance.halving import FORMS, KeptScores, kept_scores
from codingspot.importance.manifest import FORMAT, DomainScores, Normalisation, ScoreDtype, StoreManifest
from codingspot.importance.writing import (
    FOLDED,
    SHARD_BYTES,
    NewDomainScores,
    store_writer,
    texts_of,
)
from codingspot.mirrors import mirror_of
from codingspot.models import ParameterLayout
from codingspot.outputs import Place
from codingspot.records import read_plain


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
        keep_dtype: ScoreDtype = "float32",
        shard_bytes: int = SHARD_BYTES,
        inputs: Iterable[Place] = (),
        force: bool = False,
    ) -> ScoreStore:
        """Write a store to ``folder``. Domains are taken, written and let go one at a time.

        ``provenance`` is kept in the manifest: what made the scores (model, corpus, estimator, settings).
        ``keep_dtype`` is the type on disk (:mod:`codingspot.importance.halving`). ``inputs`` are paths that ``folder``
        must keep clear of; ``force`` replaces what this package wrote there before.

        Raises:
            OutputError: ``folder`` may not be written to (:func:`codingspot.outputs.check_folder`).
            ArtefactError: there is no domain, two share a name, or their tensors differ in name or shape.
            NonFiniteError: a score is NaN or infinite.
        """
        with store_writer(
            folder,
            provenance=provenance,
            normalise=normalise,
            keep_dtype=keep_dtype,
            shard_bytes=shard_bytes,
            inputs=inputs,
            force=force,
        ) as writer:
            for new in domains:
                writer.add(new)
                del new  # its scores must be gone before the next domain's are made
        return cls.open(folder)

    @classmethod
    def unscored(cls, model: nn.Module, corpus: Corpus) -> ScoreStore:
        """The domains that a corpus has to score, of which nothing was: what a recipe that reads no scores is given."""
        domains = tuple(DomainScores(domain.name, domain.kind, 1, 0.0, 0.0, ()) for domain in corpus.scored)
        return cls(Path(), ParameterLayout.of(model), domains, "tokens", {})

    @classmethod
    def open(cls, folder: str | Path) -> ScoreStore:
        """Open a store, checking that every tensor it lists is there whole. Reads headers only.

        Files that are still to be fetched (:mod:`codingspot.remote`) are checked when their domain is read.

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
            if not any(mirror_of(file).is_awaited(file) for file in store._files(domain)):
                store._check_files(domain)
        return store

    @cached_property
    def traits(self) -> EstimatorTraits:
        """What the scores are, as their estimator declares it; those at fine-tuned weights neither add up nor predict,
        nor do magnitudes that were added up.

        Raises:
            StudyError: the estimator isn't installed any more.
        """
        made = dict(self.manifest.get("estimator") or {})
        if not made:
            return EstimatorTraits()
        found = estimator_traits(str(made.pop("name")), made)
        tuned = (self.manifest.get("settings") or {}).get("finetune") is not None
        return replace(found, additive=False, first_order=False) if tuned or self.folded else found

    @property
    def scored(self) -> bool:
        """Whether there are any scores."""
        return any(domain.files for domain in self.domains)

    @property
    def folded(self) -> bool:
        """Whether the languages' magnitudes were added up, and are kept as one domain."""
        return any("languages" in domain.details for domain in self.domains if domain.name == FOLDED)

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

    def texts(self, kind: DomainKind) -> tuple[str, ...]:
        """Names of the text of one kind that was scored: those of its domains, or of the languages that were folded."""
        return tuple(text for domain in self.domains if domain.kind == kind for text in texts_of(domain))

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
            ArtefactError: there is no domain of such a name, or its scores were added to others' that aren't asked for.
        """
        code = tuple(code)
        if self.folded:
            added = set(self.texts("code"))
            if set(code) != added:
                raise ArtefactError(
                    f"score store {self.folder} keeps the sum of {', '.join(sorted(added))} alone; score again with "
                    "scoring.keep: all"
                )
            code = (FOLDED,)
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
        if domain not in self._kept:
            self._kept[domain] = self._read_places(self.domain(domain))
        return self._kept[domain][name].read(start, stop)

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
    def _kept(self) -> dict[str, dict[str, KeptScores]]:
        """Where every tensor's scores are, by name, of each domain that was read."""
        return {}

    def _read_places(self, domain: DomainScores) -> dict[str, KeptScores]:
        awaited = [file for file in self._files(domain) if mirror_of(file).is_awaited(file)]
        for file in awaited:
            mirror_of(file).present(file)
        if awaited:
            self._check_files(domain)
        return {name: kept for file in self._files(domain) for name, kept in kept_scores(file).items()}

    def _files(self, domain: DomainScores) -> list[Path]:
        return [self.folder / file for file in domain.files]

    def _check_files(self, domain: DomainScores) -> None:
        found: dict[str, tuple[int, ...]] = {}
        form = FORMS[self.manifest.get("keep_dtype", "float32")]
        for path in self._files(domain):
            try:
                with safe_open(path, framework="pt") as tensors:
                    for name in tensors.keys():  # noqa: SIM118 - not a mapping
                        part = tensors.get_slice(name)
                        if part.get_dtype() != form:
                            raise ArtefactError(f"{path} holds {name} as {part.get_dtype()}, not {form}; score again")
                        found[name] = tuple(part.get_shape())
            except (OSError, SafetensorError) as error:
                raise ArtefactError(f"{path} is missing, truncated or corrupt ({reason(error)}); score again") from None
            kept_scores(path)
        if found != dict(zip(self.layout.names, self.layout.shapes, strict=True)):
            raise ArtefactError(
                f"the tensors of domain {domain.name!r} in {self.folder} differ from those listed; score again"
            )


def _own_keys(entry: Mapping[str, Any]) -> dict[str, Any]:
    """What this version knows of a domain's entry."""
    return {each.name: entry[each.name] for each in fields(DomainScores) if each.name in entry}
