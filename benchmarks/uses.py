"""What the experiments on the uses of a spot share: a model with text of one seed, its spots, saved rows.

Spots are found from three languages and English; Python takes no part in finding, removing or relearning. Losses are
of text that nothing else reads. A testbed model has its own text; any other is given a folder of it (--corpus), whose
general domains stand for English.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol

import pandas as pd
import torch

from codingspot import load_model
from codingspot.corpus import Corpus, Domain, PackedTokens, open_corpus, pack
from codingspot.importance import ScoreStore, score
from codingspot.learning import domain_losses
from codingspot.models import LoadedModel, Units, find_units
from codingspot.models.shipped import model_source
from codingspot.spot import Spot, find_spot, training_text
from codingspot.testbed.world import pure_code, world_corpus
from codingspot.units import find_units_spot

LANGUAGES = ("bash", "java", "javascript")
"""Languages that all models know, beside Python."""
LENGTH = 128
_UNSEEN, _PROGRAMS = 7_000_001, 9_000_001  # seeds of texts that are neither trained on nor scored


class Text(Protocol):
    """Where text comes from; the three kinds share none."""

    def to_find(self, tokens: int, seed: int) -> Corpus:
        """Text that spots are found in: about ``tokens`` a domain, Python held out."""

    def held_out(self, languages: Sequence[str], tokens: int) -> tuple[Domain, ...]:
        """Text for losses, about ``tokens`` a domain: the languages, and general text."""

    def programs(self, language: str, count: int, seed: int) -> Domain:
        """Programs to learn from."""


class WorldText:
    """The testbed's own, as much as is asked for."""

    def to_find(self, tokens: int, seed: int) -> Corpus:
        """Programs and English of that seed."""
        return world_corpus(tokens // 20, seed, (*LANGUAGES, "python"))

    def held_out(self, languages: Sequence[str], tokens: int) -> tuple[Domain, ...]:
        """The same for every seed."""
        return world_corpus(tokens // 16, _UNSEEN, tuple(languages)).domains

    def programs(self, language: str, count: int, seed: int) -> Domain:
        """Programs of that seed."""
        return Domain(language, "code", pure_code(language, count, _PROGRAMS + seed))


class FolderText:
    """A corpus in a folder: of every five texts of a domain one is for losses and one, of a language, to learn from."""

    def __init__(self, folder: Path) -> None:
        self._domains = {domain.name: domain for domain in open_corpus(folder).domains}
        self._general = [each.name for each in self._domains.values() if each.kind == "general" and not each.held_out]

    def to_find(self, tokens: int, seed: int) -> Corpus:
        """All that is left: which of it is read is drawn by the seed as it is packed."""
        del tokens, seed
        return Corpus("folder", tuple(self._part(name, 2, 3, 4) for name in (*LANGUAGES, "python", *self._general)))

    def held_out(self, languages: Sequence[str], tokens: int) -> tuple[Domain, ...]:
        """A fifth of the texts."""
        del tokens
        return tuple(self._part(name, 0) for name in (*languages, *self._general))

    def programs(self, language: str, count: int, seed: int) -> Domain:
        """The first of them, in an order drawn by the seed."""
        texts = self._part(language, 1).texts
        chosen = torch.randperm(len(texts), generator=torch.Generator().manual_seed(seed))[:count]
        return Domain(language, "code", tuple(texts[place] for place in chosen.tolist()))

    def _part(self, name: str, *rests: int) -> Domain:
        domain = self._domains[name]
        texts = tuple(text for place, text in enumerate(domain.texts) if place % 5 in rests)
        return replace(domain, texts=texts, held_out=name == "python")


@dataclass(frozen=True)
class World:
    """A model with text of a seed: ``tokens`` a language to find spots in, ``held_out`` a domain for losses."""

    loaded: LoadedModel
    text: Text
    seed: int
    tokens: int
    held_out: int
    scratch: Path

    @cached_property
    def corpus(self) -> Corpus:
        """Text that spots are found in."""
        return self.text.to_find(self.tokens, self.seed)

    @cached_property
    def store(self) -> ScoreStore:
        """Taylor scores of it."""
        return ScoreStore.open(self.scored_in("taylor"))

    def scored_in(self, estimator: str) -> Path:
        """The folder of its scores by an estimator."""
        folder = self.scratch / f"{estimator}-{self.seed}"
        if not folder.exists():
            score(self.loaded, self.corpus, folder, estimator=estimator, **self._packing)
        return folder

    def texts(self) -> tuple[dict[str, PackedTokens], dict[str, PackedTokens]]:
        """The same text in sequences: the languages' and general text."""
        return training_text(self.corpus, self.loaded, **self._packing)

    @property
    def general(self) -> PackedTokens:
        """All general text of it."""
        return joined("general", list(self.texts()[1].values()))

    @property
    def _packing(self) -> dict[str, int]:
        return {"sequence_length": LENGTH, "token_budget": self.tokens, "seed": self.seed}

    def weight_spot(self, k: float) -> Spot:
        """Single weights of the blocks that code needs and general text doesn't."""
        return find_spot(self.store, recipe="set_difference", scope="blocks", max_k_percent=k)

    def unit_spot(self, k: float) -> Spot:
        """Whole neurons, by their activation on code over that on general text."""
        how = {"unit": "neuron", "score": "rms", "contrast": "ratio"}
        return find_units_spot(
            self.loaded, self.corpus, max_k_percent=k, token_budget=self.tokens, sequence_length=LENGTH, **how
        ).spot

    @cached_property
    def units(self) -> Units:
        """The model's neurons."""
        return find_units(self.loaded.model, "neuron")

    @property
    def held_out_domains(self) -> tuple[Domain, ...]:
        """Text for losses, the same for every seed."""
        return self.text.held_out((*LANGUAGES, "python"), self.held_out)

    def losses(self, loaded: LoadedModel | None = None) -> Callable[[], dict[str, float]]:
        """What reads losses, nats a token: ``code`` (mean of the languages), ``python`` and ``english``.

        The last is the mean of all general domains.
        """
        loaded, domains = loaded or self.loaded, self.held_out_domains
        general = [domain.name for domain in domains if domain.kind == "general"]
        read = domain_losses(loaded, {domain.name: self.packed(domain) for domain in domains})

        def measure() -> dict[str, float]:
            found = read()
            code, english = (sum(found[name] for name in side) / len(side) for side in (LANGUAGES, general))
            return {"code": code, "python": found["python"], "english": english}

        return measure

    def packed(self, domain: Domain) -> PackedTokens:
        """Held-out text in sequences."""
        return pack(domain, self.loaded.tokenizer, sequence_length=LENGTH, token_budget=self.held_out, seed=0)

    def programs(self, count: int, languages: Sequence[str] = LANGUAGES) -> PackedTokens:
        """As many programs, of all the languages alike."""
        how = {"sequence_length": LENGTH, "token_budget": 1 << 20, "seed": self.seed}
        domains = (self.text.programs(name, count // len(languages), self.seed) for name in languages)
        return joined("programs", [pack(domain, self.loaded.tokenizer, **how) for domain in domains])


def joined(name: str, texts: Sequence[PackedTokens]) -> PackedTokens:
    """The sequences of several domains as those of one."""
    return replace(texts[0], domain=name, input_ids=torch.cat([text.input_ids for text in texts]))


def copied(loaded: LoadedModel) -> LoadedModel:
    """A model of its own with the same weights."""
    return LoadedModel(deepcopy(loaded.model), loaded.tokenizer, loaded.id)


class Saved:
    """Rows by what they are of, in a JSON file: a stopped run goes on, one with other settings is refused."""

    def __init__(self, path: Path, settings: Mapping[str, Any]) -> None:
        self._path = path
        kept = json.loads(path.read_text()) if path.exists() else {"settings": dict(settings), "rows": {}}
        if kept["settings"] != dict(settings):
            raise SystemExit(f"{path} was made with {kept['settings']}; choose another --out")
        self._kept = kept

    def add(self, key: Hashable, make: Callable[[], Iterable[Mapping[str, Any]]]) -> None:
        """Make the rows of a key and save them, unless they are there."""
        if str(key) not in self._kept["rows"]:
            self._kept["rows"][str(key)] = [dict(row) for row in make()]
            self._path.write_text(json.dumps(self._kept))
            print(f"{key} done", flush=True)

    @property
    def table(self) -> pd.DataFrame:
        """All rows."""
        return pd.DataFrame([row for rows in self._kept["rows"].values() for row in rows])


def parser(about: str | None, out: str) -> argparse.ArgumentParser:
    """The options that every experiment has."""
    found = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    found.add_argument("--model", default="testbed", help="testbed, testbed-routed or, with a corpus, another")
    found.add_argument("--corpus", help="a folder of text, of a model that isn't the testbed's")
    found.add_argument("--seeds", type=int, default=3)
    found.add_argument("--tokens", type=int, default=8192, help="tokens a language that spots are found from")
    found.add_argument("--held-out", type=int, default=768, help="tokens a domain that losses are of")
    found.add_argument("--out", type=Path, default=Path(out), help="a JSON file; a stopped run goes on")
    return found


@contextmanager
def worlds(options: argparse.Namespace, *choosing: str) -> Iterator[tuple[Saved, Iterator[World]]]:
    """The file of rows, and a world a seed; options that are ``choosing`` what to do change no row."""
    settings = {name: value for name, value in vars(options).items() if name not in ("out", "seeds", *choosing)}
    with TemporaryDirectory() as scratch:
        loaded = load_model(model_source(options.model))
        text = WorldText() if options.corpus is None else FolderText(Path(options.corpus))
        sizes = (options.tokens, options.held_out, Path(scratch))
        made = (World(loaded, text, seed, *sizes) for seed in range(options.seeds))
        yield Saved(options.out, settings), made


def mean_and_range(values: pd.Series, digits: int = 2) -> str:
    """The mean of some seeds and, of more than one, the least and the largest; nothing where it isn't defined."""
    if values.isna().all():
        return ""
    mean, low, high = (f"{value:.{digits}f}" for value in (values.mean(), values.min(), values.max()))
    return mean if low == high else f"{mean} ({low} to {high})"


def markdown(table: pd.DataFrame) -> str:
    """A table as it stands in the documentation."""
    rows = [[str(name) for name in table.columns], ["---"] * len(table.columns), *table.astype(str).to_numpy().tolist()]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)
