"""By how much an edit changes each domain's loss, with intervals paired over documents."""

from __future__ import annotations

import zlib

import numpy as np
import pandas as pd

from codingspot.errors import EvaluationError


def loss_changes(losses: pd.DataFrame, original: str, *, resamples: int = 1000, seed: int = 0) -> pd.DataFrame:
    """Change of the mean loss, nats a token, of every domain in every cell, beside the original model.

    The mean loss is the sum over the domain's tokens divided by their number. 95% bootstrap intervals: documents are
    drawn with replacement, the same for the cell and the original. Columns: ``cell``, ``domain``, ``original`` (its
    mean loss), ``change``, ``low``, ``high``; infinite where the model's output is not a number.

    Args:
        losses: ``Results.losses``.
        original: name of the original model's cell.
        resamples: of the documents.
        seed: of the draws. A domain's draws depend on the seed, its name and its number of documents alone.

    Raises:
        EvaluationError: the original model is missing, or a cell lacks documents.
    """
    rows = []
    for domain, found in losses.groupby("domain", sort=False):
        table = found.pivot(index="cell", columns="document", values="loss")
        if original not in table.index or table.isna().any(axis=None):
            raise EvaluationError(f"not every cell has the original model's documents of {domain}; evaluate it again")
        tokens = found[found["cell"] == original].set_index("document")["tokens"].loc[table.columns].to_numpy(float)
        generator = np.random.default_rng([seed, zlib.crc32(str(domain).encode())])
        counts = generator.multinomial(len(tokens), np.full(len(tokens), 1 / len(tokens)), size=resamples)
        before = table.loc[original].to_numpy(float)
        for cell, values in table.iterrows():
            if cell == original:
                continue
            added = values.to_numpy(float) - before
            change = added.sum() / tokens.sum()
            low = high = change
            if np.isfinite(added).all():
                # einsum, unlike a product of matrices, adds in one order whatever the number of threads
                drawn = np.einsum("rd,d->r", counts, added) / np.einsum("rd,d->r", counts, tokens)
                low, high = np.percentile(drawn, [2.5, 97.5])
            mean = before.sum() / tokens.sum()
            rows.append((str(cell), str(domain), float(mean), float(change), float(low), float(high)))
    table = pd.DataFrame(rows, columns=["cell", "domain", "original", "change", "low", "high"])
    order = {cell: place for place, cell in enumerate(dict.fromkeys(losses["cell"]))}
    return table.sort_values("cell", key=lambda names: names.map(order), kind="stable", ignore_index=True)
