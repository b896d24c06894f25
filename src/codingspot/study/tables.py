"""Writing analysis tables into a run directory."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from codingspot.files import atomic_path


def write_table(table: pd.DataFrame, path: Path) -> None:
    """Write one analysis table, atomically."""
    with atomic_path(path) as temporary:
        table.to_parquet(temporary, index=False, compression="zstd")
