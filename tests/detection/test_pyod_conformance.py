"""Every model of the installed PyOD that can judge metrics: it is fitted, stored and read back, and stands any rows.

Models whose package is not installed are listed by ``test_models_that_cannot_be_tried_here_say_what_they_need``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from detection.pyod_settings import detector_of, options_of

from anomflow.detectors import Detector, State
from anomflow.detectors.pyod_models.catalogue import ONE_COLUMN, find_model, find_models, usable_models
from anomflow.errors import MissingDependencyError, ModelError
from anomflow.model_bytes import dump, load, object_name
from anomflow.models import FittedModel

HERE = [name for name in usable_models() if not find_model(name).missing]
NOT_HERE = [name for name in usable_models() if find_model(name).missing]
REFUSED = [name for name in find_models() if find_model(name).refusal is not None]
# Models that give a row beyond all others the score of the rows nearest to it.
SHORT_SIGHTED = {"HDBSCAN"}
SETTINGS: dict[str, dict[str, Any]] = {name: {"preprocess_params": {"lags_n": 0}} for name in ONE_COLUMN}
ROWS = 130
NORMAL = np.random.RandomState(2).normal(size=ROWS)


def settings_of(name: str) -> dict[str, Any]:
    return SETTINGS.get(name, {})


def seconds_of(values: np.ndarray) -> np.ndarray:
    return 1.7e9 + 300.0 * np.arange(len(values))


def through_store(options: Any, state: State) -> State:
    content = dump(FittedModel("pyod", {}, "f", {}, {"m": state}, options))
    return load(content, object_name(content)).states["m"]


def attempt(detector: Detector, values: np.ndarray) -> np.ndarray:
    """Return the scores, none where the model says that it cannot be fitted on such rows."""
    try:
        return detector.advance(None, seconds_of(values), values)[0].anomaly
    except ModelError as error:
        assert "cannot be fitted on" in str(error)  # noqa: PT017 - what else it might say is a failure
        return np.full(len(values), np.nan)


@pytest.mark.parametrize("name", HERE)
def test_a_stored_model_gives_the_scores_of_the_one_that_was_fitted(name: str) -> None:
    detector, options = detector_of(name, **settings_of(name)), options_of(name, **settings_of(name))
    seconds, values = seconds_of(NORMAL), NORMAL.copy()
    values[-2] = 15.0
    whole, _ = detector.advance(None, seconds, values)
    _, state = detector.advance(None, seconds[:-4], values[:-4])
    live, _ = detector_of(name, **settings_of(name)).advance(through_store(options, state), seconds[-4:], values[-4:])

    assert live.anomaly.tobytes() == whole.anomaly[-4:].tobytes()
    assert np.isfinite(live.anomaly).all()


@pytest.mark.parametrize("name", [name for name in HERE if name not in SHORT_SIGHTED])
def test_a_far_away_row_is_more_surprising_than_most(name: str) -> None:
    values = np.concatenate([NORMAL, NORMAL[::-1]])
    values[-3] = 30.0
    replay, _ = detector_of(name, **settings_of(name)).advance(None, seconds_of(values), values)

    assert np.nanmax(replay.surprises[-3:]) >= 1.0


ODD = {
    "constant": np.full(ROWS, 7.0),
    "two values": np.tile([0.0, 1.0], ROWS // 2),
    "huge": np.where(np.arange(ROWS) % 50 == 49, 1e300, NORMAL),
    "tiny": NORMAL * 1e-300,
    "short": NORMAL[:20],
    "constant, then not": np.concatenate([np.full(100, 3.0), NORMAL[:30]]),
}


@pytest.mark.parametrize("name", HERE)
def test_odd_rows_give_scores_or_a_reason(name: str) -> None:
    detector = detector_of(name, **settings_of(name))
    for values in ODD.values():
        anomaly = attempt(detector, values)
        known = anomaly[~np.isnan(anomaly)]
        assert len(anomaly) == len(values)
        assert ((known >= 0) & (known < 9)).all()


@pytest.mark.parametrize("name", NOT_HERE)
def test_models_that_cannot_be_tried_here_say_what_they_need(name: str) -> None:
    with pytest.raises(MissingDependencyError, match=rf"the model {name} needs the (extra|package) '\w+'. Install it with: pip install"):
        detector_of(name)


@pytest.mark.parametrize("name", REFUSED)
def test_models_that_cannot_judge_metrics_say_why(name: str) -> None:
    with pytest.raises(ModelError, match=f"{name} (gives|judges|learns|is made|compares|takes) "):
        detector_of(name)


def test_every_model_is_tried_listed_or_refused() -> None:
    assert sorted(HERE + NOT_HERE + REFUSED) == sorted(find_models())
    assert {"KNN", "PCA", "IForest", "ECOD", "COPOD", "HBOS", "LOF", "CBLOF", "MCD", "GMM", "KDE", "OCSVM", "MAD", "Sampling"} <= set(HERE)
