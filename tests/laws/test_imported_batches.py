"""Batches in Anomstack's format, imported as they are, reach a delivered message; its table goes on being used."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest
from typer.testing import CliRunner

from anomflow.batches import load_batch
from cli.main import build_app

DEFAULTS = """\
db: "duckdb"
table_key: "metrics"
alert_methods: "email,slack"
alert_threshold: 0.8
disable_tholdalert: True
train_default_schedule_status: 'STOPPED'
train_sql: >
  {% include "./defaults/sql/train.sql" %}
preprocess_fn: >
  {% include "./defaults/python/preprocess.py" %}
"""
SENSORS = """\
metric_batch: "sensors"
table_key: "metrics_sensors"
alert_methods: "email"
llmalert_recent_n: 3
preprocess_params:
  diff_n: 1
  lags_n: 5
preprocess_fn: >
  {% include "./plant/preprocess.py" %}
metric_tags:
  pump:
    owner: plant
    floor: 2
disable_tholdalert: False
tholdalert_thresholds:
  pump:
    upper: 250
ingest_fn: >
  {% include "./plant/sensors.py" %}
"""
SENSORS_PY = """\
import math

import pandas as pd


def wave(hour):
    return 100 + 20 * math.sin(2 * math.pi * hour / 24) + (hour * 7919 % 13) / 3 + (200 if hour == 327 else 0)


def ingest() -> pd.DataFrame:
    times = pd.date_range("2026-01-01", periods=330, freq="h")
    values = [wave(hour) for hour in range(330)]
    return pd.DataFrame({"metric_name": "pump", "metric_timestamp": times, "metric_value": values})
"""
ORDERS = """\
metric_batch: "orders by country"
countries: [de, fr]
ingest_sql: >
  {% include "./orders/orders.sql" %}
"""
ORDERS_SQL = """\
{% for country in countries %}
select metric_timestamp, metric_name || '_{{ country }}' as metric_name, metric_value from source
{% if not loop.last %}union all{% endif %}
{% endfor %}
;
"""
THEIRS = {
    "defaults/defaults.yaml": DEFAULTS,
    "defaults/sql/train.sql": "select 'theirs'",
    "plant/sensors.yaml": SENSORS,
    "plant/sensors.py": SENSORS_PY,
    "plant/preprocess.py": "def preprocess(df, **params):\n    return df\n",
    "orders/orders.yaml": ORDERS,
    "orders/orders.sql": ORDERS_SQL,
}
ENV = "ANOMSTACK_ALERT_EMAIL_TO=b@example.org\nANOMSTACK_ALERT_EMAIL_SMTP_HOST=127.0.0.1\n"


@pytest.fixture
def imported(world):
    """The world's metrics folder with Anomstack's batches in it."""
    folder = world.folder / "theirs"
    for name, text in THEIRS.items():
        path = folder / "metrics" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (folder / ".env").write_text(ENV)
    result = CliRunner().invoke(
        build_app(), ["import", str(folder), "--env", str(folder / ".env"), "--into", str(world.folder / "metrics")]
    )
    assert result.exit_code == 0, result.output
    return world


def test_a_python_batch_reaches_a_mail(imported, mailbox, at):
    imported.run("pipeline", as_of=at(329), batch="sensors")

    (mail,) = mailbox.mails
    text = mail.get_body(("plain",)).get_content()
    assert "pump" in mail["Subject"]
    assert "plant" in text
    alerts = imported.table("_sensors_alerts")
    assert set(alerts.filter(status="open")["kind"]) == {"anomaly", "threshold"}


def test_a_batch_of_sql_loops_reaches_a_mail(imported, mailbox, series, at):
    imported.put(series("orders", 330, spikes=[327]))

    imported.run("pipeline", as_of=at(329), batch="orders_by_country")

    (mail,) = mailbox.mails
    assert set(imported.alerts(kind="anomaly", status="open")["metric_name"]) == {"orders_de", "orders_fr"}
    assert "orders" in mail["Subject"]


def test_imported_defaults_are_ours_but_for_the_channels(imported):
    spec = load_batch(imported.folder / "metrics", "shop", {}).spec

    assert spec.alert.alert_methods == ("email",)
    assert spec.alert.alert_threshold is None
    assert spec.is_scheduled("train")


def test_an_imported_batch_goes_on_with_the_table_that_is_there(imported, mailbox, at):
    """Anomstack's table has no key, holds duplicates, and scores and alerts of its own."""
    theirs: dict[str, Any] = {}
    exec(SENSORS_PY, theirs)  # noqa: S102 - the function of the batch, so that its rows are those that are there
    history = pl.from_pandas(theirs["ingest"]()).head(300).rename({"metric_timestamp": "ts"}).with_columns(pl.col("metric_value").round(4))
    imported.sql(
        "create table metrics_sensors (metric_timestamp timestamp, metric_batch varchar, metric_name varchar, metric_type varchar,"
        " metric_value double, metadata varchar)"
    )
    for kind, value in {"metric": "metric_value", "score": "0.99", "alert": "1"}.items():
        for _ in range(2):
            imported.sql(
                f"insert into metrics_sensors select ts, 'sensors', metric_name, '{kind}', {value}, '' from history", history=history
            )

    (outcome,) = imported.run("ingest", as_of=at(329), batch="sensors")
    imported.run("train", "score", "alert", as_of=at(329), batch="sensors")

    assert outcome.counts["changed"] == 0
    rows = imported.table("_sensors").filter(pl.col("metric_type") == "metric")
    assert rows.height == rows["metric_timestamp"].n_unique() == 330
    assert len(mailbox.mails) == 1
