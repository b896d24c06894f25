"""What commands load: those that only list or look up do without what takes seconds. Never timed."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

HARNESS = frozenset({"lm_eval", "datasets", "matplotlib"})
SLOW = HARNESS | {"transformers", "pandas", "pyarrow", "scipy", "sklearn", "huggingface_hub"}
LOADED = """
import contextlib, io, json, sys
from codingspot.cli import main
sys.argv = ["codingspot", *sys.argv[1:]]
with contextlib.redirect_stdout(io.StringIO()) as output:
    try:
        main()
    except SystemExit as end:
        assert not end.code, end.code
assert output.getvalue().strip()
print(json.dumps(sorted({name.partition(".")[0] for name in sys.modules})))
"""


@pytest.mark.parametrize(
    ("arguments", "unwanted"),
    [
        (("--help",), SLOW | {"torch"}),
        (("--version",), SLOW | {"torch"}),
        (("run", "--help"), SLOW | {"torch"}),
        (("demo", "--show-study"), SLOW | {"torch"}),
        (("testbed", "info"), SLOW | {"torch"}),
        (("methods",), SLOW),
        (("roles", "testbed"), HARNESS),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_a_command_that_looks_up_loads_no_more_than_it_needs(
    arguments: tuple[str, ...], unwanted: frozenset[str]
) -> None:
    ran = subprocess.run([sys.executable, "-c", LOADED, *arguments], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert unwanted.intersection(json.loads(ran.stdout.splitlines()[-1])) == set()
