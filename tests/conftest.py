"""What every test runs under."""

import pytest

import shape_checks

shape_checks.install()

_LONG = {
    "test_abilities.py",
    "test_changed_studies.py",
    "test_extras.py",
    "test_further_cells.py",
    "test_notebooks.py",
    "test_run.py",
    "test_sharding.py",
    "test_verdict_calibration.py",
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files of few long tests first, so that at the end no worker waits for another that began with one late."""
    items.sort(key=lambda item: item.path.name not in _LONG)
