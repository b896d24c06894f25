"""The notebooks of examples/ run from beginning to end, each in an empty folder."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

_FOLDER = Path(__file__).parents[1] / "examples" / "notebooks"


@pytest.mark.parametrize("path", sorted(_FOLDER.glob("*.ipynb")), ids=lambda path: path.stem)
def test_a_notebook_runs(path: Path, tmp_path: Path):
    notebook = nbformat.read(path, as_version=4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(cell.outputs for cell in code if not cell.source.startswith("from pathlib")), "stored without outputs"
    client = NotebookClient(notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": tmp_path}})
    client.execute()


def test_there_are_notebooks():
    assert len(list(_FOLDER.glob("*.ipynb"))) == 3
