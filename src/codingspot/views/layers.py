"""Values by layer."""

from __future__ import annotations

import pandas as pd


def after_layers(states: pd.Series[float]) -> pd.Series[float]:
    """Values after each layer, from 0, of values by hidden state, of which the first is the token embeddings."""
    later = states[states.index > 0]
    return pd.Series(later.to_numpy(), index=later.index - 1)
