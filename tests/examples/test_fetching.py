"""Web sources that fail: tried again, then told about without a word of what is secret."""

from __future__ import annotations

import socket

import pytest

from anomflow.errors import IngestError, SourceError
from anomflow.fetching import WAITS, fetch_json, read_variable


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_source_that_fails_once_is_asked_again(source, status):
    source.answer("/numbers", {"message": "later"}, status, {"Retry-After": "0"})
    source.answer("/numbers", [1, 2])
    assert fetch_json(f"{source.url}/numbers", {"q": "a b"}) == [1, 2]
    assert [asked.params for asked in source.asked] == [{"q": "a b"}] * 2


def test_an_example_survives_a_source_that_fails_once(source, ingest, rows):
    source.answer("/api/v1/allmetrics", "down", 500)
    charts = ("system.cpu", "system.ram", "system.load")
    source.answer("/api/v1/allmetrics", {chart: {"last_updated": 1_772_366_400, "dimensions": {"a": {"value": 1}}} for chart in charts})
    ingest("netdata", base_url=source.url)
    assert len(rows()) == 3


def test_a_source_that_keeps_failing_is_told_with_its_last_answer(source):
    source.answer("/numbers", "try  again\nlater", 503)
    with pytest.raises(SourceError) as caught:
        fetch_json(f"{source.url}/numbers?key=hidden")
    assert str(caught.value) == f"{source.url}/numbers answered 503 Service Unavailable 4 times: 'try again later'"
    assert len(source.asked) == len(WAITS) + 1


@pytest.mark.parametrize(("status", "words"), [(401, "401 Unauthorized"), (404, "404 Not Found")])
def test_a_refusal_is_told_at_once(source, status, words):
    source.answer("/numbers", {"error": "no"}, status)
    with pytest.raises(SourceError, match=f"/numbers answered {words}: "):
        fetch_json(f"{source.url}/numbers", headers={"Authorization": "Bearer hidden"})
    assert len(source.asked) == 1


@pytest.mark.parametrize(("text", "quoted"), [("<html>Sorry</html>", ": '<html>Sorry</html>'"), ('{"a": ', ": '{\"a\":'"), ("", "")])
def test_an_answer_that_is_no_json_is_quoted(source, text, quoted):
    source.answer("/numbers", text)
    with pytest.raises(SourceError) as caught:
        fetch_json(f"{source.url}/numbers?token=hidden")
    assert str(caught.value) == f"{source.url}/numbers answered something that is not JSON{quoted}"


def test_malformed_json_of_an_example_is_an_error_with_file_and_line(source, ingest, home):
    source.answer("/v1/forecast", "[{")
    with pytest.raises(
        IngestError, match=r"examples/weather/weather\.py:\d+: http.*/v1/forecast answered something that is not JSON: '\[\{'"
    ):
        ingest("weather", base_url=source.url)
    assert home.sql("select count(*) from metrics").item() == 0


def test_a_source_that_does_not_listen_is_told_without_its_user_and_key():
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(SourceError) as caught:
        fetch_json(f"http://me:hidden@127.0.0.1:{port}/a?key=hidden")
    assert str(caught.value).startswith(f"http://127.0.0.1:{port}/a could not be reached in 4 attempts: ConnectError: ")
    assert "hidden" not in str(caught.value)


@pytest.mark.parametrize("url", ["ftp://127.0.0.1/a", "nothing", "http://[::1/a"])
def test_an_address_that_cannot_be_asked_is_told(url):
    with pytest.raises(SourceError):
        fetch_json(url)


def test_a_body_is_posted(source):
    source.answer("/query", {"rows": 1})
    assert fetch_json(f"{source.url}/query", body={"q": 1}) == {"rows": 1}
    assert source.asked[0].body == {"q": 1}


def test_a_variable_that_is_missing_or_blank_is_told(monkeypatch):
    monkeypatch.setenv("SHOP_KEY", " a-key ")
    assert read_variable("SHOP_KEY", "the key of the shop") == "a-key"
    monkeypatch.setenv("SHOP_KEY", " ")
    with pytest.raises(SourceError, match="SHOP_KEY is not set; it is the key of the shop"):
        read_variable("SHOP_KEY", "the key of the shop")


def test_a_redirection_is_followed_but_not_with_a_key(source):
    source.answer("/old", {}, 301, {"Location": "/new?key=hidden"})
    source.answer("/new", [1])
    assert fetch_json(f"{source.url}/old") == [1]
    with pytest.raises(SourceError) as caught:
        fetch_json(f"{source.url}/old", headers={"X-Key": "hidden"})
    words = f"{source.url}/old answered 301 Moved Permanently ({source.url}/new; a redirection is not followed with headers): "
    assert str(caught.value).startswith(words)
    assert "hidden" not in str(caught.value)
    assert [asked.path for asked in source.asked] == ["/old", "/new", "/old"]


def test_a_redirection_in_circles_is_told(source):
    source.answer("/old", {}, 302, {"Location": "/old"})
    with pytest.raises(SourceError, match="/old: Exceeded maximum allowed redirects"):
        fetch_json(f"{source.url}/old")
