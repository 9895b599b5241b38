"""One look at one thing, within a time limit: what was found, and what to do where it is not as it should be."""

from __future__ import annotations

import contextvars
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from anomflow.errors import AnomflowError
from anomflow.masking import mask_secrets

State = Literal["ok", "warning", "failed"]


@dataclass(frozen=True)
class Check:
    """The result of one look: at what, for which batches, how it is, in words, what to do, how long it took."""

    subject: str
    name: str
    state: State
    detail: str
    seconds: float
    batches: tuple[str, ...] = ()


@dataclass(frozen=True)
class Finding:
    """What a look found where it raised nothing; a warning says what to do."""

    detail: str
    state: State = "ok"


REACH = "See whether it is up and this machine may reach it, and whether its address is right."


def join_advice(error: Exception, advice: str) -> str:
    """Put what to do behind what an error says."""
    said = str(error).strip()
    return f"{said} {advice}" if said.endswith((".", "?", "!")) else f"{said}. {advice}"


@dataclass(frozen=True)
class Runner:
    """Run looks at one subject, each in a thread of its own that is left to itself after ``seconds``."""

    subject: str
    seconds: float
    batches: tuple[str, ...] = ()
    environ: Mapping[str, str] = field(default_factory=dict, repr=False)

    def run(self, name: str, look: Callable[[], Finding | str]) -> Check:
        """Run one look; whatever it raises is its result, secrets of the environment hidden."""
        start = time.perf_counter()
        finding = self._run(look)
        return self._build(name, finding, time.perf_counter() - start)

    def _run(self, look: Callable[[], Finding | str]) -> Finding:
        found: list[Finding] = []
        # The settings of Prefect live in the context, which a thread does not have by itself.
        context = contextvars.copy_context()
        thread = threading.Thread(target=lambda: found.append(context.run(_try, look)), daemon=True)
        thread.start()
        thread.join(self.seconds)
        if found:
            return found[0]
        return Finding(f"did not end within {self.seconds:g} s; see whether it is up and not locked, or allow more (--timeout)", "failed")

    def _build(self, name: str, finding: Finding, seconds: float) -> Check:
        detail = " ".join(mask_secrets(finding.detail, self.environ).split())
        return Check(self.subject, name, finding.state, detail, round(seconds, 3), self.batches)


def _try(look: Callable[[], Finding | str]) -> Finding:
    try:
        found = look()
    except AnomflowError as error:
        return Finding(str(error), "failed")
    except Exception as error:  # noqa: BLE001 - a driver's own error is a result, and must not stop the other checks
        return Finding(f"{type(error).__name__}: {error}", "failed")
    return Finding(found) if isinstance(found, str) else found
