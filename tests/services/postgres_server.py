"""A PostgreSQL server from Debian's package, whose data are gone with it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.services.debian import install_debian
from tests.services.service import Server, find_free_port, install_alone, run_server

SUPERUSER = "super"
SUPERUSER_PASSWORD = "of-the-superuser"
_SETTINGS = {"listen_addresses": "127.0.0.1", "unix_socket_directories": "", "fsync": "off", "deadlock_timeout": "200ms"}


@contextmanager
def serve_postgres(folder: Path) -> Iterator[int]:
    """Start a server on the loopback that keeps its data in a folder and yield its port."""
    programs, port = _install(), find_free_port()
    user = "postgres" if os.geteuid() == 0 else None  # the server refuses to run as root
    shutil.chown(folder, user) if user else None
    _initialize(programs, folder, user)
    options = [word for name, value in _SETTINGS.items() for word in ("-c", f"{name}={value}")]
    command = [str(programs / "postgres"), "-D", str(folder / "data"), "-p", str(port), *options]
    ready = [programs / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(port)]
    server = Server(command, folder / "log", user, signal.SIGINT)
    with run_server(server, lambda: subprocess.run(ready, check=False).returncode == 0):
        yield port


def _initialize(programs: Path, folder: Path, user: str | None) -> None:
    secret = folder / "password"
    secret.write_text(SUPERUSER_PASSWORD, encoding="utf-8")
    secret.chmod(0o644)
    options = ["-A", "scram-sha-256", f"--pwfile={secret}", "-E", "UTF8", "--locale=C.UTF-8"]
    command = [programs / "initdb", "-D", folder / "data", "-U", SUPERUSER, *options]
    subprocess.run(command, check=True, user=user, cwd=folder, stdout=subprocess.DEVNULL)


def _install() -> Path:
    with install_alone("postgresql"):  # of a package that is being installed the programs are there too soon
        found = _find_programs()
        if found is None:
            # Debian's package starts a server of its own otherwise.
            Path("/etc/postgresql-common").mkdir(exist_ok=True)
            Path("/etc/postgresql-common/createcluster.conf").write_text("create_main_cluster = false\n", encoding="utf-8")
            install_debian("postgresql")
            found = _find_programs()
    assert found is not None, "there is no PostgreSQL server; apt-get install postgresql"
    return found


def _find_programs() -> Path | None:
    found = [path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/postgres")]
    return max(found, key=lambda path: int(path.parent.name), default=None) or _find_on_path()


def _find_on_path() -> Path | None:
    found = shutil.which("postgres")
    return Path(found).parent if found else None
