"""Programs that try to reach out of the sandbox, or to use more of the machine than they may."""

from __future__ import annotations

import os
import platform
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from codingspot.sandbox import Limits, Program, Sandbox, Verdict

HERE = Path(__file__).resolve().parent


def outcome_of(sandbox: Sandbox, source: str, test: str = "") -> tuple[Verdict, str]:
    outcome = sandbox.run([Program("python", source, test)])[0]
    return outcome.verdict, outcome.detail


def running(marker: str) -> bool:
    """Whether a process of this machine was started with ``marker`` among its arguments."""
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if marker.encode() in (process / "cmdline").read_bytes().split(b"\0"):
                return True
        except OSError:
            continue
    return False


def becomes(condition: Callable[[], bool]) -> bool:
    """Whether ``condition`` comes true within half a minute."""
    deadline = time.monotonic() + 30
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def test_network_is_unreachable(sandbox: Sandbox) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        source = """
import socket
def reachable(address):
    try:
        socket.create_connection(address, timeout=0.1)
    except OSError:
        return False
    return True
"""
        test = f"assert not reachable(('127.0.0.1', {port})) and not reachable(('1.1.1.1', 53))"
        assert outcome_of(sandbox, source, test) == (Verdict.PASSED, "")


def test_nothing_but_the_private_folder_can_be_written(patient_sandbox: Sandbox) -> None:
    source = """
import os
writable = set()
for folder, folders, _ in os.walk("/"):
    if folder in ("/proc", "/dev/pts") or folder.count("/") > 3:
        folders.clear()
        continue
    try:
        with open(os.path.join(folder, "written"), "w") as file:
            file.write("x")
        writable.add(folder)
    except OSError:
        pass
"""
    assert outcome_of(patient_sandbox, source, "assert writable == {'/tmp', '/dev/shm'}, writable") == (
        Verdict.PASSED,
        "",
    )


def test_devices_and_kernel_settings_are_out_of_reach(sandbox: Sandbox) -> None:
    source = """
import os, stat
def refused(path):
    try:
        os.close(os.open(path, os.O_WRONLY))
    except OSError:
        return True
    return False
try:
    os.mknod("/tmp/disk", 0o600 | stat.S_IFBLK, os.makedev(8, 0))
    made = True
except OSError:
    made = False
"""
    test = """
assert not made
assert refused("/proc/sys/kernel/core_pattern") and refused("/proc/sysrq-trigger")
assert not os.path.exists("/sys/kernel")
"""
    assert outcome_of(sandbox, source, test) == (Verdict.PASSED, "")


def test_homes_and_this_repository_are_not_there(sandbox: Sandbox) -> None:
    paths = ["/root", "/home", "/work", "/mnt", "/var", "/etc/passwd", "/etc/shadow", str(HERE), str(Path.home())]
    source = f"import os\nfound = [path for path in {paths!r} if os.path.exists(path)]"
    assert outcome_of(sandbox, source, "assert found == []") == (Verdict.PASSED, "")


def test_environment_of_the_caller_is_invisible(sandbox: Sandbox, isolation: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CODINGSPOT_TEST_TOKEN", "do-not-tell")
        with Sandbox(Limits(), workers=1) as fresh:
            source = """
import glob, os
texts = [" ".join(os.environ.values())]
for path in glob.glob("/proc/*/environ") + glob.glob("/proc/*/cmdline"):
    texts.append(open(path, errors="replace").read())
"""
            assert outcome_of(fresh, source, "assert not any('do-not-tell' in text for text in texts)")[0] == "passed"


def test_other_processes_are_invisible_and_out_of_reach(sandbox: Sandbox) -> None:
    source = """
import os
pids = [name for name in os.listdir("/proc") if name.isdigit()]
try:
    os.kill(-1, 9)
except ProcessLookupError:
    pass
"""
    assert outcome_of(sandbox, source, "assert pids == ['1'] and os.getppid() == 0") == (Verdict.PASSED, "")


def test_killing_everything_hurts_only_the_program_itself(any_sandbox: Sandbox, unsafe_sandbox: Sandbox) -> None:
    everything = -1 if any_sandbox is not unsafe_sandbox else 0  # -1 without isolation would be this very test
    killer = Program("python", f"import os\nos.kill(os.getppid() or 1, 9)\nos.kill({everything}, 9)", "assert False")
    innocent = Program("python", "x = 1", "assert x == 1")
    verdicts = [outcome.verdict for outcome in any_sandbox.run([innocent, killer, innocent, innocent] * 2)]
    assert [verdicts[index] for index in (0, 2, 3, 4, 6, 7)] == [Verdict.PASSED] * 6
    assert verdicts[1] == verdicts[5] != Verdict.PASSED


def test_program_that_takes_its_sandbox_down_is_killed(single_use_sandbox: Sandbox) -> None:
    assert outcome_of(single_use_sandbox, "import os\nos.kill(os.getppid(), 9)") == (
        Verdict.KILLED,
        "its sandbox died with it",
    )


def test_program_that_stops_its_sandbox_is_killed(isolation: str) -> None:
    with Sandbox(Limits(seconds=0.1), workers=1, unsafe=True) as sandbox, pytest.MonkeyPatch.context() as patch:
        patch.setattr("codingspot.sandbox.worker._GRACE_SECONDS", 0.5)
        stop = "import os, signal\nos.kill(os.getppid(), signal.SIGSTOP)"
        assert outcome_of(sandbox, stop) == (Verdict.KILLED, "its sandbox hung")
        assert outcome_of(sandbox, "x = 1") == (Verdict.PASSED, "")


def test_fork_bomb_is_contained(sandbox: Sandbox) -> None:
    source = """
import os
while True:
    try:
        os.fork()
    except OSError:
        pass
"""
    assert outcome_of(sandbox, source)[0] in (Verdict.TIMED_OUT, Verdict.KILLED)
    assert outcome_of(sandbox, "x = 1") == (Verdict.PASSED, "")


def test_number_of_processes_is_limited(patient_sandbox: Sandbox) -> None:
    source = """
import os, time
started = 0
try:
    while started < 1000:
        if os.fork() == 0:
            time.sleep(60)
        started += 1
except BlockingIOError:
    pass
"""
    assert outcome_of(patient_sandbox, source, "assert 0 < started <= 32") == (Verdict.PASSED, "")


def test_bash_fork_bomb_is_contained(sandbox: Sandbox) -> None:
    outcome = sandbox.run([Program("bash", "bomb() { bomb | bomb & }; bomb; wait; sleep 60", "")])[0]
    assert outcome.verdict in (Verdict.TIMED_OUT, Verdict.KILLED)


HOARDS = {
    "pages of its own": "block = bytearray(size)",
    "shared pages": "block = mmap.mmap(-1, size)\nfor page in range(0, size, 4096): block[page] = 1",
    "local sockets": """
block = []
for _ in range(100):
    for end in (pair := socket.socketpair()):
        block.append(end)
        fill(end)
""",
    "connections": """
server = socket.create_server(("127.0.0.1", 0))
block = [server]
for _ in range(60):
    block.append(socket.create_connection(server.getsockname()))
    fill(block[-1])
    block.append(server.accept()[0])
""",
}


@pytest.mark.parametrize("kind", HOARDS)
def test_memory_of_all_processes_together_is_limited(patient_sandbox: Sandbox, kind: str) -> None:
    source = f"""
import mmap, os, socket, time
size = 60 * 2**20
def fill(end):
    end.setblocking(False)
    try:
        while True:
            end.send(bytes(60000))
    except BlockingIOError:
        pass
def hoard():
{textwrap.indent(HOARDS[kind], "    ")}
    time.sleep(60)
for _ in range(8):
    if os.fork() == 0:
        hoard()
time.sleep(60)
"""
    verdict, detail = outcome_of(patient_sandbox, source)
    assert verdict == Verdict.KILLED
    assert "memory (counted" in detail


def test_shared_pages_are_counted_once(patient_sandbox: Sandbox) -> None:
    source = """
import mmap, os, time
size = 100 * 2**20
block = mmap.mmap(-1, size)
for page in range(0, size, 4096):
    block[page] = 1
for _ in range(6):
    if os.fork() == 0:
        total = sum(block[page] for page in range(0, size, 4096))
        time.sleep(0.5)
        os._exit(total != size // 4096)
statuses = {os.wait()[1] for _ in range(6)}
"""
    assert outcome_of(patient_sandbox, source, "assert statuses == {0}") == (Verdict.PASSED, "")


@pytest.mark.parametrize("pool", ["ThreadPoolExecutor", "ProcessPoolExecutor"])
@pytest.mark.parametrize("unsafe", [False, True])
def test_ordinary_pools_work_at_the_default_limits(isolation: str, pool: str, unsafe: bool) -> None:
    source = f"""
from concurrent.futures import {pool}
from time import sleep
def double(x):
    sleep(0.01)
    return 2 * x
with {pool}(16) as pool:
    doubled = list(pool.map(double, range(64)))
"""
    with Sandbox(Limits(seconds=20.0), workers=1, unsafe=unsafe) as sandbox:
        assert outcome_of(sandbox, source, "assert doubled == list(range(0, 128, 2))") == (Verdict.PASSED, "")


def test_memory_of_javascript_is_limited(patient_sandbox: Sandbox) -> None:
    if "javascript" not in patient_sandbox.languages:
        pytest.skip("node is not installed")
    source = "const all = []; while (true) all.push(new Array(1e6).fill(all.length));"
    assert patient_sandbox.run([Program("javascript", source, "")])[0].verdict == Verdict.KILLED


@pytest.mark.skipif(platform.machine() not in ("x86_64", "aarch64"), reason="no system call filter here")
def test_ways_around_the_limits_are_closed(sandbox: Sandbox) -> None:
    source = """
import ctypes, errno, os
libc = ctypes.CDLL(None, use_errno=True)
def refused(call, *arguments):
    return call(*arguments) == -1 and ctypes.get_errno() == errno.EPERM
try:
    os.memfd_create("memory")
    made = True
except PermissionError:
    made = False
"""
    test = """
assert not made
assert refused(libc.unshare, 0x10000000)
assert refused(libc.shmget, 0, 4096, 0o1600)
assert refused(libc.socket, 38, 5, 0)
assert refused(libc.ptrace, 0, 0, 0, 0)
pid = os.fork()
if pid == 0:
    os._exit(7)
assert os.waitpid(pid, 0)[1] == 7 << 8
"""
    assert outcome_of(sandbox, source, test) == (Verdict.PASSED, "")


def test_files_are_limited(sandbox: Sandbox) -> None:
    source = """
import errno
written = 0
def fill(name):
    global written
    try:
        with open(name, "wb", buffering=0) as file:
            while True:
                written += file.write(bytes(2**20))
    except OSError as error:
        return error.errno
codes = {fill(f"/tmp/{number}") for number in range(3)}
"""
    test = "assert codes <= {errno.EFBIG, errno.ENOSPC} and sizes() <= 2**23"
    sizes = "import os\ndef sizes(): return sum(entry.stat().st_size for entry in os.scandir('/tmp'))\n"
    assert outcome_of(sandbox, source + sizes, test) == (Verdict.PASSED, "")


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_endless_output_is_cut_off(any_sandbox: Sandbox, stream: str) -> None:
    source = f"import sys\nwhile True:\n    print('x' * 1000, file=sys.{stream})"
    verdict, detail = outcome_of(any_sandbox, source)
    assert verdict == Verdict.KILLED
    assert "output" in detail


def test_processor_time_is_limited(isolation: str) -> None:
    with Sandbox(Limits(seconds=20.0, cpu_seconds=0.5), workers=1) as sandbox:
        assert outcome_of(sandbox, "while True: pass") == (Verdict.TIMED_OUT, "used 1 s of processor time")


def test_ignoring_signals_does_not_help_against_the_time_limit(any_sandbox: Sandbox) -> None:
    source = """
import signal, time
for number in set(signal.Signals) - {signal.SIGKILL, signal.SIGSTOP}:
    signal.signal(number, signal.SIG_IGN)
time.sleep(60)
"""
    assert outcome_of(any_sandbox, source)[0] == Verdict.TIMED_OUT


@pytest.mark.parametrize("name", ["sandbox", "single_use_sandbox"])
def test_processes_left_behind_die(request: pytest.FixtureRequest, name: str) -> None:
    sandbox: Sandbox = request.getfixturevalue(name)
    marker = f"60.{os.getpid()}{time.monotonic_ns()}"
    source = f"""
import os, subprocess
subprocess.Popen(["sleep", "{marker}"], start_new_session=True)
"""
    assert outcome_of(sandbox, source) == (Verdict.PASSED, "")
    assert becomes(lambda: not running(marker))


LEAVES_LISTENERS = """
import os, socket
reader, writer = os.pipe()
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        servers = [socket.create_server(("127.0.0.1", PORT)), socket.socket(socket.AF_UNIX)]
        servers[1].bind(NAME)
        os.write(writer, b"x")
        while True:
            servers[0].accept()
    os._exit(0)
os.wait()
os.read(reader, 1)
"""
BINDS = """
import socket
socket.socket(socket.AF_UNIX).bind(NAME)
socket.socket().bind(("127.0.0.1", PORT))
"""
LEAVES_A_CLOSED_CONNECTION = """
import socket
server = socket.create_server(("127.0.0.1", PORT))
client = socket.create_connection(("127.0.0.1", PORT))
server.accept()[0].close()
client.close()
"""


@pytest.mark.parametrize(
    ("leaver", "name"),
    [
        *((LEAVES_LISTENERS, name) for name in ("sandbox", "single_use_sandbox", "unsafe_sandbox")),
        *((LEAVES_A_CLOSED_CONNECTION, name) for name in ("sandbox", "single_use_sandbox")),
    ],
)
def test_ports_and_names_are_free_for_the_next_program(request: pytest.FixtureRequest, leaver: str, name: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    names = f"PORT, NAME = {port}, '\\0left-{port}'\n"
    sandbox: Sandbox = request.getfixturevalue(name)
    for _ in range(3):
        for source in (leaver, BINDS):
            assert outcome_of(sandbox, names + source) == (Verdict.PASSED, "")


def test_programs_at_one_time_may_listen_at_one_port(sandbox: Sandbox) -> None:
    source = """
import socket, time
server = socket.create_server(("127.0.0.1", 8000))
client = socket.create_connection(("127.0.0.1", 8000))
time.sleep(0.2)
"""
    outcomes = sandbox.run([Program("python", source, "assert client.send(b'x') == 1")] * 4)
    assert [outcome.verdict for outcome in outcomes] == [Verdict.PASSED] * 4


def test_everything_ends_with_the_caller(isolation: str) -> None:
    marker = f"60.{os.getpid()}{time.monotonic_ns()}"
    program = f"import subprocess\nsubprocess.run(['sleep', '{marker}'])"
    script = f"""
from codingspot.sandbox import Limits, Program, Sandbox
with Sandbox(Limits(seconds=60), workers=1) as sandbox:
    sandbox.run([Program("python", {program!r}, "")])
"""
    caller = subprocess.Popen([sys.executable, "-c", script])
    try:
        assert becomes(lambda: running(marker))
    finally:
        caller.kill()
        caller.wait()
    assert becomes(lambda: not running(marker))


def test_files_of_one_program_are_not_seen_by_the_next(any_sandbox: Sandbox) -> None:
    source = "import os\nfound = os.listdir('.')\nopen('left', 'w').write('x')\n"
    outcomes = any_sandbox.run([Program("python", source, "assert found == []")] * 6)
    assert [outcome.verdict for outcome in outcomes] == [Verdict.PASSED] * 6


def test_memory_files_of_one_program_are_not_seen_by_the_next(sandbox: Sandbox) -> None:
    source = "import os\nfound = os.listdir('/dev/shm')\nopen('/dev/shm/left', 'w').write('x')\n"
    outcomes = sandbox.run([Program("python", source, "assert found == []")] * 6)
    assert [outcome.verdict for outcome in outcomes] == [Verdict.PASSED] * 6
