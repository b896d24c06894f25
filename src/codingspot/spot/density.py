"""Where a spot lies: how many of its parameters are in each tensor, beside the tensor's role."""

from __future__ import annotations

import pandas as pd
import torch

from codingspot.models import role_of
from codingspot.spot.spot import Spot


def density(spot: Spot) -> pd.DataFrame:
    """One row a tensor of the model, in the order of the layout.

    Columns: ``tensor``, ``layer`` (missing outside the layers), ``block``, ``kind``, ``parameters``, ``selected``,
    ``density`` (selected / parameters) and ``share`` (selected / size of the spot).
    """
    layout = spot.layout
    selected = torch.bincount(layout.tensor_index(spot.positions), minlength=len(layout.names))
    roles = [role_of(name) for name in layout.names]
    table = pd.DataFrame(
        {
            "tensor": layout.names,
            "layer": pd.array([role.layer for role in roles], dtype="Int64"),
            "block": [role.block for role in roles],
            "kind": [role.kind for role in roles],
            "parameters": list(layout.sizes.values()),
            "selected": selected.numpy(),
        }
    )
    table["density"] = table["selected"] / table["parameters"]
    table["share"] = table["selected"] / len(spot)
    return table
