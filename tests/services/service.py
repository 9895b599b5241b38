"""A service under test: what it needs installed, how its server is started and stopped."""

from __future__ import annotations

import fcntl
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
import time
import venv
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
INSTALLED = ROOT / ".venv" / "services"
_PIP = (sys.executable, "-m", "pip", "--disable-pip-version-check")


@dataclass(frozen=True)
class Service:
    """What one file of ``engines/`` says of its service.

    ``packages`` are those of our own process (the driver), with their pins; they go to a folder of their own beside the locked
    ones. ``start`` gets an empty folder for data, installs what the server is made of, starts it, waits for its health, yields
    the environment that the tests need, and stops it. ``leaves_out`` are shared tests that tell nothing more of this engine.
    """

    packages: Sequence[str]
    start: Callable[[Path], AbstractContextManager[Mapping[str, str]]]
    leaves_out: Sequence[str] = ()


def install_packages(name: str, packages: Sequence[str]) -> Path:
    """Install packages into a folder of their own, unless these are there, and return it."""
    folder = INSTALLED / name

    def install() -> None:
        folder.mkdir(parents=True)
        if packages:  # else the driver is among the locked ones
            subprocess.run([*_PIP, "install", "-qq", "--no-deps", "--target", str(folder), *packages], check=True)

    install_once(folder, packages, install)
    return folder


def install_with_needs(name: str, packages: Sequence[str]) -> Path:
    """Install packages with what they need and we lack, unless these are there, and return the folder to import them from."""
    folder = INSTALLED / name
    site = Path(sysconfig.get_path("purelib", "venv", {"base": str(folder)}))

    def install() -> None:
        venv.create(folder)
        # pip finds there what is installed already, and leaves it alone.
        (site / "ours.pth").write_text(sysconfig.get_path("purelib"), encoding="utf-8")
        subprocess.run([*_PIP, "--python", str(folder / "bin" / "python"), "install", "-qq", *packages], check=True)

    install_once(folder, packages, install)
    return site


@contextmanager
def install_alone(name: str) -> Iterator[None]:
    """Let no two processes look for something that both need, and install it, at a time."""
    INSTALLED.mkdir(parents=True, exist_ok=True)
    with (INSTALLED / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def install_once(folder: Path, packages: Sequence[str], install: Callable[[], None]) -> None:
    """Install packages into a folder that there is not yet, unless these are there; others who need them wait meanwhile."""
    mark = folder / "packages.txt"
    wanted = "\n".join((sys.version, *packages))
    with install_alone(folder.name):
        if not mark.is_file() or mark.read_text(encoding="utf-8") != wanted:
            shutil.rmtree(folder, ignore_errors=True)
            install()
            mark.write_text(wanted, encoding="utf-8")


def find_free_port() -> int:
    """Return a port of the loopback address that nothing listens on."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
        return port


@dataclass(frozen=True)
class Server:
    """A server's command, the user that it runs as (None: this one), the file that it writes to, the signal that ends it."""

    command: Sequence[str]
    log: Path
    user: str | None = None
    stop: signal.Signals = signal.SIGTERM


@contextmanager
def run_server(server: Server, is_healthy: Callable[[], bool], seconds: float = 150.0) -> Iterator[int]:
    """Run a server while the context is open and yield its process id, once it is healthy; stop this process and no other."""
    with server.log.open("wb") as log:
        process = subprocess.Popen(server.command, stdout=log, stderr=subprocess.STDOUT, user=server.user, cwd=server.log.parent)
    try:
        wait_for_health(process, server.log, is_healthy, seconds)
        yield process.pid
    finally:
        process.send_signal(server.stop)
        process.wait(150)


def wait_for_health(process: subprocess.Popen[bytes], log: Path, is_healthy: Callable[[], bool], seconds: float = 150.0) -> None:
    """Wait until a server answers; one that has ended never will."""
    end = time.monotonic() + seconds
    while not is_healthy():
        if process.poll() is not None or time.monotonic() > end:
            raise RuntimeError(f"{process.args} did not start:\n{log.read_text(errors='replace')[-2000:]}")
        time.sleep(0.1)
