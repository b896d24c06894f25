"""MEXA alignment of programming languages in a model (Kargaran et al., arXiv 2410.05873; for code, arXiv 2506.01074).

1. Every text of a parallel corpus is embedded in every layer (embeddings.py), layer 0 being the token embeddings and
   the last one after the final norm.
2. Layer by layer, each pair of languages is scored (scores.py): once on all rows, and once on the rows left without
   pairs that are identical and texts that repeat an earlier one.
3. Scores are pooled over the layers by mean and by maximum, as MEXA does.

Memory holds one batch of hidden states, then one layer of embeddings; the rest waits in a scratch file.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any, Final

import pandas as pd

from codingspot.analysis import Pieces
from codingspot.corpus.parallel import ParallelCorpus
from codingspot.errors import CorpusError
from codingspot.models import LoadedModel
from codingspot.models.hidden_states import longest_input
from codingspot.views import Found, Say, Tables, ViewInputs, Work, what_is_read
from codingspot.views.mexa import AlignSettings, Pooling, SpecialTokens
from codingspot.views.mexa.embeddings import EmbeddingFile, TokenisedText, embed, scratch_file, tokenise
from codingspot.views.mexa.schemas import SCHEMAS
from codingspot.views.mexa.scores import Embeddings, cosines, count_matches, permutation_null, subset

ALL_ROWS: Final = "all"
DISTINCT_ROWS: Final = "distinct"
_EMBEDDING: Final = 0.8  # share of the work, for progress


def prepare_alignment(given: ViewInputs, settings: AlignSettings) -> Work:
    """What the alignment that ``settings`` describe depends on, and how it is made.

    Raises:
        CorpusError: the parallel code can't be read, or fewer than two rows have tokens in all languages.
    """
    source = given.parallel(settings, seed=settings.seed)
    texts = _tokenised(given.loaded, source, settings.special_tokens)
    inputs = alignment_inputs(
        given.loaded, texts.corpus, pooling=settings.pooling, special_tokens=settings.special_tokens
    )

    def make(pieces: Pieces, say: Say) -> Tables:
        return _aligned(given.loaded, texts, settings.pooling, given.batch_tokens, pieces.folder, say)

    return Work(inputs, make)


def alignment_inputs(
    loaded: LoadedModel, corpus: ParallelCorpus, *, pooling: Pooling, special_tokens: SpecialTokens
) -> dict[str, Any]:
    """What an alignment depends on: model, weights, texts and options."""
    return {
        **what_is_read(loaded, corpus),
        "languages": list(corpus.languages),
        "rows": corpus.rows,
        "skipped": dict(corpus.skipped),
        "pooling": pooling,
        "special_tokens": special_tokens,
    }


def align(
    loaded: LoadedModel,
    corpus: ParallelCorpus,
    *,
    pooling: Pooling = "weighted",
    special_tokens: SpecialTokens = "pooled",
    batch_tokens: int | None = None,
    scratch: Path | None = None,
    progress: Say = lambda _text, _share: None,
) -> Found:
    """The MEXA scores of every pair of languages in every layer.

    ``alignment``: one row a layer, unordered pair of languages and choice of ``pairs`` (``all`` or ``distinct``): the
    rows used, how many are hits, the share, and under random pairing its mean, 0.95 quantile and p-value.
    ``alignment_pooled``: one row a pair of languages and choice of ``pairs``: mean and maximum of the score over
    layers, the first layer that has the maximum, and in how many rows the two texts are identical.
    ``alignment_texts``: one row a language: texts, how many repeat an earlier one, tokens, and how many were cut to
    the model's longest input.

    Args:
        loaded: any causal language model of the transformers library.
        corpus: parallel texts; rows with a text of no token are left out and counted.
        pooling: position-weighted mean (MEXA's) or last token.
        special_tokens: whether tokens that the tokenizer adds are pooled, only read, or not added.
        batch_tokens: most padded tokens of a batch; a default by the size of the model.
        scratch: folder of the scratch file, 4 bytes a layer, distinct text and width; by default that of temporary
            files.
        progress: told what is being done and the share of the work that is done.

    Raises:
        CorpusError: fewer than two rows have tokens in all languages.
        ModelError: the model doesn't give its hidden states.
        NonFiniteError: a hidden state is not a number.
    """
    texts = _tokenised(loaded, corpus, special_tokens)
    inputs = alignment_inputs(loaded, texts.corpus, pooling=pooling, special_tokens=special_tokens)
    return Found(_aligned(loaded, texts, pooling, batch_tokens, scratch, progress), inputs)


@dataclass(frozen=True)
class _Tokenised:
    """The rows of a corpus that have tokens in every language, with them, and how many texts were cut."""

    corpus: ParallelCorpus
    tokens: Mapping[str, Sequence[TokenisedText]]
    cut: Mapping[str, int]


def _tokenised(loaded: LoadedModel, corpus: ParallelCorpus, special_tokens: SpecialTokens) -> _Tokenised:
    longest = longest_input(loaded.model, loaded.tokenizer)
    tokenised: dict[str, list[TokenisedText]] = {}
    cut: Counter[str] = Counter()
    for language, texts in corpus.texts.items():
        tokenised[language], cut[language] = tokenise(
            texts, loaded.tokenizer, special_tokens=special_tokens, longest=longest
        )
    kept = [row for row in range(corpus.rows) if all(texts[row].pooled for texts in tokenised.values())]
    if len(kept) < corpus.rows:
        skipped = {**corpus.skipped, "no token": corpus.rows - len(kept)}
        if len(kept) < 2:
            raise CorpusError(f"only {len(kept)} rows of {corpus.name} have tokens in every language; two are needed")
        columns = {language: tuple(texts[row] for row in kept) for language, texts in corpus.texts.items()}
        corpus = ParallelCorpus(corpus.name, columns, skipped)
        tokenised = {language: [texts[row] for row in kept] for language, texts in tokenised.items()}
    return _Tokenised(corpus, tokenised, cut)


def _aligned(
    loaded: LoadedModel,
    texts: _Tokenised,
    pooling: Pooling,
    batch_tokens: int | None,
    scratch: Path | None,
    progress: Say,
) -> Tables:
    flat = [text for each in texts.tokens.values() for text in each]
    with scratch_file(scratch) as file:
        embeddings = embed(
            loaded.model,
            flat,
            file,
            pooling=pooling,
            batch_tokens=batch_tokens,
            progress=lambda text, share: progress(text, _EMBEDDING * share),
        )
        scores = _score(embeddings, texts.corpus, progress)
    return {
        "alignment": scores,
        "alignment_pooled": _pool(scores, texts.corpus),
        "alignment_texts": _texts(texts.corpus, texts.tokens, texts.cut),
    }


def _score(embeddings: EmbeddingFile, corpus: ParallelCorpus, progress: Say) -> pd.DataFrame:
    pairs = list(combinations(corpus.languages, 2))
    distinct = {pair: corpus.distinct_rows(*pair) for pair in pairs}
    rows: list[tuple[Any, ...]] = []
    for layer in range(embeddings.layers):
        progress(f"comparing languages in layer {layer}", _EMBEDDING + (1 - _EMBEDDING) * layer / embeddings.layers)
        vectors = embeddings.layer(layer).reshape(len(corpus.languages), corpus.rows, embeddings.width)
        languages = {language: Embeddings(vectors[i]) for i, language in enumerate(corpus.languages)}
        for first, second in pairs:
            similarities = cosines(languages[first], languages[second])
            for name, used in (
                (ALL_ROWS, similarities),
                (DISTINCT_ROWS, subset(similarities, distinct[first, second])),
            ):
                matches = count_matches(used)
                null = permutation_null(matches)
                counted = (matches.rows, matches.hits, matches.score)
                rows.append((layer, first, second, name, *counted, null.mean, null.high, null.p_value))
    return pd.DataFrame(rows, columns=SCHEMAS["alignment"].names)


def _pool(scores: pd.DataFrame, corpus: ParallelCorpus) -> pd.DataFrame:
    rows = []
    for (first, second, pairs), group in scores.groupby(["first", "second", "pairs"], sort=False):
        best = group["score"].max()
        layer = int(group["layer"][group["score"] == best].min()) if group["score"].notna().all() else -1
        identical = corpus.identical(str(first), str(second))
        rows.append((first, second, pairs, int(group["rows"].iloc[0]), identical, group["score"].mean(), best, layer))
    return pd.DataFrame(rows, columns=SCHEMAS["alignment_pooled"].names)


def _texts(
    corpus: ParallelCorpus, tokenised: Mapping[str, Sequence[TokenisedText]], cut: Mapping[str, int]
) -> pd.DataFrame:
    rows = [
        (language, corpus.rows, corpus.duplicates(language), sum(len(text.tokens) for text in texts), cut[language])
        for language, texts in tokenised.items()
    ]
    return pd.DataFrame(rows, columns=SCHEMAS["alignment_texts"].names)


def language_means(scores: pd.DataFrame) -> pd.DataFrame:
    """Mean score of each language with all others, by layer and choice of pairs: language, layer, pairs, score.

    A language is never compared with itself, so no mean holds the perfect score of a self-pair.
    """
    columns = ["language", "layer", "pairs", "score"]
    sides = [scores.rename(columns={side: "language"})[columns] for side in ("first", "second")]
    means = pd.concat(sides).groupby(["language", "pairs", "layer"], sort=True)["score"].mean()
    return means.reset_index()[columns]


def extremes(alignment: Found, pairs: str = DISTINCT_ROWS) -> tuple[dict[str, Any], dict[str, Any]]:
    """The closest and the farthest pair of languages by mean score over layers, as rows of ``pooled``.

    Ties go to the pair that comes first; pairs without a score count as neither.

    Raises:
        CorpusError: no pair has a score.
    """
    rows = alignment["alignment_pooled"][
        (alignment["alignment_pooled"]["pairs"] == pairs) & alignment["alignment_pooled"]["mean"].notna()
    ]
    if not len(rows):
        raise CorpusError("no pair of languages has two rows to compare; give more rows")
    closest, farthest = (rows.iloc[place].to_dict() for place in (rows["mean"].argmax(), rows["mean"].argmin()))
    return {str(key): value for key, value in closest.items()}, {str(key): value for key, value in farthest.items()}
