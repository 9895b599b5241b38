"""What can be told of BigQuery without a server: its settings, what its errors mean, and how rows travel."""

from __future__ import annotations

import json
import os
import re
import sys
from typing import TYPE_CHECKING

import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal
from pydantic import ValidationError

from anomflow.errors import MissingDependencyError, SettingsError, WarehouseBusyError, WarehouseError, WarehouseUnavailableError
from blocks.loading import load_warehouse
from blocks.warehouses import bigquery_values
from blocks.warehouses.bigquery import BigQueryWarehouse
from blocks.warehouses.bigquery_errors import explain_failure, explain_login
from blocks.warehouses.rows import split_rows
from tests.conformance.rows import build_many

if TYPE_CHECKING:
    from pathlib import Path

SECRET = "s%cret key"
KEY = json.dumps({"type": "service_account", "client_email": "a@b", "private_key": SECRET, "token_uri": "https://example.org/token"})


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith(("ANOMFLOW_BIGQUERY_", "BIGQUERY_")):
            monkeypatch.delenv(name)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, "Field required"),
        ({"dataset": "a-b"}, "should match pattern"),
        ({"dataset": "p.d.t"}, "should match pattern"),
        ({"dataset": "d", "project": "No Project"}, "should match pattern"),
        ({"dataset": "d", "endpoint": "http://user:s%cret@host"}, "should match pattern"),
        ({"dataset": "d", "service_account_info": SECRET}, "must be the JSON text"),
        ({"dataset": "d", "service_account_info": '{"private_key": "s%cret key"}'}, "must be the JSON text"),
        ({"dataset": "d", "service_account_info": KEY, "gcp_credentials": "prod"}, "not both"),
        ({"dataset": "d", "maximum_bytes_billed": 10}, "greater than or equal to 10485760"),
        ({"dataset": "d", "labels": {"Team": "x"}}, "'Team' is no label"),
        ({"dataset": "d", "statement_timeout_seconds": 0}, "greater than 0"),
    ],
)
def test_wrong_fields_are_refused_without_quoting_a_secret(fields: dict[str, object], words: str) -> None:
    with pytest.raises(ValidationError, match=re.escape(words)) as caught:
        BigQueryWarehouse(**fields)
    assert "s%cret" not in str(caught.value)


def test_the_environment_names_a_dataset(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    fields = {"dataset": "metrics", "project": "shop-prod", "maximum_bytes_billed": "1000000000", "service_account_info": KEY}
    for name, value in fields.items():
        monkeypatch.setenv(f"ANOMFLOW_BIGQUERY_{name.upper()}", value)
    warehouse = load_warehouse("bigquery", tmp_path)
    assert warehouse.location == "bigquery:shop-prod.metrics"
    assert warehouse.maximum_bytes_billed == 10**9  # type: ignore[attr-defined]
    assert "s%cret" not in repr(warehouse)


def test_a_wrong_variable_is_named_without_its_value(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ANOMFLOW_BIGQUERY_DATASET", "d")
    monkeypatch.setenv("ANOMFLOW_BIGQUERY_SERVICE_ACCOUNT_INFO", SECRET)
    with pytest.raises(SettingsError, match="ANOMFLOW_BIGQUERY_SERVICE_ACCOUNT_INFO") as caught:
        load_warehouse("bigquery", tmp_path)
    assert "s%cret" not in str(caught.value)


def test_without_the_client_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "google.auth.exceptions", None)
    with pytest.raises(MissingDependencyError, match=r"needs the extra 'gcp'"), BigQueryWarehouse(dataset="d").reading():
        pass


class RefusalError(Exception):
    """An error as Google's client raises it: a code, and the reasons that the API gave."""

    def __init__(self, code: int | None, reason: str, message: str = "some words") -> None:
        super().__init__(message)
        self.code = code
        self.errors = [{"reason": reason, "message": message}] if reason else []


CONFLICT = "Transaction is aborted due to concurrent update against table p:d.t. Transaction ID: 1 at [1:1]"


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        (RefusalError(400, "invalidQuery", CONFLICT), WarehouseBusyError, "run again"),
        (
            RefusalError(400, "invalidQuery", "Could not serialize access to table t due to concurrent update"),
            WarehouseBusyError,
            "run again",
        ),
        (RefusalError(403, "rateLimitExceeded"), WarehouseUnavailableError, "overloaded"),
        (RefusalError(503, "backendError"), WarehouseUnavailableError, "overloaded"),
        (RefusalError(500, ""), WarehouseUnavailableError, "overloaded"),
        (ConnectionResetError("reset by peer"), WarehouseUnavailableError, "reset by peer"),
        (RefusalError(403, "accessDenied"), WarehouseError, "refused a statement: some words"),
        (RefusalError(403, "quotaExceeded"), WarehouseError, "refused a statement"),
        (RefusalError(404, "notFound"), WarehouseError, "refused a statement"),
        (RefusalError(400, "bytesBilledLimitExceeded"), WarehouseError, "raise maximum_bytes_billed"),
        (RefusalError(None, "stopped"), WarehouseError, "raise statement_timeout_seconds"),
    ],
)
def test_only_what_may_go_well_later_is_tried_again(error: Exception, kind: type[WarehouseError], words: str) -> None:
    explained = explain_failure(error, "bigquery:d")
    assert type(explained) is kind
    assert words in str(explained)
    assert "bigquery:d" in str(explained)


def test_a_login_that_fails_says_what_to_do_and_quotes_nothing() -> None:
    explained = explain_login(ValueError(SECRET), "bigquery:d")
    assert "gcloud auth application-default login" in str(explained)
    assert "s%cret" not in str(explained)


@given(
    st.lists(
        st.tuples(st.text(), st.none() | st.floats(allow_nan=False, allow_infinity=False), st.none() | st.integers(-(2**63), 2**63 - 1))
    )
)
def test_rows_travel_as_text_that_gives_their_values_back(rows: list[tuple[str, float | None, int | None]]) -> None:
    frame = pl.DataFrame(rows, schema={"text": pl.String, "value": pl.Float64, "count": pl.Int64}, orient="row")
    parts = json.loads(bigquery_values.encode_rows(frame))
    decoded = [(text, value and float(value), count and int(count)) for text, value, count in parts]
    assert decoded == rows


HOSTILE = st.text('"\\\n\x7fü\U0001f600')


@given(st.lists(st.tuples(st.text(), st.none() | st.floats(), st.none() | HOSTILE), min_size=1), st.integers(50, 500))
def test_rows_travel_in_parts_that_fit_into_a_request(rows: list[tuple[str, float | None, str | None]], characters: int) -> None:
    frame = pl.DataFrame(rows, schema={"text": pl.String, "value": pl.Float64, "more": pl.String}, orient="row")
    parts = list(split_rows(frame, characters))
    assert_frame_equal(pl.concat(parts), frame)
    lengths = [len(json.dumps(bigquery_values.encode_rows(part))) - 4 for part in parts]
    assert all(length <= characters or part.height == 1 for part, length in zip(parts, lengths, strict=True))


def test_parts_are_few() -> None:
    assert len(list(split_rows(build_many(60_000)))) == 2


def test_what_is_no_plain_type_comes_as_number_or_text() -> None:
    fetched = pa.table(
        {"n": pa.array([1, None], pa.decimal128(38, 9)), "b": pa.array([2, 3], pa.decimal256(76, 38)), "f": [float("nan"), 1.5]}
    )
    frame = bigquery_values.build_frame(fetched, "bigquery:d")
    assert frame["n"].to_list() == [1.0, None]
    assert frame["b"].to_list() == [2.0, 3.0]
    assert frame.dtypes == [pl.Float64] * 3


def test_columns_of_one_name_or_without_a_type_are_refused() -> None:
    twice = pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["a", "a"])
    with pytest.raises(WarehouseError, match="more than one occurrence of the column a"):
        bigquery_values.build_frame(twice, "bigquery:d")
    with pytest.raises(WarehouseError, match="column i is an INTERVAL"):
        bigquery_values.build_frame(pa.table({"i": pa.array([None], pa.month_day_nano_interval())}), "bigquery:d")
