"""Which detector a metric is given: repeatable, stored with the model, the default one where nothing speaks against it."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest

from anomflow.backtest.selection import build_selector
from anomflow.backtest.settings import build_batch
from anomflow.detectors import Choice
from anomflow.errors import CorruptModelError, SettingsError
from anomflow.fitting import FitSpec, fit_model
from anomflow.model_bytes import dump, load, object_name
from anomflow.scoring import ScoringSpec, score_series
from anomflow.sections.common import FeatureSpec
from anomflow.series import SeriesBatch, build_series, select_series
from tests.selection.conftest import ROWS, packs
from tests.world import at, series

HOOK = (
    "import polars as pl\n\n"
    "def preprocess(rows, **_):\n    return rows.select('metric_timestamp', rest=(pl.col('metric_value') + 50) % 100)\n"
)
SETTINGS: dict[str, Any] = {"model_selection": "auto", "model_configs": "[{model_name: KNN}]", "preprocess_fn": HOOK}
NOTHING = SeriesBatch((), np.zeros(1, np.int64), np.empty(0), np.empty(0))


def build_spec(threads: int = 1) -> FitSpec:
    selector, missing = build_selector(build_batch(SETTINGS).alternatives, 20)
    assert (selector is not None, missing) == (True, {})
    return FitSpec(FeatureSpec(), threads=threads, selector=selector)


@pytest.fixture(scope="module")
def rows() -> SeriesBatch:
    return build_series(pl.concat([series("orders", ROWS), packs("parcels", ROWS)]), FeatureSpec(), "UTC", at(ROWS))


@pytest.fixture(scope="module")
def model(rows: SeriesBatch) -> Any:
    return fit_model(None, rows, build_spec())[0]


def test_the_same_rows_are_given_the_same_detectors(rows: SeriesBatch, model: Any):
    assert {name: chosen.label for name, chosen in model.chosen.items()} == {"orders": "multiview", "parcels": "KNN"}
    assert model.chosen["orders"].evidence["compared"]["KNN"]["better"] is False
    again = fit_model(None, select_series(rows, list(reversed(rows.names))), build_spec(threads=2))[0]
    assert dump(again) == dump(model)


def test_a_model_of_several_detectors_comes_back_as_it_was(rows: SeriesBatch, model: Any):
    content = dump(model)
    loaded = load(content, object_name(content))
    assert dump(loaded) == content
    assert loaded.chosen == model.chosen
    assert (loaded.origin, loaded.checkpoint, sorted(loaded.states)) == (model.origin, model.checkpoint, ["orders", "parcels"])
    one, other = (score_series(given, NOTHING, rows, ScoringSpec()) for given in (loaded, model))
    assert one.scores.equals(other.scores)
    assert one.scores["metric_name"].is_sorted()


def test_a_metric_that_the_model_does_not_know_is_judged_by_the_default(rows: SeriesBatch, model: Any):
    new = build_series(packs("crates", 60), FeatureSpec(), "UTC", at(60))
    scoring = score_series(model, new, NOTHING, ScoringSpec())
    assert scoring.unknown == ("crates",)
    assert scoring.scores.equals(score_series(None, new, NOTHING, ScoringSpec()).scores)


@pytest.mark.parametrize(
    ("found", "written"),
    [(b'"parcels":["KNN"', b'"parcels":["PCA"'), (b'"chosen":{"orders"', b'"chosen":{"others"'), (b"MODELS1", b"MODELS2")],
)
def test_choices_that_are_not_those_of_the_states_are_refused(model: Any, found: bytes, written: bytes):
    content = dump(model)
    assert found in content
    changed = content.replace(found, written)
    with pytest.raises(CorruptModelError, match="malformed"):
        load(changed, object_name(changed))


def test_new_candidates_are_a_reason_to_choose_again(rows: SeriesBatch, model: Any):
    fixed, report = fit_model(model, rows, FitSpec(FeatureSpec()))
    assert set(report.rebuilt) == {"orders", "parcels"}
    assert (fixed.chosen, report.chosen) == ({}, {})
    assert dump(fixed) == dump(fit_model(None, rows, FitSpec(FeatureSpec()))[0])


def test_a_candidate_that_cannot_be_built_is_none():
    selector, missing = build_selector({"odd": Choice("nothing")}, 20)
    assert selector is None
    assert "is not a detector" in missing["odd"]


def test_candidates_are_those_of_the_batch_or_a_few_cheap_ones():
    assert list(build_batch({"model_selection": "auto"}).alternatives) == ["KNN", "PCA"]
    named = build_batch({"model_selection": "auto", "model_configs": "[{model_name: HBOS}, {model_name: KNN, model_tag: near}]"})
    assert list(named.alternatives) == ["HBOS", "near"]
    assert (named.detector, build_batch({"model_configs": "[{model_name: HBOS}]"}).alternatives) == (Choice(), {})


@pytest.mark.parametrize(
    ("configs", "told"),
    [
        ("[{model_name: KNN, model_tag: multiview}]", "model_configs has multiview more than once"),
        ("[{model_name: KNN}, {model_name: KNN}]", "model_configs has KNN more than once"),
        ("[{model_name: KNN}, {model_name: multiview}]", "model_configs names multiview besides models of PyOD"),
        ("[{model_name: SOS}]", "SOS"),
    ],
)
def test_wrong_candidates_are_told(configs: str, told: str):
    with pytest.raises(SettingsError) as error:
        build_batch({"model_selection": "auto", "model_configs": configs})
    assert told in "; ".join(str(problem) for problem in error.value.problems)
