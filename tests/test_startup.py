"""What commands load: those that only list or look up do without what takes seconds. Never timed."""

from __future__ import annotations

import json
import subprocess
import sys

HARNESS = frozenset({"lm_eval", "datasets", "matplotlib"})
SLOW = HARNESS | {"transformers", "pandas", "pyarrow", "scipy", "sklearn", "huggingface_hub"}
UNWANTED = {
    "--help": SLOW | {"torch"},
    "--version": SLOW | {"torch"},
    "run --help": SLOW | {"torch"},
    "demo --show-study": SLOW | {"torch"},
    "testbed info": SLOW | {"torch"},
    "methods": SLOW,
    "roles testbed": HARNESS,
}
"""One process runs them one after the other: what one has loaded, those after it may load too."""
LOADED = """
import contextlib, io, json, sys
from codingspot.cli import main
for command in sys.argv[1:]:
    sys.argv = ["codingspot", *command.split()]
    with contextlib.redirect_stdout(io.StringIO()) as output:
        try:
            main()
        except SystemExit as end:
            assert not end.code, (command, end.code)
    assert output.getvalue().strip(), command
    print(json.dumps(sorted({name.partition(".")[0] for name in sys.modules})))
"""


def test_a_command_that_looks_up_loads_no_more_than_it_needs() -> None:
    ran = subprocess.run([sys.executable, "-c", LOADED, *UNWANTED], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    loaded = map(json.loads, ran.stdout.splitlines())
    found = {command: unwanted & set(own) for (command, unwanted), own in zip(UNWANTED.items(), loaded, strict=True)}
    assert found == {command: set() for command in UNWANTED}
