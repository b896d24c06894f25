from pathlib import Path

import pytest
from makers import make_all


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one artefact of every kind; a test leaves it as it was."""
    folder = tmp_path_factory.mktemp("made")
    make_all(folder)
    return folder
