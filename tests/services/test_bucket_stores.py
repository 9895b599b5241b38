"""Buckets over what stands for the clouds: how they fail, whom they know, what is asked of them."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from anomflow.doctor import Runner, check_store
from anomflow.errors import StoreError, StoreUnavailableError, Transient
from blocks.loading import load_store
from blocks.stores.bucket import PATIENCE
from blocks.stores.opening import build_store
from tests.conformance.store_fixtures import buckets, place
from tests.conformance.stores import KIND, LEAKS, BucketPlace
from tests.services.bucket_users import NOBODY, be_quick, build_block, forget_login, log_in_wrongly, read_address
from tests.services.buckets import CLOUDS, KEY, SECRET
from tests.services.faulty_proxy import Proxy, run_proxy, run_silent

if TYPE_CHECKING:
    from collections.abc import Callable

    from anomflow.protocols import ModelStore

__all__ = ["buckets", "place"]
pytestmark = [pytest.mark.services, *LEAKS]
ACTS: dict[str, Callable[[ModelStore], Any]] = {
    "write": lambda store: store.write("a", b"x"),
    "read": lambda store: store.read("a"),
    "list": lambda store: store.names(),
    "delete": lambda store: store.delete("a"),
}


@pytest.fixture
def point(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Lead the environment to another server."""

    def lead(url: str) -> None:
        for name, value in CLOUDS[KIND].find_environment(url).items():
            monkeypatch.setenv(name, value)

    return lead


@pytest.mark.parametrize("act", ACTS)
def test_a_store_that_hangs_is_given_up_in_time_and_may_be_tried_again(place: BucketPlace, point, act: str) -> None:
    with run_silent() as url:
        point(url)
        store, start = be_quick(place.store), time.monotonic()
        with pytest.raises(StoreUnavailableError, match="did not answer as it should"):
            ACTS[act](store)
        assert time.monotonic() - start < 30  # for all tries; with the patience of the product one takes half of it


def test_a_store_is_waited_for_a_minute_at_most() -> None:
    assert PATIENCE.tries * (PATIENCE.connect_seconds + PATIENCE.read_seconds) <= 60


@pytest.mark.parametrize("act", ACTS)
def test_a_store_that_fails_once_is_asked_again(place: BucketPlace, point, act: str) -> None:
    place.put("a", b"x")
    with run_proxy(read_address()) as proxy:
        point(proxy.url)
        store = place.store
        proxy.statuses[:] = [503]
        ACTS[act](store)
        assert len(proxy.asked) >= 2


def find_readings(proxy: Proxy) -> list[str]:
    """Return the requests for the object `a`; Google's library also asks for the bucket."""
    return [asked for asked in proxy.asked if asked.partition("?")[0].endswith(("models/a", "models%2Fa"))]


def test_a_store_that_goes_on_failing_is_transient_and_one_that_refuses_is_not(place: BucketPlace, point) -> None:
    with run_proxy(read_address()) as proxy:
        point(proxy.url)
        proxy.statuses[:] = [503] * 50
        with pytest.raises(StoreUnavailableError, match="503"):
            be_quick(place.store, 20.0).read("a")
        assert len(find_readings(proxy)) >= 2
        proxy.asked.clear()
        proxy.statuses[:] = [403] * 50
        with pytest.raises(StoreError, match=r"refused .*403.* see whether the credentials") as caught:
            be_quick(place.store, 20.0).read("a")
        assert len(find_readings(proxy)) == 1
    assert not isinstance(caught.value, Transient)


def test_nobody_listening_is_transient(place: BucketPlace, point) -> None:
    with run_silent() as url:
        gone = url
    point(gone)
    with pytest.raises(StoreUnavailableError):
        be_quick(place.store).names()


@pytest.mark.parametrize("act", sorted({"write", "list"}))
def test_a_bucket_that_is_not_there_is_named(place: BucketPlace, act: str) -> None:
    store = load_store(f"{place.scheme}://nobody-made-this/models", Path("unused"))
    with pytest.raises(StoreError, match=f"there is no {place.scheme}://nobody-made-this .*; make it, or name another") as caught:
        ACTS[act](store)
    assert not isinstance(caught.value, Transient)


def test_wrong_credentials_are_told_without_a_secret(place: BucketPlace, monkeypatch: pytest.MonkeyPatch) -> None:
    with log_in_wrongly(place.bucket, monkeypatch) as store, pytest.raises(StoreError, match="credentials") as caught:
        store.read("a")
    assert not isinstance(caught.value, Transient)
    assert caught.value.__cause__ is None
    told = f"{caught.value} {caught.value!r} {store!r} {store.bucket!r}"
    assert [word for word in (KEY, SECRET, *NOBODY) if word in told] == []


def test_no_credentials_at_all_are_told_with_where_they_are_looked_for(
    place: BucketPlace, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    words = forget_login(monkeypatch, tmp_path)
    with pytest.raises(StoreError, match=words) as caught:
        place.store.read("a")
    assert not isinstance(caught.value, Transient)


@pytest.mark.xfail(KIND == "gcs", reason="the emulator does not know if_generation_match", strict=True)
def test_an_object_that_is_there_is_not_made_anew(place: BucketPlace) -> None:
    store: Any = place.store
    assert store.bucket.create("team/models/a", b"first")
    assert not store.bucket.create("team/models/a", b"second")
    assert store.read("a") == b"first"


def test_doctor_tells_what_may_be_done_and_what_not(place: BucketPlace) -> None:
    found = {check.name: check for check in check_store(lambda: place.store, Runner("store", 60))}
    assert {name: check.state for name, check in found.items()} == dict.fromkeys(("connect", "publish", "read", "list", "delete"), "ok")
    assert found["connect"].detail == place.address
    assert place.keys() == []
    missing = load_store(f"{place.scheme}://nobody-made-this", Path("unused"))
    publish = next(check for check in check_store(lambda: missing, Runner("store", 60)) if check.name == "publish")
    assert publish.state == "failed"
    assert "make it, or name another in model_path" in publish.detail


def test_a_block_of_prefect_is_a_store_that_lists_and_deletes(place: BucketPlace) -> None:
    with build_block(place.bucket, "shop/prod") as block:
        store = build_store(block.get_block_type_slug(), block)
        store.write("a", b"x")
        store.write("b", b"y")
        assert place.keys() == ["shop/prod/models/a", "shop/prod/models/b"]
        assert (store.read("a"), list(store.names())) == (b"x", ["a", "b"])
        store.delete("a")
        assert list(store.names()) == ["b"]
        assert store.location == f"{place.scheme}://{place.bucket}/shop/prod/models"
