"""Everything that Anomflow raises.

AnomflowError
    SettingsError           wrong settings, all of them at once, each with file and line
    SqlError                a template or query that cannot be rendered or translated
    FrameError              a result without the columns or types that it must have
    IngestError             a user's ingest function that raised, hung or returned something else
        SourceError             a web source, or what is needed to ask it, is not as it should be
    WarehouseError          an engine refused a statement
        MissingTableError       a table that no job made yet
        WarehouseBusyError      locked by another process (transient)
        WarehouseUnavailableError  not reachable (transient)
    PreprocessError         a user's preprocess function that raised, looked ahead or returned something else
    ModelError              a model object that cannot be used
        MissingModelError       not in the store
        CorruptModelError       torn or tampered with
        StoreError              the model store refused
            StoreUnavailableError   not reachable (transient)
    DeliveryError           a channel did not accept a message
        RetryableDeliveryError  may succeed later (transient)
        RefusedDeliveryError    will never succeed
        DeliveriesGivenUpError  a run gave messages up
    BlockError              the Prefect API did not give, or did not take, a saved block
    RunError                nothing of a run worked
    MissingDependencyError  a driver that an extra installs

``Transient`` marks what a task may try again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


class Transient(Exception):  # noqa: N818 - a mark on errors, not an error of its own
    """Mark an error that may not occur when the same thing is tried again."""


class AnomflowError(Exception):
    """Be the root of all errors that Anomflow raises on purpose."""


@dataclass(frozen=True)
class Problem:
    """One thing wrong with a setting: where, what was found, what to do.

    ``line`` counts from 1; None where the value has no line (environment, ``--set``).
    """

    where: str
    line: int | None
    message: str
    key: str | None = None
    warning: bool = False

    def __str__(self) -> str:
        """Return the problem with its place, as one line."""
        place = self.where if self.line is None else f"{self.where}:{self.line}"
        return f"{place}: {self.message}"


class SettingsError(AnomflowError):
    """Report every wrong setting that was found, not just the first."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


class SqlError(AnomflowError):
    """Report a template or query that cannot be rendered or translated; ``where`` and ``line`` (from 1) say of what."""

    def __init__(self, message: str, where: str = "", line: int | None = None) -> None:
        place = where if line is None else f"{where}:{line}"
        super().__init__(f"{place}: {message}" if place else message)
        self.message = message
        self.where = where
        self.line = line


class FrameError(AnomflowError):
    """Report a result that lacks columns or has values of a wrong type."""


class IngestError(AnomflowError):
    """Report an ingest function that raised, hung or returned something else than rows."""


class SourceError(IngestError):
    """Report a web source that did not answer as it should, or a variable that is needed to ask it."""


class PreprocessError(AnomflowError):
    """Report a preprocess function that raised, looked ahead or returned something else than features."""


class WarehouseError(AnomflowError):
    """Report a statement that an engine refused."""


class MissingTableError(WarehouseError):
    """Report a table that is not there yet."""


class WarehouseBusyError(WarehouseError, Transient):
    """Report a database that stayed locked by another process up to the limit."""


class WarehouseUnavailableError(WarehouseError, Transient):
    """Report a database that cannot be reached now."""


class ModelError(AnomflowError):
    """Report a model object that cannot be used."""


class MissingModelError(ModelError):
    """Report a model object that is not in the store."""


class CorruptModelError(ModelError):
    """Report a model object whose bytes are not those that were published."""


class StoreError(ModelError):
    """Report a model store that refused: no model of it can be judged by that."""


class StoreUnavailableError(StoreError, Transient):
    """Report a model store that cannot be reached now."""


class DeliveryError(AnomflowError):
    """Report a channel that did not accept a message."""


class RetryableDeliveryError(DeliveryError, Transient):
    """Report a delivery that may succeed later; ``retry_after`` is what the channel asked for, in seconds."""

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class RefusedDeliveryError(DeliveryError):
    """Report a delivery that will never succeed: a bad address, a wrong password, a 4xx."""


class DeliveriesGivenUpError(DeliveryError):
    """Report messages that a run gave up, so that the run fails."""


class BlockError(AnomflowError):
    """Report a saved block that the Prefect API did not give or did not take."""


class RunError(AnomflowError):
    """Report a run of which nothing worked."""


class MissingDependencyError(AnomflowError, ImportError):
    """Report a driver that is not installed, with the extra that installs it, or the package where no extra does."""

    def __init__(self, what: str, extra: str, package: str = "") -> None:
        needed, given = (f"the extra {extra!r}", f"'anomflow[{extra}]'") if extra else (f"the package {package!r}", package)
        super().__init__(f"{what} needs {needed}. Install it with: pip install {given}")
        self.what = what
        self.extra = extra
        self.package = package
