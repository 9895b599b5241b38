"""Law 3 with channels that post to addresses: each is tried alone, when it asks for it, with the id of the first attempt."""

from __future__ import annotations

from datetime import timedelta

import pytest
from http_channels import run_services
from slack_receiver import Reply

NAMES = ("discord", "pagerduty", "webhook")


@pytest.fixture
def services(monkeypatch):
    with run_services(NAMES, monkeypatch.setenv) as running:
        yield running


def test_each_channel_is_tried_again_by_itself_and_when_it_asks(world, services, series, at):
    world.configure(f"alert_methods: {','.join(NAMES)}\n")
    world.put(series("orders", 330, spikes=[327]))
    world.run("ingest", "train", "score", as_of=at(329))
    services["pagerduty"].replies = [Reply(429, "", {"Retry-After": "1800"})]
    services["webhook"].replies = [Reply(500, "oops")]
    tried = []
    for minutes in (0, 29, 31):
        world.run("alert", as_of=at(329) + timedelta(minutes=minutes))
        tried.append([len(services[name].tried) for name in NAMES])
    assert tried == [[1, 1, 1], [1, 1, 2], [1, 2, 2]]
    states = dict(world.table("_deliveries").select("channel", "state").iter_rows())
    assert states == {**dict.fromkeys(NAMES, "sent"), "resolve pagerduty": "waiting"}
    first, second = services["webhook"].tried
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert len({posted.content["dedup_key"] for posted in services["pagerduty"].tried}) == 1
