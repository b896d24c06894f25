from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from codingspot.sandbox import Limits, Sandbox, available, bubblewrap

LIMITS = Limits(seconds=0.5, memory_bytes=256 * 2**20, processes=32, output_bytes=2**18, file_bytes=2**23)


@pytest.fixture(scope="session")
def isolation() -> str:
    """Name of the sandbox that works here."""
    name = available()
    if name is None:
        pytest.skip("bubblewrap is missing or may not make namespaces here")
    return name


@pytest.fixture(scope="session")
def sandbox(isolation: str) -> Iterator[Sandbox]:
    """Four workers in bubblewrap."""
    with Sandbox(LIMITS, workers=4) as made:
        yield made


@pytest.fixture(scope="session")
def patient_sandbox(isolation: str) -> Iterator[Sandbox]:
    """A worker in bubblewrap with all the time that a busy machine may need for a large program."""
    with Sandbox(replace(LIMITS, seconds=20.0), workers=1) as made:
        yield made


@pytest.fixture(scope="session")
def unsafe_sandbox() -> Iterator[Sandbox]:
    """Four workers without bubblewrap."""
    with Sandbox(LIMITS, workers=4, unsafe=True) as made:
        yield made


@pytest.fixture(scope="session")
def single_use_sandbox(isolation: str) -> Iterator[Sandbox]:
    """Four workers in a bubblewrap that forbids nested namespaces, as some systems' security policies do."""
    commands = bubblewrap.isolated_commands

    def forbidding(*given: Any) -> list[list[str]]:
        name, *options = commands(*given)[-1]
        return [[name, "--disable-userns", *options]]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bubblewrap, "isolated_commands", forbidding)
        made = Sandbox(LIMITS, workers=4)
    with made:
        yield made


@pytest.fixture(params=["sandbox", "single_use_sandbox", "unsafe_sandbox"])
def any_sandbox(request: pytest.FixtureRequest) -> Sandbox:
    """Each of the ways to run programs in turn."""
    made: Sandbox = request.getfixturevalue(request.param)
    return made
