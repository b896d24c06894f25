"""The logit lens over few-shot code translation, from parallel code to saved tables (arXiv 2506.01074, section 3).

1. Every ordered pair of languages gets the same rows and shots (prompts.py).
2. One forward pass over prompt and teacher-forced answer; every layer's states at the answer are decoded (readings.py).
3. Readings are pooled over a pair's positions, layer by layer, and a pair's rows saved before the next pair.
4. Where asked for, the model writes the translations itself, and the language of each is judged (bias.py).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import pandas as pd

from codingspot.analysis import Pieces
from codingspot.corpus.languages import PURIFIABLE, canonical_language
from codingspot.corpus.parallel import ParallelCorpus
from codingspot.errors import CorpusError
from codingspot.files import digest
from codingspot.models import LoadedModel
from codingspot.models.hidden_states import longest_input
from codingspot.views import Say, Tables, ViewInputs, Work, what_is_read
from codingspot.views.lens import LensSettings
from codingspot.views.lens.bias import written_languages
from codingspot.views.lens.keywords import Keywords, TokenSet, collect_keywords, token_sets
from codingspot.views.lens.pooling import PairReader
from codingspot.views.lens.prompts import fitting_rows, translations
from codingspot.views.lens.schemas import SCHEMAS
from codingspot.views.lens.unembedding import TunedLens, Unembedding

_KEYWORDS: Final = "lens_keywords"


def prepare_lens(given: ViewInputs, settings: LensSettings) -> Work:
    """What the analysis that ``settings`` describe depends on, and how it is made; rows too long are left out.

    Of its tables, layer 0 is the token embeddings, the last one the model's own output. ``lens_sets``: one row a pair
    of languages, layer and token set: its ``share`` of the ten most probable tokens, its summed ``probability``, that
    over what as many tokens have at random (``lift``), and the median ``best_rank``. ``lens_targets``: one row a pair
    and layer: mean ``probability`` and median ``rank`` of the target token, the share of positions where it is
    ``first``, and the mean ``entropy`` in nats. ``lens_tokens``: the ten tokens with the highest mean probability, by
    pair and layer. ``lens_example``: one answer: by layer and position, the ten tokens with their probabilities, and
    the target. ``lens_generation``: one row a pair, way of judging and language found: how many answers the model
    wrote in it. ``lens_keywords``: the token sets: words, tokens, and entries left out.

    Raises:
        CorpusError: the parallel code can't be read, has too few rows for the shots, or lacks the example's languages;
            or no keyword is a single token.
        ArtefactError: a keyword file or the tuned lens is not one.
        ModelError: the model has no output head, or its final norm isn't found.
    """
    loaded = given.loaded
    source = given.parallel(settings, one_line=True, seed=settings.seed)
    folder = Path(settings.keywords) if settings.keywords else None
    keywords = collect_keywords(folder, languages=_with_grammar(source), english=settings.english)
    longest = longest_input(loaded.model, loaded.tokenizer)
    corpus = fitting_rows(source, loaded.tokenizer, shots=settings.shots, longest=longest)
    sets, without = token_sets(keywords, loaded.tokenizer)
    without += [language for language in corpus.languages if language not in keywords.words]
    if not sets:
        raise CorpusError(f"no keyword is a single token of {loaded.id}; give other keyword files")
    example = _example_pair(corpus, settings)

    def make(pieces: Pieces, say: Say) -> Tables:
        read = _read(loaded, corpus, keywords, sets, example, settings, given.batch_tokens, pieces, say)
        return {**read, _KEYWORDS: _sizes(keywords, sets, without)}

    return Work(_inputs(loaded, corpus, keywords, settings), make)


def _read(
    loaded: LoadedModel,
    corpus: ParallelCorpus,
    keywords: Keywords,
    sets: list[TokenSet],
    example: tuple[str, str],
    settings: LensSettings,
    batch_tokens: int | None,
    pieces: Pieces,
    progress: Say,
) -> dict[str, pd.DataFrame]:
    unembedding = Unembedding(loaded.model)
    width = int(loaded.model.config.get_text_config().hidden_size)
    tuned = TunedLens(Path(settings.tuned_lens), width=width, device=loaded.device) if settings.tuned_lens else None
    tables: dict[str, list[pd.DataFrame]] = {name: [] for name in SCHEMAS if name != _KEYWORDS}
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
                SCHEMAS[name].write(pieces.path(f"{number}-{name}.parquet"), labelled)
            pieces.path(f"{number}.done").touch()
        for name, frames in tables.items():
            path = pieces.path(f"{number}-{name}.parquet")
            if path.exists():
                frames.append(SCHEMAS[name].read(path))
    return {name: pd.concat(frames, ignore_index=True) for name, frames in tables.items()}


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
        **what_is_read(loaded, corpus),
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
