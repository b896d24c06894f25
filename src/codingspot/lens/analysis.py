"""The logit lens over few-shot code translation, from parallel code to saved tables (arXiv 2506.01074, section 3).

1. Every ordered pair of languages gets the same rows and shots (prompts.py).
2. One forward pass over prompt and teacher-forced answer; every layer's states at the answer are decoded (readings.py).
3. Readings are pooled over a pair's positions, layer by layer, and a pair's rows saved before the next pair.
4. Where asked for, the model writes the translations itself, and the language of each is judged (bias.py).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Final

import pandas as pd
from pydantic import Field

from codingspot.analysis import Pieces, is_saved, load_table, save_analysis
from codingspot.analysis_tables import TABLES
from codingspot.corpus.languages import PURIFIABLE, canonical_language
from codingspot.corpus.parallel import ParallelCorpus
from codingspot.directories import held
from codingspot.errors import CorpusError
from codingspot.files import digest
from codingspot.lens.bias import written_languages
from codingspot.lens.keywords import Keywords, TokenSet, collect_keywords, token_sets
from codingspot.lens.pooling import PairReader
from codingspot.lens.prompts import fitting_rows, translations
from codingspot.lens.unembedding import TunedLens, Unembedding
from codingspot.models import LoadedModel
from codingspot.models.hidden_states import longest_input
from codingspot.settings import Name, NotEmpty, Seed, Settings

NAME: Final = "lens"
_TABLES: Final = ("lens_sets", "lens_targets", "lens_tokens", "lens_example", "lens_generation", "lens_keywords")


class LensSettings(Settings):
    """Settings of the analysis; a study file's ``views.lens``."""

    parallel: NotEmpty | None = Field(None, description="a file of parallel code, or testbed")
    languages: tuple[Name, ...] | None = Field(None, description="all that the source has by default")
    rows: int | None = Field(None, gt=1, description="the first so many rows of the source")
    shots: int = Field(3, ge=0)
    items: int = Field(10, gt=0, description="prompts a pair of languages")
    generated: int = Field(0, ge=0, description="of them, how many the model answers itself")
    keywords: NotEmpty | None = Field(None, description="folder of keyword files; by default from grammars")
    english: int = Field(10_000, ge=0, description="most frequent English words")
    example: tuple[Name, Name] | None = Field(None, description="source and target of the example; the first pair")
    tuned_lens: NotEmpty | None = Field(None, description="safetensors file of a tuned lens")
    seed: Seed = 0


@dataclass(frozen=True)
class LensAnalysis:
    """Tables of one analysis; layer 0 is the token embeddings, the last one the model's own output.

    Attributes:
        sets: one row a pair of languages, layer and token set: its ``share`` of the ten most probable tokens, its
            summed ``probability``, that over what as many tokens have at random (``lift``), and the median
            ``best_rank``.
        targets: one row a pair and layer: mean ``probability`` and median ``rank`` of the target token, the share of
            positions where it is ``first``, and the mean ``entropy`` in nats.
        tokens: the ten tokens with the highest mean probability, by pair and layer.
        example: one answer: by layer and position, the ten tokens with their probabilities, and the target.
        generation: one row a pair, way of judging and language found: how many answers the model wrote in it.
        keywords: the token sets: words, tokens, and entries left out.
        inputs: what it was made from.
    """

    sets: pd.DataFrame
    targets: pd.DataFrame
    tokens: pd.DataFrame
    example: pd.DataFrame
    generation: pd.DataFrame
    keywords: pd.DataFrame
    inputs: dict[str, Any]

    def save(self, directory: Path) -> None:
        """Write the tables and the record of the inputs into ``directory/analysis``."""
        frames = [getattr(self, each.name) for each in fields(self) if each.name != "inputs"]
        save_analysis(directory, NAME, dict(zip(_TABLES, frames, strict=True)), self.inputs)

    @classmethod
    def load(cls, directory: Path, inputs: dict[str, Any]) -> LensAnalysis:
        """Read what :meth:`save` wrote.

        Raises:
            ArtefactError: a table is missing or corrupt.
        """
        sets, targets, tokens, example, generation, keywords = (load_table(directory, stem) for stem in _TABLES)
        return cls(sets, targets, tokens, example, generation, keywords, inputs)


def analyse_lens(
    loaded: LoadedModel,
    corpus: ParallelCorpus,
    directory: Path,
    settings: LensSettings,
    *,
    batch_tokens: int | None = None,
    progress: Callable[[str, float], None] = lambda _text, _share: None,
) -> LensAnalysis:
    """Read every layer while the model translates, and save the tables in ``directory``; or read those saved there.

    Args:
        loaded: any causal language model of the transformers library.
        corpus: parallel code; rows too long for a prompt of that many shots are left out and counted.
        directory: run directory. One stopped midway resumes with the next pair of languages.
        settings: see :class:`LensSettings`; what says where the corpus is from has been used already.
        batch_tokens: most padded tokens of a forward pass; results don't depend on it.
        progress: told what is being done and the share of the work that is done.

    Raises:
        FingerprintError: ``directory`` holds an analysis of other inputs, or is no run directory
            (:func:`codingspot.directories.held`).
        CorpusError: too few rows for the shots, the example's languages are not there, or no keyword is a single token.
        ArtefactError: a keyword file or the tuned lens is not one.
        ModelError: the model has no output head, or its final norm isn't found.
    """
    folder = Path(settings.keywords) if settings.keywords else None
    keywords = collect_keywords(folder, languages=_with_grammar(corpus), english=settings.english)
    longest = longest_input(loaded.model, loaded.tokenizer)
    corpus = fitting_rows(corpus, loaded.tokenizer, shots=settings.shots, longest=longest)
    inputs = _inputs(loaded, corpus, keywords, settings)
    with held(directory, inputs=[loaded.folder, settings.keywords, settings.tuned_lens]):
        if is_saved(directory, NAME, inputs):
            return LensAnalysis.load(directory, inputs)
        return _analyse(loaded, corpus, keywords, inputs, directory, settings, batch_tokens, progress)


def _analyse(
    loaded: LoadedModel,
    corpus: ParallelCorpus,
    keywords: Keywords,
    inputs: dict[str, Any],
    directory: Path,
    settings: LensSettings,
    batch_tokens: int | None,
    progress: Callable[[str, float], None],
) -> LensAnalysis:
    sets, without = token_sets(keywords, loaded.tokenizer)
    without += [language for language in corpus.languages if language not in keywords.words]
    if not sets:
        raise CorpusError(f"no keyword is a single token of {loaded.id}; give other keyword files")
    example = _example_pair(corpus, settings)
    pieces = Pieces(directory, NAME, inputs)
    unembedding = Unembedding(loaded.model)
    width = int(loaded.model.config.get_text_config().hidden_size)
    tuned = TunedLens(Path(settings.tuned_lens), width=width, device=loaded.device) if settings.tuned_lens else None
    tables: dict[str, list[pd.DataFrame]] = {name: [] for name in _TABLES[:-1]}
    for number, (source, target) in enumerate(corpus.pairs):
        progress(f"translating {source} to {target}", number / len(corpus.pairs))
        if not pieces.path(f"{number}.done").exists():
            asked = translations(corpus, source, target, items=settings.items, shots=settings.shots, seed=settings.seed)
            pair = PairReader(loaded, unembedding, asked, sets, tuned, batch_tokens)
            found = pair.tables(example=(source, target) == example)
            found["lens_generation"] = written_languages(
                loaded, asked[: settings.generated], corpus.languages, keywords
            )
            for name, table in found.items():
                labelled = table.assign(source=source, target=target)
                TABLES[name].write(pieces.path(f"{number}-{name}.parquet"), labelled)
            pieces.path(f"{number}.done").touch()
        for name, frames in tables.items():
            path = pieces.path(f"{number}-{name}.parquet")
            if path.exists():
                frames.append(TABLES[name].read(path))
    sizes = _sizes(keywords, sets, without)
    read, targets, tokens, shown, written = (pd.concat(frames, ignore_index=True) for frames in tables.values())
    analysis = LensAnalysis(read, targets, tokens, shown, written, sizes, inputs)
    analysis.save(directory)
    pieces.discard()
    return analysis


def keyword_layers(sets: pd.DataFrame, targets: pd.DataFrame) -> pd.DataFrame:
    """Where the target language's keywords and English words appear: one row a target and set.

    ``appears`` is the first layer at which the set's summed probability, averaged over sources, reaches half of its
    largest; ``largest`` and ``peak`` say how large and where. ``first`` is the layer from which on the target token
    itself is the most probable one in at least half of the positions, -1 where there is none.
    """
    rows = []
    there = set(sets["target"])
    ordered = [name for name in dict.fromkeys([*sets["source"], *sets["target"]]) if name in there]
    for target in ordered:
        group = sets[sets["target"] == target]
        curves = group[group["kind"] == "all"].groupby(["set", "layer"])["probability"].mean()
        right = targets[targets["target"] == target].groupby("layer")["first"].mean()
        reached = [int(str(layer)) for layer in right.index if (right.loc[layer:] >= 0.5).all()]
        for name, role in ((target, "keywords"), ("english", "english")):
            if name not in curves.index.get_level_values(0):
                continue
            curve = curves.loc[name].sort_index()
            appears = int(curve.index[(curve >= curve.max() / 2).to_numpy().argmax()])
            rows.append((target, role, appears, int(curve.idxmax()), curve.max(), reached[0] if reached else -1))
    return pd.DataFrame(rows, columns=["target", "set", "appears", "peak", "largest", "first"])


def _inputs(loaded: LoadedModel, corpus: ParallelCorpus, keywords: Keywords, settings: LensSettings) -> dict[str, Any]:
    tuned = (
        Path(settings.tuned_lens).read_bytes() if settings.tuned_lens and Path(settings.tuned_lens).exists() else b""
    )
    return {
        "model": loaded.id,
        "revision": loaded.revision,
        "weights": loaded.fingerprint,
        "bos": loaded.bos,
        "corpus": corpus.name,
        "corpus_fingerprint": corpus.fingerprint,
        "languages": list(corpus.languages),
        "skipped": dict(corpus.skipped),
        "keywords": keywords.fingerprint,
        "tuned_lens": digest(tuned) if tuned else None,
        "settings": settings.model_dump(
            mode="json", exclude={"parallel", "languages", "rows", "keywords", "tuned_lens"}
        ),
    }


def _with_grammar(corpus: ParallelCorpus) -> list[str]:
    return [language for language in corpus.languages if language in PURIFIABLE]


def _example_pair(corpus: ParallelCorpus, settings: LensSettings) -> tuple[str, str]:
    if settings.example is None:
        return corpus.pairs[0]
    source, target = (canonical_language(each) or each for each in settings.example)
    if (source, target) not in corpus.pairs:
        raise CorpusError(
            f"the example's languages are two of {', '.join(corpus.languages)}; not {source} and {target}"
        )
    return source, target


def _sizes(keywords: Keywords, sets: list[TokenSet], without: list[str]) -> pd.DataFrame:
    rows = [(each.name, each.kind, len(each.tokens), keywords.skipped.get(each.name, 0)) for each in sets]
    rows += [(name, "all", 0, keywords.skipped.get(name, 0)) for name in without]
    return pd.DataFrame(rows, columns=["set", "kind", "tokens", "skipped"])
