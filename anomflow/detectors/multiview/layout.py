"""The constants of the multi-view detector and the shape of what it remembers of one metric."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

DAY: Final = 86_400.0

# A view looks at no row older than the newest RING rows, so a result does not depend on how a series was cut.
RING: Final = 12_000
# Anomaly scores that are kept for damping and smoothing.
RECENT: Final = 1_000
# A calibrator that remembers this many scores keeps every second one of them, from the highest down.
MEMORY: Final = 40_000

# Rows after which scale and step are estimated again and the past is replayed with them.
STAGES: Final = (20, 50, 100, 200, 400, 1280)
SMALL: Final = 200

VIEWS: Final = ("range", "level12", "shift", "ar", "season_resid", "season_shape", "shape6")
RANGE, LEVEL12, SHIFT, AR, SEASON_RESID, SEASON_SHAPE, SHAPE6 = range(7)
WEIGHTS: Final = (2.0, 1.0, 1.0, 2.0, 1.0, 1.0, 1.0)
# One calibrator a view, and one more: residuals below the forecast are calibrated apart from those above.
AR_BELOW: Final = 7

# Views of the state score alone; those above take part in it with these weights.
STATE_VIEWS: Final = ("level_ex", "season", "shape24", "shape6x8", "shape12x6", "vol", "vol_fast", "vol_season")
LEVEL_EX, SEASON, SHAPE24, SHAPE6X8, SHAPE12X6, VOL, VOL_FAST, VOL_SEASON = range(8)
STATE_WEIGHTS: Final = (2.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0)
SHARED_WEIGHTS: Final = (0.0, 1.0, 0.0, 2.0, 1.0, 1.0, 1.0)
FIRST_STATE: Final = 8  # their first calibrator
CALIBRATORS: Final = 16

LIMIT: Final = 1e6  # of a scaled value: keeps 1e308 from overflowing
RAW_LIMIT: Final = 1e300  # of a raw value, for the same reason
SCORE_LIMIT: Final = 1e30  # of a raw score, which is kept in single precision
AR_ORDER: Final = 5
AR_SIZE: Final = AR_ORDER + 1

# Everything of fixed size; eight bytes a number, so that an array of heads is aligned.
HEAD: Final = np.dtype(
    [
        ("kernel", "<i8"),  # the code that made this state
        ("stage", "<i8"),  # rows that scale and step come from; 0 before the first stage
        ("young", "<i8"),  # 1 where less than 1.5 seasons were known at the stage
        ("center", "<f8"),
        ("scale", "<f8"),
        ("step", "<f8"),  # seconds
        ("period", "<f8"),  # seconds of a season, 0 for none
        ("highest", "<f8"),
        ("lowest", "<f8"),
        ("trend", "<f8"),  # EWMA of the seasonal residual
        ("weights", "<f8", (AR_SIZE,)),
        ("covariance", "<f8", (AR_SIZE, AR_SIZE)),
        ("sigma", "<f8"),
        ("updates", "<i8"),
        ("run", "<i8"),  # identical values up to now
        ("longest", "<i8"),  # longest earlier run
        ("least", "<f8"),  # the least value that the metric had, 0 where none was negative
        ("starts", "<i8"),  # runs that began
        ("squares", "<f8"),  # sum of the squares of the lengths of earlier runs
        ("hold", "<f8"),  # highest state score, decaying with time
        ("peaks", "<i8"),  # of moderate height
        ("peak_row", "<i8"),  # row that the last peak began at
        ("remembered", "<i8", (CALIBRATORS,)),
        ("block_open", "<i8", (CALIBRATORS,)),
        ("block_row", "<i8", (CALIBRATORS,)),
        ("block_peak", "<f8", (CALIBRATORS,)),
    ]
)


# A record of HEAD as numba sees it: fields are attributes.
Head = Any


class Sizes(NamedTuple):
    """Sizes of the views, in rows, that follow from the step and the stage of a metric."""

    small: bool
    start: int
    hour: int
    shift_rows: int
    shift_least: int
    order: int
    cycles: int
    half_width: int
    neighbours: int
    shape: int
    calibrated: int
    tail: int
    damping: int
    half_hour: int
    season_gap: int


class Level(NamedTuple):
    """A level whose past of ``rows`` rows is compared with its present, the newest ``gap`` rows left out.

    ``ordered`` holds the past in ascending order, ``filled`` (one entry) how much of it is there; an empty one is not
    kept, since few rows are to be judged.
    """

    values: NDArray[np.float64]
    gap: int
    rows: int
    ordered: NDArray[np.float64]
    filled: NDArray[np.int64]


class Course(NamedTuple):
    """Rows that are compared by their last ``lags`` values at steps of ``lag`` rows; ``gap`` rows and one are left out.

    Row ``i`` is entry ``i // stride`` of lane ``i % stride``: every ``stride``-th row lies side by side, as compared.
    ``means`` are those of all lags but the newest.
    """

    lanes: NDArray[np.float64]
    means: NDArray[np.float64]
    lags: int
    lag: int
    gap: int


class Courses(NamedTuple):
    """The newest rows as courses, ``cut`` rows older than they left out."""

    cut: int
    fine: Course
    half_hourly: Course
    hourly: Course


class Work(NamedTuple):
    """Rows under the scale of a stage, with the trailing means that views compare."""

    scaled: NDArray[np.float64]
    hourly: Level
    level: Level
    recent: Level
    lag_mean: NDArray[np.float64]
    season_mean: NDArray[np.float64]
    steps: NDArray[np.float64]
    motion: NDArray[np.float64]
    courses: Courses
    seconds: NDArray[np.float64]
    offsets: NDArray[np.float64]
    unlike: NDArray[np.bool_]
    scratch: NDArray[np.float64]


class Rows(NamedTuple):
    """Rows of a metric: ``kept`` ones that it was advanced over before, then new ones; ``base`` rows lie before them all.

    ``values`` are what the views see, ``given`` what the metric had; ``offsets`` are the seconds that local time is ahead of
    UTC; ``unlike`` marks rows of days that cannot be compared with earlier seasons.
    """

    values: NDArray[np.float64]
    seconds: NDArray[np.float64]
    kept: int
    base: int
    given: NDArray[np.float64]
    offsets: NDArray[np.float64]
    unlike: NDArray[np.bool_]


class Learned(NamedTuple):
    """What a metric's rows left behind, and the sizes of the views that follow from it."""

    head: Head
    memory: NDArray[np.float32]
    sizes: Sizes


class Output(NamedTuple):
    """What the kernel fills in, a row each; ``undamped`` starts with the scores that were kept."""

    undamped: NDArray[np.float64]
    anomaly: NDArray[np.float64]
    state: NDArray[np.float64]
    expected: NDArray[np.float64]
    expected_low: NDArray[np.float64]
    expected_high: NDArray[np.float64]
    step_seconds: NDArray[np.float64]
    flat_rows: NDArray[np.int64]
    residual: NDArray[np.float64]
    surprises: NDArray[np.float64]
