"""One pair of languages read through the lens: readings of all positions pooled, layer by layer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch

from codingspot.errors import CorpusError
from codingspot.models import LoadedModel
from codingspot.models.hidden_states import longest_input, state_count
from codingspot.views.lens.keywords import TokenSet
from codingspot.views.lens.prompts import Translation, tokenise
from codingspot.views.lens.readings import TOP, Reading, read_layers
from codingspot.views.lens.unembedding import TunedLens, Unembedding


class PairReader:
    """The readings of one ordered pair of languages, pooled.

    Raises:
        CorpusError: a prompt is longer than the model reads.
    """

    def __init__(
        self,
        loaded: LoadedModel,
        unembedding: Unembedding,
        asked: Sequence[Translation],
        sets: Sequence[TokenSet],
        tuned: TunedLens | None,
        batch_tokens: int | None,
    ) -> None:
        self.loaded, self.unembedding, self.sets = loaded, unembedding, sets
        self.tuned, self.batch_tokens = tuned, batch_tokens
        texts = [tokenise(each, loaded.tokenizer) for each in asked]
        longest = longest_input(loaded.model, loaded.tokenizer)
        for each, text in zip(asked, texts, strict=True):
            if len(text.tokens) > longest:
                raise CorpusError(
                    f"a prompt from {each.source} to {each.target} has {len(text.tokens)} tokens and the model reads "
                    f"{longest}; use fewer shots"
                )
        self.texts = texts

    def tables(self, *, example: bool) -> dict[str, pd.DataFrame]:
        """The tables of this pair by their names."""
        layers = state_count(self.loaded.model)
        vocabulary = self.loaded.vocabulary
        parts: list[list[Any]] = [[] for _ in range(layers)]
        means = [torch.zeros(vocabulary, dtype=torch.float64) for _ in range(layers)]
        shown: list[pd.DataFrame] = []
        readings = read_layers(
            self.loaded.model,
            self.unembedding,
            self.texts,
            self.sets,
            tuned=self.tuned,
            batch_tokens=self.batch_tokens,
        )
        for layer, reading in readings:
            means[layer] += reading.mean
            if example:
                shown.append(self._example(layer, reading))
            parts[layer].append(
                (
                    reading.items.numpy(),
                    reading.places.numpy(),
                    reading.probability.numpy(),
                    reading.rank.numpy(),
                    reading.entropy.numpy(),
                    reading.set_shares.numpy(),
                    reading.set_probabilities.numpy(),
                    reading.set_ranks.numpy(),
                )
            )
        pooled = [_in_order(each) for each in parts]
        found = {
            "lens_sets": pd.concat([self._sets(n, each, vocabulary) for n, each in enumerate(pooled)]),
            "lens_targets": pd.DataFrame([_target(n, each) for n, each in enumerate(pooled)]),
            "lens_tokens": pd.concat([self._tokens(n, mean / len(pooled[n][0])) for n, mean in enumerate(means)]),
        }
        if example:
            found["lens_example"] = pd.concat(shown).sort_values(["layer", "position", "place"])
        return found

    def _sets(self, layer: int, pooled: list[np.ndarray], vocabulary: int) -> pd.DataFrame:
        shares, sums, ranks = pooled[5:]
        sizes = np.array([len(each.tokens) for each in self.sets])
        return pd.DataFrame(
            {
                "layer": layer,
                "set": [each.name for each in self.sets],
                "kind": [each.kind for each in self.sets],
                "size": sizes,
                "share": shares.mean(0),
                "probability": sums.mean(0),
                "lift": sums.mean(0) / (sizes / vocabulary),
                "best_rank": np.median(ranks, axis=0),
            }
        )

    def _tokens(self, layer: int, mean: torch.Tensor) -> pd.DataFrame:
        top = mean.topk(min(TOP, len(mean)))
        return pd.DataFrame(
            {
                "layer": layer,
                "place": range(1, len(top.indices) + 1),
                "token": [self._text(int(token)) for token in top.indices],
                "probability": top.values.numpy(),
            }
        )

    def _example(self, layer: int, reading: Reading) -> pd.DataFrame:
        """The reading's positions of the first text."""
        rows = []
        for index in (reading.items == 0).nonzero()[:, 0].tolist():
            tokens = reading.top_tokens[index].tolist()
            values = reading.top_probabilities[index].tolist()
            target = int(reading.targets[index])
            rows += [
                (
                    layer,
                    int(reading.places[index]),
                    place + 1,
                    self._text(token),
                    value,
                    self._text(target),
                    token == target,
                )
                for place, (token, value) in enumerate(zip(tokens, values, strict=True))
            ]
        columns = ["layer", "position", "place", "token", "probability", "answer", "right"]
        return pd.DataFrame(rows, columns=columns)

    def _text(self, token: int) -> str:
        return str(self.loaded.tokenizer.decode([token]))


def _in_order(parts: list[Any]) -> list[np.ndarray]:
    """Columns of all positions, by text and place, whatever batches they were in."""
    columns = [np.concatenate(each) for each in zip(*parts, strict=True)]
    order = np.lexsort((columns[1], columns[0]))
    return [each[order] for each in columns]


def _target(layer: int, pooled: list[np.ndarray]) -> dict[str, Any]:
    probability, rank, entropy = pooled[2:5]
    return {
        "layer": layer,
        "positions": len(rank),
        "probability": probability.mean(),
        "log_probability": np.log(np.maximum(probability, np.finfo(np.float64).tiny)).mean(),
        "rank": float(np.median(rank)),
        "first": float((rank == 1).mean()),
        "entropy": entropy.mean(),
    }
