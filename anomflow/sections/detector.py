"""The settings that say which detector judges, with which models and features."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import ConfigDict, Field, WithJsonSchema

from anomflow.sections.base import Section


class PreprocessParams(Section):
    """How rows become features of PyOD models; a `preprocess_fn` may be given parameters of its own besides."""

    model_config = ConfigDict(frozen=True, extra="allow", validate_default=True)

    diff_n: int = Field(1, ge=0, le=1000, description="Rows back that a difference is taken over; 0: none.")
    smooth_n: int = Field(3, ge=0, le=1000, description="Rows of the trailing mean; 0 or 1: none.")
    lags_n: int = Field(5, ge=0, le=200, description="Earlier rows that stand beside each row.")

    @property
    def lookback(self) -> int:
        """Return how many earlier rows a row's features need."""
        return self.diff_n + max(self.smooth_n - 1, 0) + self.lags_n


class ModelConfig(Section):
    """One model of PyOD by the name of its class, its parameters, what it is called in messages, its weight in a mean."""

    model_name: str = Field(min_length=1)
    model_params: dict[str, Any] = Field({})
    model_tag: str | None = None
    model_weight: float = Field(1.0, gt=0, le=1000)

    @property
    def label(self) -> str:
        """Return what the model is called in messages."""
        return self.model_tag or self.model_name


_MODELS_SCHEMA = WithJsonSchema(
    {
        "type": "array",
        "items": {
            "type": "object",
            "required": ["model_name"],
            "additionalProperties": False,
            "properties": {
                "model_name": {"type": "string"},
                "model_params": {"type": "object"},
                "model_tag": {"anyOf": [{"type": "string"}, {"type": "null"}]},
                "model_weight": {"type": "number", "exclusiveMinimum": 0, "maximum": 1000},
            },
        },
    }
)
_PREPROCESS_SCHEMA = WithJsonSchema(
    {
        "type": "object",
        "properties": {name: {"type": "integer", "minimum": 0} for name in ("diff_n", "smooth_n", "lags_n")},
    }
)


DEFAULT_MODEL: Final = "multiview"
# Small and cheap, and of two kinds: what a row's neighbours are, and what its columns have in common.
ALTERNATIVES: Final = (ModelConfig(model_name="KNN"), ModelConfig(model_name="PCA"))


class DetectorSpec(Section):
    """Which detector judges, and what it is given; a change rebuilds the models."""

    model_configs: Annotated[tuple[ModelConfig, ...], _MODELS_SCHEMA] = Field(
        (),
        description="Models of PyOD: `model_name` (the class), and where wanted `model_params`, `model_tag`, `model_weight`; "
        "none: the `multiview` detector.",
    )
    model_selection: Literal["fixed", "auto"] = Field(
        "fixed",
        description="`auto`: each metric is judged by `multiview` or, where that finds clearly more of the anomalies injected into the"
        " metric's own past, by one of `model_configs` alone (none given: KNN, PCA).",
    )
    model_combination_method: Literal["quadratic", "mean", "min", "max"] = Field(
        "quadratic",
        description="How the surprises of several models become one: weighted quadratic mean, weighted mean, least, greatest.",
    )
    model_max_n: int = Field(2500, ge=50, le=8000, description="Newest rows that a model of PyOD is fitted on.")
    model_seed: int = Field(0, ge=0, le=2**32 - 1, description="Seed of models that draw random numbers.")
    preprocess_params: Annotated[PreprocessParams, _PREPROCESS_SCHEMA] = Field(
        PreprocessParams(),
        description="Features of models of PyOD: difference over `diff_n` rows, then the mean of `smooth_n`, then that of each of `lags_n` "
        "rows before; or the parameters of `preprocess_fn`.",
    )
    preprocess_fn: str | None = Field(
        None,
        description="Python source (or a lone include of a file) that defines `preprocess(rows, **preprocess_params)`, for other features.",
    )

    @property
    def alternatives(self) -> tuple[ModelConfig, ...]:
        """Return the models that may be chosen instead of the default detector; none with a fixed choice."""
        named = tuple(model for model in self.model_configs if model.model_name != DEFAULT_MODEL)
        return () if self.model_selection == "fixed" else named or ALTERNATIVES
