from __future__ import annotations

import json
import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from anomflow import reference
from anomflow.batches.documents import parse_document
from anomflow.setting_types import format_duration, parse_duration
from anomflow.spec import owners

BATCHES = sorted(path for path in (reference.ROOT / "metrics").rglob("*.y*ml") if path.parent.name != "defaults")


def test_the_generated_files_are_up_to_date() -> None:
    """Run `python -m anomflow.reference` where this fails."""
    assert reference.find_stale(reference.ROOT) == []


def test_stale_files_are_named_and_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert reference.main(["--check"], tmp_path) == 1
    assert reference.main([], tmp_path) == 0
    assert reference.main(["--check"], tmp_path) == 0

    (tmp_path / "docs" / "reference" / "settings.md").write_text("old")

    assert reference.main(["--check"], tmp_path) == 1
    assert capsys.readouterr().out.splitlines()[-1] == "docs/reference/settings.md: is stale; run python -m anomflow.reference"
    assert reference.main(["--chekc"], tmp_path) == 2


def test_the_team_s_own_defaults_survive() -> None:
    text = reference.build_defaults().replace(reference.MARKER, f"db: sqlite\n{reference.MARKER}\n# stale")

    again = reference.build_defaults(text)

    assert parse_document(again, "defaults.yaml").layer.values == {"db": "sqlite"}
    assert "# stale" not in again


def test_defaults_without_the_reference_are_kept_when_it_is_added() -> None:
    again = reference.build_defaults("db: sqlite\n")

    assert parse_document(again, "defaults.yaml").layer.values == {"db": "sqlite"}
    assert reference.build_defaults(again) == again


def test_the_commented_defaults_are_those_of_the_spec() -> None:
    lines = reference.build_defaults().split(reference.MARKER)[1].splitlines()
    uncommented = "\n".join(line.removeprefix("# ") for line in lines if _is_value(line))

    values = parse_document(uncommented, "defaults.yaml").layer.values

    expected = {key: reference.plain(field.default) for _, key, field in reference.settings() if key != "metric_batch"}
    assert values == expected


def _is_value(line: str) -> bool:
    text = line.removeprefix("# ")
    return text.split(":")[0] in owners() or text.startswith("- ")


@pytest.mark.parametrize("key", list(owners()))
def test_every_setting_is_in_the_schema_and_on_the_page(key: str) -> None:
    assert key in reference.build_schema()["properties"]
    assert f"| `{key}` |" in reference.build_page()


@pytest.mark.parametrize(
    ("values", "valid"),
    [
        ({"metric_batch": "x"}, True),
        ({}, False),
        ({"metric_batch": "x", "alert_treshold": 1}, False),
        ({"metric_batch": "x", "alert_threshold": 8}, False),
        ({"metric_batch": "x", "freq": "10min"}, True),
        ({"metric_batch": "x", "freq": "10 parsecs"}, False),
        ({"metric_batch": "x", "alert_methods": "email,file"}, True),
        ({"metric_batch": "x", "alert_methods": ["email"]}, True),
        ({"metric_batch": "x", "alert_methods": 5}, False),
        ({"metric_batch": "x", "alert_min_change": "10%"}, True),
        ({"metric_batch": "x", "alert_min_change": "some"}, False),
        ({"metric_batch": "x", "alert_min_change": -1}, False),
        ({"metric_batch": "x", "db": "Duck DB"}, False),
        ({"metric_batch": "x", "model_path": "local://models"}, True),
        ({"metric_batch": "x", "model_path": "./models"}, False),
        ({"metric_batch": "x", "train_cron_schedule": "@daily"}, True),
        ({"metric_batch": "x", "train_cron_schedule": "* *"}, False),
        ({"metric_batch": "x", "train_default_schedule_status": "running"}, True),
        ({"metric_batch": "x", "train_default_schedule_status": "on"}, False),
        ({"metric_batch": "x", "change_default_schedule_status": "STOPPED"}, True),
        ({"metric_batch": "x", "preprocess_params": {"lags_n": 5}}, True),
        ({"metric_batch": "x", "tholdalert_thresholds": {"a": {"upper": 1}}}, True),
        ({"metric_batch": "x", "tholdalert_thresholds": {"a": {"uper": 1}}}, False),
    ],
)
def test_the_schema_accepts_what_loads(values: dict[str, Any], valid: bool) -> None:
    schema = json.loads(json.dumps(reference.build_schema()))

    assert jsonschema.Draft202012Validator(schema).is_valid(values) == valid


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (timedelta(0), "0s"),
        (timedelta(minutes=10), "10min"),
        (timedelta(hours=36), "36h"),
        (timedelta(days=14), "14d"),
        (timedelta(seconds=90), "90s"),
        (timedelta(milliseconds=1500), "1.5s"),
    ],
)
def test_durations_are_written_as_they_are_read(value: timedelta, text: str) -> None:
    assert format_duration(value) == text
    assert parse_duration(text) == value


@given(st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=3650)))
def test_any_duration_reads_back(value: timedelta) -> None:
    assert parse_duration(format_duration(value)) == value


@given(st.text(st.sampled_from("ab:#'\"{}[]|> \n\t-%é"), max_size=30))
def test_any_text_reads_back_from_its_yaml(text: str) -> None:
    written = reference.to_yaml("ingest_sql", text) + "\n"

    assert yaml.safe_load(written) == {"ingest_sql": text}
    assert parse_document(written, "x.yaml").layer.values == {"ingest_sql": text}


@pytest.mark.parametrize("path", BATCHES, ids=lambda path: path.name)
def test_every_batch_that_ships_names_the_schema_and_fits_it(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    values = parse_document(text, path.name).layer.values
    schema = re.search(r"^# yaml-language-server: \$schema=(\S+)$", text, re.MULTILINE)

    assert schema is not None
    assert (path.parent / schema[1]).resolve() == reference.ROOT / "metrics" / "batch.schema.json"
    assert jsonschema.Draft202012Validator(reference.build_schema()).is_valid({"metric_batch": "defaults", **values})
