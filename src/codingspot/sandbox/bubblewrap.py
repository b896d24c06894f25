"""The command that starts a fork server inside bubblewrap, and where interpreters are in there.

Inside there is no network, no /home, no /root, nothing of the caller's environment; the system's programs and
libraries, this Python's standard library, the packages that programs ask for and the fork server are there to be
read; /tmp alone can be written.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

INSIDE = Path(__file__).parent / "inside"

_GUEST_PACKAGE = "/opt/codingspot"
_SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/nix/store")
_SETTINGS = ("/etc/alternatives", "/etc/ld.so.cache", "/etc/localtime")
_SERVE = "import sys; sys.path.insert(0, sys.argv[1]); from inside.server import main; sys.path.pop(0); main()"
_SITES = "/opt/sites"
_ENVIRONMENT = {
    **{"PATH": "/usr/bin:/bin", "HOME": "/tmp", "TMPDIR": "/tmp", "LANG": "C.UTF-8", "PYTHONHASHSEED": "0"},
    # A numerical library starts a thread for each processor, of which a large machine has more than a program may.
    **{"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
}


@dataclass(frozen=True)
class Interpreter:
    """An interpreter of this machine: its path in the sandbox, and the options that put it there."""

    path: str
    options: tuple[str, ...] = ()
    libraries: str | None = None


def bubblewrap() -> str | None:
    """Path of bubblewrap, None if it isn't installed."""
    return shutil.which("bwrap")


def find_interpreters() -> dict[str, Path]:
    """Interpreters of this machine by language; Python is always there."""
    found = {"python": _python()}
    for language, command in (("javascript", "node"), ("bash", "bash")):
        path = shutil.which(command)
        if path is not None:
            found[language] = Path(path).resolve()
    return found


def _python() -> Path:
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    executable = Path(sys.base_prefix) / "bin" / version
    return executable.resolve() if executable.exists() else Path(sys.executable).resolve()


def guest(language: str, executable: Path) -> Interpreter:
    """Where an interpreter is in the sandbox; one outside the system's folders moves to /opt with its libraries."""
    if any(executable.is_relative_to(folder) for folder in _SYSTEM):
        return Interpreter(str(executable))
    home, prefix = f"/opt/{language}", executable.parent.parent
    path = f"{home}/bin/{executable.name}"
    options = ["--dir", home, "--dir", f"{home}/bin", "--ro-bind", str(executable), path]
    for folder in ("lib", "lib64"):
        options += ["--ro-bind-try", str(prefix / folder), f"{home}/{folder}"]
    for packages in sorted((prefix / "lib").glob("python*/site-packages")):
        hidden = f"{home}/{packages.relative_to(prefix)}"
        options += ["--tmpfs", hidden, "--remount-ro", hidden]
    return Interpreter(path, tuple(options), f"{home}/lib")


def site(package: str) -> str:
    """Folder of the sandbox's import path that a package is in."""
    return f"{_SITES}/{package}"


def isolated_commands(
    path: str, interpreters: dict[str, Interpreter], packages: Mapping[str, Mapping[str, Path]]
) -> list[list[str]]:
    """Commands that start a fork server in the bubblewrap at ``path``, to be tried in this order.

    ``packages`` holds what lies in the ``site`` of each package that is wanted, by name.

    Root can do without a user namespace, and should: in one, the kernel would still see root and not limit its
    processes. But root of a container may lack the power.
    """
    base = ["--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts", "--unshare-cgroup-try"]
    # Not as the namespace's root: only a privileged process may nest a namespace in that one's.
    in_namespace = ["--unshare-user", "--uid", "1000", "--gid", "1000", *base, "--cap-drop", "ALL"]
    as_root = [*base, "--cap-drop", "ALL"]
    for capability in ("CAP_SYS_ADMIN", "CAP_SETUID", "CAP_SETGID"):
        as_root += ["--cap-add", capability]
    variants = [as_root, in_namespace] if os.getuid() == 0 else [in_namespace]
    return [
        [
            path,
            *variant,
            *_file_system(interpreters, packages),
            "--",
            *_serve(interpreters["python"].path, _GUEST_PACKAGE),
        ]
        for variant in variants
    ]


def unprotected_command(python: Path) -> list[str]:
    """Command that starts a fork server without bubblewrap."""
    return _serve(str(python), str(INSIDE.parent))


def environment(python: Interpreter | None) -> dict[str, str]:
    """All the environment variables that a fork server gets; ``python`` is None without bubblewrap."""
    if python is None:
        return _ENVIRONMENT | {"PATH": os.environ.get("PATH", os.defpath)}
    return _ENVIRONMENT | ({"LD_LIBRARY_PATH": python.libraries} if python.libraries else {})


def _serve(python: str, package: str) -> list[str]:
    return [python, "-S", "-s", "-P", "-B", "-c", _SERVE, package]


def _file_system(interpreters: dict[str, Interpreter], packages: Mapping[str, Mapping[str, Path]]) -> list[str]:
    options = ["--new-session", "--die-with-parent", "--hostname", "sandbox"]
    for folder in map(Path, _SYSTEM):
        if folder.is_symlink():
            options += ["--symlink", str(folder.readlink()), str(folder)]
        elif folder.is_dir():
            options += ["--ro-bind", str(folder), str(folder)]
    # Named here because bubblewrap closes folders that it makes unasked to all but their owner.
    options += ["--dir", "/etc", "--dir", "/opt", "--dir", _GUEST_PACKAGE]
    for setting in _SETTINGS:
        options += ["--ro-bind-try", setting, setting]
    for interpreter in interpreters.values():
        options += interpreter.options
    options += ["--dir", _SITES]
    for package, entries in packages.items():
        options += ["--dir", site(package)]
        for name, entry in entries.items():
            options += ["--ro-bind", str(entry), f"{site(package)}/{name}"]
    options += ["--ro-bind", str(INSIDE), f"{_GUEST_PACKAGE}/{INSIDE.name}"]
    options += ["--proc", "/proc", "--dev", "/dev", "--remount-ro", "/dev"]
    return [*options, "--perms", "1777", "--tmpfs", "/tmp", "--remount-ro", "/", "--chdir", "/tmp"]
