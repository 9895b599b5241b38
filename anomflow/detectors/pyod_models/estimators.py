"""One PyOD estimator: made, fitted, asked and stored so that a row's score depends on the rows before it and the seed only."""

from __future__ import annotations

import pickle
import random
import sys
import threading
import warnings
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from io import BytesIO
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from anomflow.detectors.pyod_models.catalogue import PACKAGE, require_model
from anomflow.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from anomflow.sections.detector import ModelConfig

Floats = NDArray[np.float64]

# Rows are asked about in blocks of one size, each row at a fixed place in its block: the matrix products of a block of
# another size may differ in their last bits.
BLOCK_ROWS: Final = 64
PROBE_ROWS: Final = 128
_ONE_AT_A_TIME: Final = threading.RLock()


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seed all global generators, keep warnings of libraries off the log, and put both back.

    Both belong to the process, so that one thread at a time may do so.
    """
    with _ONE_AT_A_TIME, warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        before, numbers = random.getstate(), np.random.get_state()  # noqa: NPY002 - that is the one that PyOD draws from
        random.seed(seed)
        np.random.seed(seed)  # noqa: NPY002 - as above
        if "torch" in sys.modules:
            sys.modules["torch"].manual_seed(seed)
        try:
            yield
        finally:
            random.setstate(before)
            np.random.set_state(numbers)  # noqa: NPY002 - as above


def build_estimator(config: ModelConfig, seed: int) -> Any:
    """Build a model of PyOD; a random_state that is not given is the seed, and nothing is printed.

    Raises:
        ModelError: there is no such model, or it refuses its parameters.
        MissingDependencyError: it needs a package that is not installed.
    """
    entry = require_model(config.model_name)
    taken = entry.parameters or ()
    quiet = {name: value for name, value in {"random_state": seed, "verbose": 0}.items() if name in taken}
    with seeded(seed):
        kind = getattr(import_module(f"{PACKAGE}.{entry.module}"), config.model_name)
        try:
            return kind(**{**quiet, **config.model_params})
        except (TypeError, ValueError) as error:
            raise ModelError(f"{config.label}: {config.model_name} refuses model_params {config.model_params}: {error}") from error


def fit_estimator(config: ModelConfig, features: Floats, seed: int) -> Any:
    """Fit a new estimator on rows of features."""
    estimator = build_estimator(config, seed)
    with seeded(seed):
        estimator.fit(features.copy())
    return estimator


def ask(estimator: Any, features: Floats, seed: int) -> Floats:
    """Return the raw score of rows judged together; NaN where the estimator has none.

    Raises ModelError where it gives another number of scores than there are rows.
    """
    with seeded(seed):
        scores = np.asarray(estimator.decision_function(features.copy()), np.float64).reshape(-1)
    if len(scores) != len(features):
        raise ModelError(f"{type(estimator).__name__} gave {len(scores)} scores for {len(features)} rows")
    return scores


def score_rows(estimator: Any, features: Floats, first: int, asking: tuple[bool, int]) -> Floats:
    """Return the raw scores of rows whose count since the origin begins at ``first``; NaN for rows without features.

    ``asking`` tells whether rows may be asked about together, and the seed.
    """
    together, seed = asking
    scores = np.full(len(features), np.nan)
    known = np.flatnonzero(~np.isnan(features).any(axis=1))
    if not together:
        for row in known:
            scores[row] = ask(estimator, features[row : row + 1], seed)[0]
        return scores
    for block in np.split(known, np.flatnonzero(np.diff((known + first) // BLOCK_ROWS)) + 1):
        if len(block):
            places = (block + first) % BLOCK_ROWS
            rows = np.repeat(features[block[:1]], BLOCK_ROWS, axis=0)
            rows[places] = features[block]
            scores[block] = ask(estimator, rows, seed)[places]
    return scores


def judges_alone(config: ModelConfig, columns: int, seed: int) -> bool:
    """Tell whether a model's score of a row does not depend on the rows that are asked about with it.

    Some models (ECOD, COPOD) rank a row among those too, later ones included. It is tried out on made-up rows.
    """
    return _judges_alone(config.model_dump_json(), columns, seed)


@cache
def _judges_alone(config_text: str, columns: int, seed: int) -> bool:
    from anomflow.sections.detector import ModelConfig  # noqa: PLC0415 - pydantic models have no hash, their text has

    random_rows = np.random.RandomState(1)
    past, rows = random_rows.normal(size=(PROBE_ROWS, columns)), random_rows.normal(size=(BLOCK_ROWS, columns))
    others = rows.copy()
    others[1:] = 5 - 3 * others[:0:-1]
    try:
        estimator = fit_estimator(ModelConfig.model_validate_json(config_text), past, seed)
        return bool(ask(estimator, rows, seed)[0] == ask(estimator, others, seed)[0])
    except Exception:  # noqa: BLE001 - what a model cannot do here it will tell about on real rows
        return False


def pickle_estimators(estimators: Sequence[Any], labels: Sequence[str]) -> bytes:
    """Return fitted estimators as bytes for this process, in a fraction of the time that storing takes; raises as ``dump_estimators``."""
    try:
        with seeded(0):
            return pickle.dumps(tuple(estimators))
    except Exception as error:
        raise _unstorable(labels, error) from error


def unpickle_estimators(content: bytes) -> tuple[Any, ...]:
    """Return the estimators that ``pickle_estimators`` wrote."""
    with seeded(0):
        estimators: tuple[Any, ...] = pickle.loads(content)  # noqa: S301 - made in this process
        return estimators


def _unstorable(labels: Sequence[str], error: Exception) -> ModelError:
    return ModelError(f"{' or '.join(labels)} cannot be stored: {type(error).__name__}: {error}. Name another model")


@cache
def _envelope() -> dict[str, Any]:
    """Return PyOD's own envelope, which tells the versions of the libraries, around nothing."""
    import joblib  # noqa: PLC0415 - takes a moment, and comes with PyOD
    from pyod.utils import persistence  # noqa: PLC0415 - as above

    stream = BytesIO()
    persistence.save(None, stream)
    stream.seek(0)
    envelope: dict[str, Any] = joblib.load(stream)
    return envelope


def dump_estimators(estimators: Sequence[Any], labels: Sequence[str]) -> bytes:
    """Return fitted estimators in PyOD's envelope, the same bytes for the same rows: it tells no time of saving.

    Raises ModelError for one that cannot be pickled.
    """
    import joblib  # noqa: PLC0415 - as above

    stream = BytesIO()
    try:
        joblib.dump({**_envelope(), "saved_at": "", "model": tuple(estimators), "model_class": "builtins.tuple"}, stream)
    except Exception as error:
        raise _unstorable(labels, error) from error
    return stream.getvalue()


def load_estimators(content: bytes) -> tuple[Any, ...]:
    """Unpickle estimators, whose checksum was verified with the model that they are part of.

    Raises ModelError where other versions of the libraries stored them, and for content that is none.
    """
    from pyod.utils import persistence  # noqa: PLC0415 - as above

    with seeded(0):
        try:
            loaded = persistence.load(BytesIO(content), strict=True, trusted=True)
        except Exception as error:
            raise ModelError(f"the stored estimators cannot be used: {error}. Train again") from error
    if not isinstance(loaded, tuple):
        raise ModelError("the stored estimators are none. Train again")
    return loaded
