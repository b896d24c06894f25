"""Programs that need more than the standard library."""

from __future__ import annotations

import pytest

from codingspot.errors import SandboxError
from codingspot.sandbox import Limits, Program, Sandbox, Verdict
from codingspot.sandbox.packages import installed_files

SOURCE = "import numpy as np\ndef f(x):\n    return np.linalg.inv(x)\n"
TEST = "import numpy as np\nassert np.allclose(f(2 * np.eye(3)), np.eye(3) / 2)"


@pytest.mark.parametrize("unsafe", [False, True])
def test_only_programs_that_ask_for_a_package_find_it(isolation: str, unsafe: bool) -> None:
    asking, plain = Program("python", SOURCE, TEST, packages=("numpy",)), Program("python", SOURCE, TEST)
    with Sandbox(Limits(seconds=20.0), workers=1, unsafe=unsafe) as sandbox:
        outcomes = sandbox.run([plain, asking, plain])
    assert [each.verdict for each in outcomes] == [Verdict.EXCEPTION, Verdict.PASSED, Verdict.EXCEPTION]
    assert "No module named 'numpy'" in outcomes[2].detail


def test_a_package_cannot_be_changed(isolation: str) -> None:
    source = "import numpy\nopen(numpy.__file__, 'a')"
    with Sandbox(Limits(seconds=20.0), workers=1) as sandbox:
        (outcome,) = sandbox.run([Program("python", source, "", packages=("numpy",))])
    assert "Permission denied" in outcome.detail or "Read-only file system" in outcome.detail


def test_a_package_comes_with_what_it_requires() -> None:
    assert {"pandas", "numpy", "dateutil"} <= installed_files("pandas").keys()
    assert "pandas" not in installed_files("numpy")


def test_a_missing_package_is_named_before_anything_runs(sandbox: Sandbox) -> None:
    with pytest.raises(SandboxError, match="need the package not_a_package, which isn't installed"):
        sandbox.provide(["not_a_package"])
    with pytest.raises(SandboxError, match="not_a_package"):
        sandbox.run([Program("python", "x = 1", "", packages=("not_a_package",))])
