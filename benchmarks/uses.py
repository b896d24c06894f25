"""What the experiments on the uses of a spot share: a testbed model with text of one seed, its spots, saved rows.

Spots are found from three languages and English; Python takes no part in finding, removing or relearning. Losses are
of text that nothing else reads.
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
from typing import Any

import pandas as pd
import torch

from codingspot import load_model
from codingspot.corpus import Corpus, Domain, PackedTokens, pack
from codingspot.importance import ScoreStore, score
from codingspot.learning import domain_losses
from codingspot.models import LoadedModel, Units, find_units
from codingspot.models.shipped import model_source
from codingspot.spot import Spot, find_spot, training_text
from codingspot.testbed.world import pure_code, world_corpus
from codingspot.units import find_units_spot

LANGUAGES = ("bash", "java", "javascript")
"""Languages that both shipped models know, beside Python."""
LENGTH = 128
_UNSEEN, _PROGRAMS = 7_000_001, 9_000_001  # seeds of texts that are neither trained on nor scored


@dataclass(frozen=True)
class World:
    """A model with text of a seed: ``tokens`` a language to find spots in, ``held_out`` a domain for losses."""

    loaded: LoadedModel
    seed: int
    tokens: int
    held_out: int
    scratch: Path

    @cached_property
    def corpus(self) -> Corpus:
        """Text that spots are found in."""
        return world_corpus(self.tokens // 20, self.seed, (*LANGUAGES, "python"))

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
        """The same text in sequences: the languages' and English."""
        return training_text(self.corpus, self.loaded, **self._packing)

    @property
    def _packing(self) -> dict[str, int]:
        return {"sequence_length": LENGTH, "token_budget": self.tokens, "seed": self.seed}

    def weight_spot(self, k: float) -> Spot:
        """Single weights of the blocks that code needs and English doesn't."""
        return find_spot(self.store, recipe="set_difference", scope="blocks", max_k_percent=k)

    def unit_spot(self, k: float) -> Spot:
        """Whole neurons, by their activation on code over that on English."""
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
        return world_corpus(self.held_out // 16, _UNSEEN, (*LANGUAGES, "python")).domains

    def losses(self, loaded: LoadedModel | None = None) -> Callable[[], dict[str, float]]:
        """What reads losses, nats a token: ``code`` (mean of the languages), ``python`` and ``english``."""
        how = {"sequence_length": LENGTH, "token_budget": self.held_out, "seed": 0}
        loaded = loaded or self.loaded
        read = domain_losses(loaded, {each.name: pack(each, loaded.tokenizer, **how) for each in self.held_out_domains})

        def measure() -> dict[str, float]:
            found = read()
            code = sum(found[name] for name in LANGUAGES) / len(LANGUAGES)
            return {"code": code, "python": found["python"], "english": found["english"]}

        return measure

    def programs(self, count: int, languages: Sequence[str] = LANGUAGES) -> PackedTokens:
        """As many programs, of all the languages alike."""
        each, seed = count // len(languages), _PROGRAMS + self.seed
        how = {"sequence_length": LENGTH, "token_budget": 1 << 20, "seed": self.seed}
        domains = (Domain(name, "code", pure_code(name, each, seed)) for name in languages)
        packed = [pack(domain, self.loaded.tokenizer, **how) for domain in domains]
        return replace(packed[0], domain="programs", input_ids=torch.cat([one.input_ids for one in packed]))


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
    found.add_argument("--model", default="testbed", help="testbed or testbed-routed")
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
        seeds = range(options.seeds)
        made = (World(loaded, seed, options.tokens, options.held_out, Path(scratch)) for seed in seeds)
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
