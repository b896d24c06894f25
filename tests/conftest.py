"""What every test runs under."""

import gc

import shape_checks

shape_checks.install()
gc.disable()  # until all is imported


def pytest_collection_finish() -> None:
    """What was imported stays: a third of the time would go to looking it through for garbage, over and over."""
    gc.freeze()
    gc.enable()
