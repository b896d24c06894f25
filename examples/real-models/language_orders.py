"""Do three views order the languages of a model alike? What removal harms, MEXA's alignment, LAPE's neurons.

    codingspot align MODEL --parallel parallel_functions.jsonl.gz -l bash -l cpp ... --rows 60 --out runs/align
    python language_orders.py MODEL corpus results/smollm2-languages.csv runs/align [--tokens 2048]

- *harm* (of the matrix): of a pair of languages, what the one's neurons take from the other over what the other's own
  neurons take from it, both ways, in the mean.
- *alignment*: MEXA's score of the pair, the mean over layers.
- *shared neurons*: the Jaccard index of the pair's LAPE neurons (for each language the 1% of lowest entropy; quantile
  0.95).

Each pair of measures is correlated over pairs of languages (Spearman, Mantel's test), and over languages, each with its
mean over the others.
"""

from __future__ import annotations

import argparse
from itertools import combinations
from pathlib import Path

import pandas as pd
from scipy.stats import spearmanr

from codingspot import load_model, open_corpus
from codingspot.corpus import pack
from codingspot.views.across.agreement import pair_correlation
from codingspot.views.mexa.align import DISTINCT_ROWS
from codingspot.views.neurons.counting import ActivationCounts, count_activations
from codingspot.views.neurons.selection import select
from codingspot.views.neurons.sites import find_sites

Pairs = dict[tuple[str, str], float]


def harm(file: Path) -> Pairs:
    """Of every pair of languages that have neurons and losses in the matrix."""
    matrix = pd.read_csv(file, index_col="spot")
    languages = [each for each in matrix.index if each in matrix.columns]
    own = {each: matrix.loc[each, each] for each in languages}
    return {
        (a, b): (matrix.loc[a, b] / own[b] + matrix.loc[b, a] / own[a]) / 2
        for a, b in combinations(sorted(languages), 2)
    }


def alignment(run: Path) -> Pairs:
    """The mean over layers of every pair's score."""
    table = pd.read_parquet(run / "analysis" / "alignment_pooled.parquet")
    table = table[table["pairs"] == DISTINCT_ROWS]
    return dict(zip(zip(table["first"], table["second"], strict=True), table["mean"].astype(float), strict=True))


def shared_neurons(model: str, corpus: str, languages: list[str], tokens: int) -> tuple[Pairs, dict[str, int]]:
    """Jaccard indices of every pair's neurons, and how many of a language's are no other's."""
    loaded = load_model(model)
    layout = find_sites(loaded.model)
    how = {"sequence_length": 512, "token_budget": tokens, "seed": 0}
    counts = []
    for domain in open_corpus(corpus).domains:
        if domain.name in languages:
            ids = pack(domain, loaded.tokenizer, **how).input_ids
            counts += count_activations(loaded.model, layout, domain.name, ids)
    together = ActivationCounts.side_by_side(counts)
    found = select(together.probabilities, together.domains, selection="per-language", size=0.01)
    sets = {name: set(neurons.tolist()) for name, neurons in found.items()}
    alone = {name: len(own - set().union(*(sets[each] for each in sets if each != name))) for name, own in sets.items()}
    pairs = combinations(sorted(sets), 2)
    return {(a, b): len(sets[a] & sets[b]) / len(sets[a] | sets[b]) for a, b in pairs}, alone


def of_languages(pairs: Pairs) -> pd.Series:
    """A language's mean over its pairs."""
    rows = [(each, value) for pair, value in pairs.items() for each in pair]
    return pd.DataFrame(rows, columns=["language", "mean"]).groupby("language")["mean"].mean()


def main() -> None:
    """Parse the arguments and print the orders and how they agree."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("model", "corpus"):
        options.add_argument(name)
    for name in ("matrix", "align"):
        options.add_argument(name, type=Path)
    options.add_argument("--tokens", type=int, default=2048)
    given = options.parse_args()
    measures = {"harm": harm(given.matrix), "alignment": alignment(given.align)}
    languages = sorted({each for pair in measures["harm"] for each in pair})
    measures["shared neurons"], alone = shared_neurons(given.model, given.corpus, languages, given.tokens)
    means = pd.DataFrame({name: of_languages(pairs) for name, pairs in measures.items()}).loc[languages]
    print(means.assign(alone=pd.Series(alone)).sort_values("harm", ascending=False).round(3).to_string())
    for first, second in combinations(measures, 2):
        over_pairs = pair_correlation(measures[first], measures[second])
        rho, p_value = spearmanr(means[first], means[second])
        print(
            f"{first}, {second}: over {over_pairs.pairs} pairs rho {over_pairs.rho:.2f} (p = {over_pairs.p_value:.2g}, "
            f"Mantel); over {len(means)} languages rho {rho:.2f} (p = {p_value:.2g})"
        )


if __name__ == "__main__":
    main()
