"""The command in a pseudo-terminal."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import sys


def talk(words: list[str], answers: dict[str, str]) -> str:
    """Run the command in a pseudo-terminal, answer each question when it is asked, and return what was shown."""
    master, slave = pty.openpty()
    command = [sys.executable, "-m", "cli.main", *words]
    environ = {**os.environ, "COLUMNS": "200"}
    process = subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave, close_fds=True, env=environ)
    os.close(slave)
    shown, waiting = "", dict(answers)
    while select.select([master], [], [], 120)[0]:
        try:
            shown += os.read(master, 4096).decode()
        except OSError:  # the other side has gone
            break
        for question in [asked for asked in waiting if asked in shown]:
            os.write(master, waiting.pop(question).encode())
    os.close(master)
    process.wait(timeout=60)
    assert waiting == {}
    return shown
