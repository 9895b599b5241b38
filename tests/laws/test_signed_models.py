"""Law 8: with a key, no model is read that was not signed with it, whatever the table of versions says."""

from __future__ import annotations

import hashlib

import pytest

from anomflow.errors import CorruptModelError, SettingsError
from anomflow.signing import read_key, sign, verify

KEY = "a key of more than sixteen characters"


def put_object(world, content: bytes) -> None:
    """Put an object under its hash and let the newest version name it, as somebody with access to both could."""
    digest = hashlib.sha256(content).hexdigest()
    (world.folder / "home" / "models" / digest).write_bytes(content)
    world.sql(f"update metrics_models set object_name = '{digest}', sha256 = '{digest}'")


def read_object(world) -> bytes:
    return (world.folder / "home" / "models" / world.table("_models")["object_name"].item()).read_bytes()


@pytest.fixture
def trained(world, series, at, monkeypatch):
    monkeypatch.setenv("ANOMFLOW_MODEL_KEY", KEY)
    world.put(series("orders", 330, spikes=[320]))
    world.run("ingest", "train", as_of=at(300))
    return world


def test_a_signed_model_scores_as_any_other(trained, at):
    trained.run("ingest", "score", as_of=at(325))
    assert trained.status_at(320) == "open"
    assert KEY.encode() not in read_object(trained)


@pytest.mark.parametrize(
    ("forge", "words"),
    [
        (lambda content: bytes(verify(content, None)), "is not signed"),
        (lambda content: sign(bytes(verify(content, None)), "another key of sixteen characters"), "was not signed with the key"),
        (lambda content: content.replace(b"orders", b"ordeal"), "was not signed with the key"),
    ],
)
def test_a_forged_model_is_passed_over_and_training_makes_a_new_one(trained, at, forge, words):
    put_object(trained, forge(read_object(trained)))
    (outcome,) = trained.run("score", as_of=at(325))
    assert words in outcome.text
    assert outcome.counts["points_waiting_for_a_model"] > 0
    trained.run("ingest", "train", "score", as_of=at(326))
    assert trained.status_at(320) == "open"


def test_without_a_key_signed_models_are_read_too(trained, at, monkeypatch):
    monkeypatch.delenv("ANOMFLOW_MODEL_KEY")
    trained.run("ingest", "score", as_of=at(325))
    assert trained.status_at(320) == "open"


def test_a_short_key_is_an_error_before_anything_is_read():
    with pytest.raises(SettingsError, match="ANOMFLOW_MODEL_KEY has 5 characters; at least 16 are needed"):
        read_key({"ANOMFLOW_MODEL_KEY": "short"})


def test_the_end_of_a_content_is_no_signature_by_chance():
    content = b"x" * 100
    assert bytes(verify(sign(sign(content, KEY), KEY), KEY)) == sign(content, KEY)
    with pytest.raises(CorruptModelError):
        verify(sign(content, KEY)[:-1], KEY)
