"""Settings of models: what cannot work is told with file and line before anything runs."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from anomflow.batches import load_batch
from anomflow.errors import SettingsError

WriteFiles = Callable[[dict[str, str]], Path]
HEAD = "metric_batch: x\ningest_sql: select 1\n"

WRONG = [
    ("model_configs:\n- model_name: KNNN", 4, "'KNNN' is no model of PyOD. Did you mean KNN? Models: ABOD, "),
    ("model_configs:\n- model_name: iforest", 4, "'iforest' is no model of PyOD. Did you mean IForest?"),
    ("model_configs:\n- model_name: MatrixProfile", 4, "MatrixProfile gives a row the score of windows that hold later rows"),
    ("model_configs:\n- model_name: TimeSeriesOD", 4, "TimeSeriesOD gives a row the score of windows that hold later rows"),
    ("model_configs:\n- model_name: XGBOD", 4, "XGBOD learns from labelled anomalies, and there are none"),
    ("model_configs:\n- model_name: SOS", 4, "SOS compares a row with those that are judged together with it only"),
    (
        "model_configs:\n- model_name: KNN\n  model_params:\n    n_neighbours: 3",
        6,
        "KNN has no parameter n_neighbours. Did you mean n_neighbors?",
    ),
    ("model_configs:\n- model_name: KNN\n- model_name: KNN", 4, "has KNN more than once; give each a model_tag"),
    ("model_configs:\n- model_name: KNN\n- model_name: multiview", 5, "names multiview besides models of PyOD; it stands alone"),
    ("model_configs:\n- model_name: multiview\n  model_params: {a: 1}", 5, "multiview takes no model_params"),
    ("model_configs:\n- model_tag: KNN", 4, "model_configs.0 has no model_name, which it needs"),
    ("model_configs:\n- model_name: KNN\n  model_weight: 0", 5, "model_configs.0.model_weight is 0; allowed is"),
    ("model_configs:\n- model_name: KNN\n  model_parms: {}", 5, "model_configs.0.model_parms"),
    ("model_configs:\n- model_name: MAD", 4, "MAD judges one number a row; set preprocess_params: {lags_n: 0}"),
    ("model_configs: KNN", 3, "model_configs is 'KNN'; allowed is"),
    ("model_combination_method: median", 3, "allowed: quadratic, mean, min, max"),
    (
        "model_configs:\n- model_name: KNN\npreprocess_params:\n  lag_n: 3",
        6,
        "preprocess_params.lag_n is not a parameter. Did you mean lags_n?",
    ),
    ("preprocess_params:\n  lags_n: many", 4, "preprocess_params.lags_n is 'many'; allowed is a whole number"),
    ("preprocess_fn: |\n  def preprocess(rows): ...", 3, "preprocess_fn makes features for models of PyOD"),
    ("model_configs:\n- model_name: KNN\npreprocess_fn: |\n  def prepare(rows): ...", 6, "defines no function preprocess()"),
    ("model_configs:\n- model_name: KNN\npreprocess_fn: |\n  def preprocess(rows) ...", 6, "not valid Python"),
    (
        "model_configs:\n- model_name: KNN\npreprocess_fn: '{% include \"./no.py\" %}'",
        5,
        "preprocess_fn includes ./no.py: there is no such file",
    ),
]


@pytest.mark.parametrize(("text", "line", "words"), WRONG)
def test_a_wrong_model_is_told_with_its_line(text: str, line: int, words: str, write_metrics: WriteFiles) -> None:
    folder = write_metrics({"x/x.yaml": f"{HEAD}{text}\n"})

    with pytest.raises(SettingsError) as error:
        load_batch(folder, "x", {})

    assert (error.value.problems[0].where, error.value.problems[0].line) == ((folder / "x/x.yaml").as_posix(), line)
    assert words in str(error.value)


@pytest.mark.parametrize(
    "text", ["", "model_configs: []", "model_configs: [{model_name: multiview}]", "model_combination_method: mean", "model_seed: 7"]
)
def test_without_a_model_of_pyod_our_own_detector_judges(text: str, write_metrics: WriteFiles) -> None:
    batch = load_batch(write_metrics({"x/x.yaml": f"{HEAD}{text}\n"}), "x", {})

    assert (batch.detector.name, batch.detector.options, batch.warnings) == ("multiview", {}, ())


def test_a_batch_of_anomstack_has_its_models_and_features(write_metrics: WriteFiles) -> None:
    text = """\
model_configs:
- model_name: PCA
  model_tag: pca_default
  model_params:
    contamination: 0.01
- model_name: KNN
  model_tag: knn_default
  model_params:
    contamination: 0.01
model_combination_method: mean
preprocess_params:
  diff_n: 1
  smooth_n: 3
  lags_n: 10
  freq: 1d
  freq_agg: sum
"""
    batch = load_batch(write_metrics({"x/x.yaml": HEAD + text}), "x", {})

    assert (batch.detector.name, batch.warnings) == ("pyod", ())
    assert [model.label for model in batch.spec.detector.model_configs] == ["pca_default", "knn_default"]
    assert batch.spec.detector.preprocess_params.lookback == 13
    assert (str(batch.spec.features.freq), batch.spec.features.freq_agg) == ("1 day, 0:00:00", "sum")
    assert batch.origins["freq"].line == 17


def test_resampling_of_no_kind_among_the_features_is_none(write_metrics: WriteFiles) -> None:
    batch = load_batch(write_metrics({"x/x.yaml": f"{HEAD}freq: 1h\npreprocess_params: {{freq: null, freq_agg: mean}}\n"}), "x", {})

    assert (str(batch.spec.features.freq), batch.warnings) == ("1:00:00", ())


def test_the_same_batch_elsewhere_has_the_same_models(write_metrics: WriteFiles, tmp_path: Path) -> None:
    text = HEAD + "model_configs: [{model_name: KNN}]\npreprocess_fn: '{% include \"./x/own.py\" %}'\n"
    folder = write_metrics({"x/x.yaml": text, "x/own.py": "def preprocess(rows, **_): ...\n"})
    elsewhere = folder.rename(tmp_path / "elsewhere")

    choice: Any = load_batch(elsewhere, "x", {}).detector

    assert choice.options["hook"]["filename"] == "x/own.py"


def test_settings_are_checked_without_importing_pyod(write_metrics: WriteFiles) -> None:
    folder = write_metrics({"x/x.yaml": f"{HEAD}model_configs: [{{model_name: KNN}}, {{model_name: IForest}}]\n"})
    load = f"print(load_batch(Path({str(folder.resolve())!r}), 'x', {{}}).detector.name, 'pyod' in sys.modules)"
    code = f"import sys; from pathlib import Path; from anomflow.batches import load_batch; {load}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.split() == ["pyod", "False"]


DOCUMENT = Path(__file__).parents[2] / "docs" / "detectors.md"


@pytest.mark.parametrize("text", re.findall(r"^```yaml\n(.*?)^```$", DOCUMENT.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL))
def test_a_batch_of_the_document_loads(text: str, write_metrics: WriteFiles) -> None:
    batch = load_batch(write_metrics({"orders/orders.yaml": text}), "orders", {})

    judging = [batch.detector, *batch.alternatives.values()]
    assert (judging[-1].name, batch.warnings) == ("pyod", ())
