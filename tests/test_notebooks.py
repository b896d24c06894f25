"""The notebooks of examples/ run from beginning to end, each in an empty folder, with no name of another's."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_notebook

_FOLDER = Path(__file__).parents[1] / "examples" / "notebooks"


@pytest.fixture(scope="module")
def client() -> Iterator[NotebookClient]:
    """With one kernel for all: imports take longer than most of what is done."""
    client = NotebookClient(new_notebook(), timeout=300, kernel_name="python3")
    with client.setup_kernel():
        yield client


@pytest.mark.parametrize("path", sorted(_FOLDER.glob("*.ipynb")), ids=lambda path: path.stem)
def test_a_notebook_runs(path: Path, client: NotebookClient, tmp_path: Path):
    notebook = nbformat.read(path, as_version=4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(cell.outputs for cell in code if not cell.source.startswith("from pathlib")), "stored without outputs"
    notebook.cells.insert(0, new_code_cell(f"import os\nos.chdir({str(tmp_path)!r})\n%reset -f"))
    client.nb = notebook
    client.execute(cleanup_kc=False)


def test_there_are_notebooks():
    assert len(list(_FOLDER.glob("*.ipynb"))) == 3
