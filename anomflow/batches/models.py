"""What types and bounds cannot say of the settings of a detector; PyOD is looked up, not imported."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final

from anomflow.batches.function_checks import check_function
from anomflow.batches.layers import KeyPath, Layer, Origin, merge_layers
from anomflow.batches.suggestions import suggest
from anomflow.errors import MissingDependencyError, ModelError
from anomflow.sections.detector import ModelConfig, PreprocessParams

if TYPE_CHECKING:
    from collections.abc import Iterator

    from anomflow.batches.batch import Batch
    from anomflow.errors import Problem

DEFAULT: Final = "multiview"
# Of Anomstack's features, what is here a setting of its own: series are resampled for every detector.
_RESAMPLING: Final = ("freq", "freq_agg")
_EXAMPLE: Final = "name a model, for example model_configs: [{model_name: KNN}]"


def lift_resampling(layer: Layer) -> Layer:
    """Let ``freq`` and ``freq_agg`` inside of preprocess_params, where Anomstack has them, be the settings of that name."""
    params = layer.values.get("preprocess_params")
    if not isinstance(params, dict) or not any(key in params for key in _RESAMPLING):
        return layer
    lifted = {key: params[key] for key in _RESAMPLING if params.get(key) is not None and key not in layer.values}
    origins: dict[KeyPath, Origin] = {(key,): layer.origin(("preprocess_params", key)) for key in lifted}
    rest = {key: value for key, value in params.items() if key not in _RESAMPLING}
    values: dict[str, Any] = {key: value for key, value in layer.values.items() if key != "preprocess_params"}
    if rest:
        values["preprocess_params"] = rest
    return merge_layers(Layer(values, layer.origins), Layer(lifted, origins))


def check_detector(batch: Batch, layer: Layer) -> Iterator[Problem]:
    """Report models that there are not, or that cannot judge metrics, wrong parameters, and features that nothing uses."""
    models = batch.spec.detector.alternatives or batch.spec.detector.model_configs
    if not models or [model.model_name for model in models] == [DEFAULT]:
        yield from _check_default(batch, layer)
        return
    for index, model in enumerate(batch.spec.detector.model_configs):
        yield from _check_model(index, model, layer)
    for key in ("holidays", "special_days"):
        if key in layer.values and batch.value(key):
            yield layer.problem(
                (key,), f"{key} has no effect: models of PyOD know no calendar; only the detector {DEFAULT} does", warning=True
            )
    labels = Counter([*(model.label for model in models), *([DEFAULT] if batch.spec.detector.alternatives else [])])
    for index, model in enumerate(models):
        if labels[model.label] > 1:
            yield layer.problem(
                ("model_configs", index), f"model_configs has {model.label} more than once; give each a model_tag of its own"
            )
    yield from _check_features(batch, layer)


def _check_default(batch: Batch, layer: Layer) -> Iterator[Problem]:
    spec = batch.spec.detector
    if spec.model_configs and spec.model_configs[0].model_params:
        yield layer.problem(("model_configs", 0, "model_params"), f"{DEFAULT} takes no model_params; remove them")
    if spec.preprocess_fn is not None:
        message = f"preprocess_fn makes features for models of PyOD, and the detector {DEFAULT} makes its own; {_EXAMPLE}, or remove it"
        yield layer.problem(("preprocess_fn",), message)
    elif "preprocess_params" in layer.values:
        message = f"preprocess_params has no effect: the detector {DEFAULT} makes its own features; {_EXAMPLE}, to use it"
        yield layer.problem(("preprocess_params",), message, warning=True)


def _check_model(index: int, model: ModelConfig, layer: Layer) -> Iterator[Problem]:
    from anomflow.detectors.pyod_models.catalogue import require_model  # noqa: PLC0415 - only batches that name a model need it

    path = ("model_configs", index, "model_name")
    if model.model_name == DEFAULT:
        yield layer.problem(path, f"model_configs names {DEFAULT} besides models of PyOD; it stands alone")
        return
    try:
        entry = require_model(model.model_name)
    except MissingDependencyError as error:
        yield layer.problem(path, f"model_configs: {error}", warning=True)
        return
    except ModelError as error:
        yield layer.problem(path, f"model_configs: {error}")
        return
    for name in model.model_params:
        if entry.parameters is not None and name not in entry.parameters:
            hint = suggest(str(name), entry.parameters)
            message = f"model_params: {model.model_name} has no parameter {name}.{hint} Parameters: {', '.join(entry.parameters)}"
            yield layer.problem((*path[:2], "model_params", name), message)


def _check_features(batch: Batch, layer: Layer) -> Iterator[Problem]:
    from anomflow.detectors.pyod_models.catalogue import ONE_COLUMN  # noqa: PLC0415 - as above

    spec = batch.spec.detector
    if spec.preprocess_fn is not None:
        yield from check_function(batch, layer, "preprocess_fn", "preprocess")
        return
    for name in spec.preprocess_params.model_extra or {}:
        hint = suggest(name, list(PreprocessParams.model_fields))
        message = f"preprocess_params.{name} is not a parameter.{hint} Allowed without a preprocess_fn: diff_n, smooth_n, lags_n"
        yield layer.problem(("preprocess_params", name), message)
    for index, model in enumerate(spec.alternatives or spec.model_configs):
        if model.model_name in ONE_COLUMN and spec.preprocess_params.lags_n:
            message = f"{model.model_name} judges one number a row; set preprocess_params: {{lags_n: 0}}"
            yield layer.problem(("model_configs", index, "model_name"), message)
