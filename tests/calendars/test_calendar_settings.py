"""Countries and special days as settings."""

from __future__ import annotations

from pathlib import Path

import pytest

from anomflow.batches import load_batch
from anomflow.errors import SettingsError
from anomflow.reference import to_yaml

HEAD = "metric_batch: shop\ningest_sql: select 1\n"


def write(folder: Path, text: str) -> Path:
    path = folder / "shop" / "shop.yaml"
    path.parent.mkdir()
    path.write_text(HEAD + text)
    return folder


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("holidays: DE-XX", 3, "'DE-XX' is no part of DE with holidays of its own; there are: BB, BE"),
        ("holidays:\n- DE\n- Germany", 5, "'Germany' is no country with known holidays; give ISO codes such as DE"),
        ("special_days:\n  sale: [2026-02-30]", 4, "special_days.sale.0"),
        ("special_days:\n  sale: [20260201]", 4, "is no date or time"),
        ("special_days:\n  sale: [2026-02-01]\n  fair: [2026-02-01]", 5, "2026-02-01 is of sale already"),
    ],
)
def test_wrong_days_are_told_with_their_line(tmp_path: Path, text: str, line: int, words: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load_batch(write(tmp_path, text), "shop", {}, {})
    assert words in str(caught.value)
    assert f"shop.yaml:{line}: " in str(caught.value)


def test_models_of_pyod_know_no_calendar(tmp_path: Path) -> None:
    batch = load_batch(write(tmp_path, "holidays: DE\nmodel_configs: [{model_name: KNN}]\n"), "shop", {}, {})
    assert [str(problem) for problem in batch.warnings if problem.key == "holidays"] == [
        f"{tmp_path / 'shop' / 'shop.yaml'}:3: holidays has no effect: models of PyOD know no calendar; only the detector multiview does"
    ]


def test_only_what_differs_from_utc_is_told_to_the_detector(tmp_path: Path) -> None:
    plain = load_batch(write(tmp_path, ""), "shop", {}, {})
    given = {"timezone": "Europe/Rome", "holidays": "IT, FR", "special_days": "{sale: [1970-01-03, 1970-01-02]}"}
    changed = load_batch(tmp_path, "shop", {}, given)
    assert plain.detector.options == {}
    assert changed.detector.options == {"timezone": "Europe/Rome", "holidays": ["IT", "FR"], "special_days": {"sale": [1, 2]}}


def test_periods_and_days_are_shown_as_they_may_be_written(tmp_path: Path) -> None:
    text = "ignore_periods:\n- {start: 2026-03-02, end: '2026-03-05T12:00+01:00', reason: fair}\nspecial_days: {sale: [2026-02-01]}\n"
    batch = load_batch(write(tmp_path, text), "shop", {}, {})
    again = tmp_path / "again"
    again.mkdir()
    shown = "\n".join(to_yaml(key, batch.value(key)) for key in ("ignore_periods", "special_days"))
    assert load_batch(write(again, shown), "shop", {}, {}).spec == batch.spec
