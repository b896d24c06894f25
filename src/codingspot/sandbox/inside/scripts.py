"""Runs JavaScript and Bash programs: the interpreter replaces the process that was forked for the program."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path

from .model import Program
from .supervisor import REPORT_DESCRIPTOR

_DRIVER = Path(__file__).parent / "javascript_driver.js"


def run_javascript(node: str, program: Program, memory_bytes: int, secret: str) -> None:
    """Become Node, which reads the driver, which reads the job from standard input."""
    job = {
        "source": program.source,
        "test": program.test,
        "secret": secret,
        "descriptor": REPORT_DESCRIPTOR,
    }
    os.dup2(_file_with(json.dumps(job)), 0)
    heap = f"--max-old-space-size={memory_bytes // 2**20}"
    os.execv(node, [node, heap, str(_DRIVER)])


def run_bash(bash: str, program: Program, secret: str) -> None:
    """Become Bash, running candidate and test; after the test's success the script itself reports it."""
    epilogue = f"case $? in 0) printf '%s\\npassed\\n' {secret} >&{REPORT_DESCRIPTOR};; *) exit;; esac\n"
    _become_bash(bash, f"{program.source}\n{program.test}\n{epilogue}")


def check_bash(bash: str, program: Program, _secret: str) -> None:
    """Become Bash, which reads the candidate without running it and ends with status 0 if it is a Bash program."""
    _become_bash(bash, program.source, "-n")


def _become_bash(bash: str, script: str, *options: str) -> None:
    script_descriptor = _file_with(script)
    os.set_inheritable(script_descriptor, True)
    os.execv(bash, ["bash", "--noprofile", "--norc", *options, f"/dev/fd/{script_descriptor}"])


def _file_with(text: str) -> int:
    """Descriptor of a file without a name, at its start."""
    with tempfile.TemporaryFile() as file:
        file.write(text.encode("utf-8", errors="surrogatepass"))
        file.seek(0)
        return os.dup(file.fileno())
