"""A model's bytes: the same for the same content, loaded as they were, refused when anything is wrong with them."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from anomflow.detectors import State, build_detector
from anomflow.errors import CorruptModelError, ModelError
from anomflow.model_bytes import MAGIC, dump, load, object_name
from anomflow.models import FittedModel, feature_settings, fingerprint, library_versions, load_features
from anomflow.sections.common import FeatureSpec

if TYPE_CHECKING:
    from collections.abc import Mapping

NAMES = ["a", "a'; drop table x; --", "a/b\n", "Umsatz \N{EURO SIGN}"]


def build_model(states: Mapping[str, State]) -> FittedModel:
    settings = feature_settings(FeatureSpec(freq="1h"), "Europe/Berlin")
    return FittedModel("multiview", settings, fingerprint(FeatureSpec(freq="1h"), "Europe/Berlin"), library_versions(), states)


@pytest.fixture(scope="module")
def content(make: Any) -> bytes:
    detector = build_detector()
    made = {name: make(rows, 300.0, seed) for seed, (name, rows) in enumerate(zip(NAMES, [3, 20, 150, 1400], strict=True))}
    return dump(build_model({name: detector.advance(None, series.seconds, series.values)[1] for name, series in made.items()}))


def test_a_loaded_model_has_the_same_bytes(content: bytes) -> None:
    model = load(content, object_name(content))
    assert sorted(model.states) == sorted(NAMES)
    assert dump(model) == content
    assert model.origin == 1_704_067_200.0
    assert model.checkpoint == model.origin + 1399 * 300


def test_the_order_in_which_metrics_came_does_not_change_the_bytes(content: bytes) -> None:
    model = load(content, object_name(content))
    assert dump(build_model(dict(reversed(model.states.items())))) == content


def test_settings_come_back_as_features(content: bytes) -> None:
    model = load(content, object_name(content))
    assert load_features(model.settings) == (FeatureSpec(freq="1h"), "Europe/Berlin")


def test_settings_of_something_else_are_refused() -> None:
    with pytest.raises(CorruptModelError, match="settings"):
        load_features({"freq": "soon", "timezone": "UTC"})


def test_a_model_without_metrics_is_a_model() -> None:
    content = dump(build_model({}))
    model = load(content, object_name(content))
    assert (model.states, model.origin, model.checkpoint) == ({}, None, None)


@pytest.mark.parametrize(
    "change", [lambda c: c[:-1], lambda c: c + b"\0", lambda _: b"", lambda c: c[:999] + bytes([c[999] ^ 1]) + c[1000:]]
)
def test_bytes_that_were_not_published_are_refused(content: bytes, change: Any) -> None:
    with pytest.raises(CorruptModelError, match="SHA-256"):
        load(change(content), object_name(content))


def corrupt(content: bytes) -> tuple[Any, bytes, str]:
    return pytest.raises(CorruptModelError, match="malformed"), content, object_name(content)


@pytest.mark.parametrize("share", [0.0, 0.0001, 0.001, 0.01, 0.02, 0.1, 0.5, 0.9, 0.9999])
def test_bytes_cut_anywhere_are_malformed_even_with_their_own_checksum(content: bytes, share: float) -> None:
    expected, cut, name = corrupt(content[: int(share * len(content))])
    with expected:
        load(cut, name)


def test_bytes_changed_anywhere_load_or_are_malformed_but_never_crash(content: bytes) -> None:
    random = np.random.RandomState(0)
    loaded, refused = 0, 0
    for place in [*random.randint(0, 3000, 600), *random.randint(0, len(content), 100)]:
        changed = content[:place] + bytes([random.randint(256)]) + content[place + 1 :]
        try:
            model = load(changed, object_name(changed))
        except CorruptModelError:
            refused += 1
            continue
        loaded += 1
        for state in model.states.values():
            build_detector().advance(state, np.array([state.checkpoint + 300.0]), np.array([1.0]))
    assert loaded > 50
    assert refused > 50


@pytest.mark.parametrize("junk", [b"", b"PK\x03\x04", b"\x80\x04K\x01.", MAGIC, MAGIC + bytes(16), MAGIC + b"\xff" * 64, bytes(4096)])
def test_junk_with_its_own_checksum_is_malformed(junk: bytes) -> None:
    expected, content, name = corrupt(junk)
    with expected:
        load(content, name)


@pytest.mark.parametrize("header", [[], {}, {"detector": "none"}, {"detector": "multiview", "layout": {}}, "text", None, 7])
def test_another_header_is_malformed(header: object) -> None:
    text = json.dumps(header).encode()
    padded = text + bytes(-len(text) % 16)
    expected, content, name = corrupt(MAGIC + len(text).to_bytes(8, "little") + bytes(8) + padded)
    with expected:
        load(content, name)


@pytest.mark.parametrize(
    ("features", "timezone"),
    [(FeatureSpec(freq="2h"), "UTC"), (FeatureSpec(freq_agg="sum"), "UTC"), (FeatureSpec(freq_grace="1s"), "UTC"), (FeatureSpec(), "CET")],
)
def test_the_fingerprint_changes_with_every_feature(features: FeatureSpec, timezone: str) -> None:
    assert fingerprint(features, timezone) != fingerprint(FeatureSpec(), "UTC")
    assert fingerprint(features, timezone) == fingerprint(features, timezone)


def test_an_unknown_detector_is_named_with_those_that_there_are() -> None:
    with pytest.raises(ModelError, match=r"'magic' is not a detector; there are: multiview"):
        build_detector("magic")


def test_a_thousand_metrics_load_in_well_under_a_second(make: Any) -> None:
    series = make(300, 300.0)
    _, state = build_detector().advance(None, series.seconds, series.values)
    content = dump(build_model({f"metric {i}": state for i in range(1000)}))
    name = object_name(content)
    start = time.process_time()
    load(content, name)
    assert time.process_time() - start < 0.8
