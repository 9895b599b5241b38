"""SQL as jobs of BigQuery: limits, labels, the session that jobs share, cancelled when they take too long."""

from __future__ import annotations

import concurrent.futures
import contextlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from anomflow.errors import WarehouseError
from blocks.warehouses.bigquery_errors import explain_failure, explain_login
from blocks.warehouses.server import LeaseLimits

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import pyarrow as pa
    from google.cloud.bigquery import Client, QueryJob, QueryJobConfig

ROWS: Final = "anomflow_rows"


@dataclass(frozen=True)
class JobLimits(LeaseLimits):
    """How long one request may take, in seconds, too; how many bytes a query may be billed."""

    http_seconds: float
    bytes_billed: int | None


@dataclass(frozen=True)
class Place:
    """A dataset (``project.dataset``), its name for messages, its limits, the labels of its jobs.

    ``has_storage`` tells whether Google's storage API serves large results, as it does not beside an emulator.
    """

    location: str
    dataset: str
    limits: JobLimits
    labels: Mapping[str, str] = field(default_factory=dict)
    has_storage: bool = True


class Jobs:
    """Run statements over one client, in one session of BigQuery's once it was begun."""

    def __init__(self, client: Client, place: Place) -> None:
        self.client = client
        self.place = place
        self.session_id: str | None = None

    def begin_session(self) -> None:
        """Begin the session and its transaction; all later statements are part of it.

        BigQuery ends a session that is idle for 24 hours; what it did is undone then.
        """
        config = self._build_config(None)
        if self.session_id is None:
            config.create_session = True
        job = self._run("begin transaction", config)
        if job.session_info is not None:
            self.session_id = job.session_info.session_id

    def end_session(self) -> None:
        """End the session, and with it a transaction that is open; never raise."""
        if self.session_id is not None:
            with contextlib.suppress(WarehouseError):
                self.run("call bq.abort_session()")
            self.session_id = None

    def abort(self, session_id: str) -> None:
        """End a session of another process, and with it its transaction."""
        self.run(f"call bq.abort_session('{session_id}')", outside=True)

    def run(self, sql: str, rows: str | None = None, *, outside: bool = False) -> int:
        """Run one statement and return how many rows it changed.

        ``rows`` is the parameter ``ROWS``; ``outside`` is for what is no part of the session and its transaction.
        """
        return int(self._run(sql, self._build_config(rows, outside=outside)).num_dml_affected_rows or 0)

    def fetch(self, sql: str, *, outside: bool = False) -> pa.Table:
        """Run one query and return its rows."""
        job = self._run(sql, self._build_config(None, outside=outside))
        with self._explaining():
            return job.to_arrow(create_bqstorage_client=self.place.has_storage)

    def find_statement(self, sql: str) -> str:
        """Return the kind of a statement (``SELECT``) without running it; this is free."""
        config = self._build_config(None)
        config.dry_run = True
        with self._explaining():
            job = self.client.query(
                sql, job_config=config, retry=self._build_retry(), job_retry=None, timeout=self.place.limits.http_seconds
            )
        return str(job.statement_type)

    def find_columns(self, table: str) -> dict[str, tuple[str, str]] | None:
        """Return the type and mode of each column of a table (``project.dataset.table``), None where there is none."""
        from google.api_core.exceptions import NotFound  # noqa: PLC0415 - the driver loads when it is used

        with self._explaining():
            try:
                found = self.client.get_table(table, retry=self._build_retry(), timeout=self.place.limits.http_seconds)
            except NotFound:
                return None
        return {column.name: (column.field_type, column.mode) for column in found.schema}

    def _build_config(self, rows: str | None, *, outside: bool = False) -> QueryJobConfig:
        from google.cloud import bigquery  # noqa: PLC0415 - as above

        limits = self.place.limits
        config = bigquery.QueryJobConfig(default_dataset=self.place.dataset, labels=dict(self.place.labels), use_legacy_sql=False)
        config.job_timeout_ms = round(limits.statement_seconds * 1000)
        if limits.bytes_billed is not None:
            config.maximum_bytes_billed = limits.bytes_billed
        if rows is not None:
            config.query_parameters = [bigquery.ScalarQueryParameter(ROWS, "STRING", rows)]
        if self.session_id is not None and not outside:
            config.connection_properties = [bigquery.ConnectionProperty("session_id", self.session_id)]
        return config

    def _run(self, sql: str, config: QueryJobConfig) -> QueryJob:
        limits, retry = self.place.limits, self._build_retry()
        with self._explaining():
            job = self.client.query(sql, job_config=config, retry=retry, job_retry=None, timeout=limits.http_seconds)
            try:
                job.result(retry=retry, job_retry=None, timeout=limits.statement_seconds)
            except concurrent.futures.TimeoutError:
                with contextlib.suppress(Exception):  # it ends by its own limit too
                    job.cancel(retry=None, timeout=limits.http_seconds)
                words = f"it took longer than {limits.statement_seconds:g} s; make it faster or raise statement_timeout_seconds"
                raise WarehouseError(f"{self.place.location} refused a statement: {words}") from None
        return job

    def _build_retry(self) -> Any:
        """Repeat single requests that failed in passing: a job has an id, so that none runs twice."""
        from google.cloud.bigquery.retry import DEFAULT_RETRY  # noqa: PLC0415 - as above

        return DEFAULT_RETRY.with_timeout(self.place.limits.http_seconds)

    @contextlib.contextmanager
    def _explaining(self) -> Iterator[None]:
        from google.api_core.exceptions import GoogleAPIError  # noqa: PLC0415 - as above
        from google.auth.exceptions import GoogleAuthError, TransportError  # noqa: PLC0415 - as above

        try:
            yield
        except GoogleAuthError as error:
            is_lost = isinstance(error, TransportError)
            raise (explain_failure if is_lost else explain_login)(error, self.place.location) from None
        except (GoogleAPIError, OSError) as error:
            raise explain_failure(error, self.place.location) from error
