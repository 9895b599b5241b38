"""`plan`, `apply`, `pause` and `resume` against a real Prefect server, and against servers that do not do as they should."""

from __future__ import annotations

import os
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import DeploymentUpdate
from prefect.settings import PREFECT_API_URL, PREFECT_CLIENT_MAX_RETRIES, temporary_settings
from prefect_project import DEPLOY, SHOP, call, write_batch
from typer.testing import CliRunner

from blocks.notifiers.slack import SlackNotifier
from cli.main import build_app

pytestmark = pytest.mark.prefect


def name_steps(steps: list[dict[str, Any]]) -> list[str]:
    return [f"{step['action']} {step['name']}" for step in steps if step["kind"] in ("deployment", "pool")]


def read(key: str) -> Any:
    with get_client(sync_client=True) as client:
        return client.read_deployment_by_name(key)


def test_a_project_is_brought_to_the_server_changed_and_removed(project):
    assert call("plan", "--check", code=3)["differs"]
    with get_client(sync_client=True) as client:  # somebody else's, and nobody's
        flow = client.create_flow_from_name("score")
        client.create_deployment(flow, "other", tags=["anomflow", "project:other"], enforce_parameter_schema=False)
    first = call("apply", "--yes", "--only", "shop")
    assert set(name_steps(first["done"])) == {"create trial", "create pipeline/shop", "create plot/shop"}
    assert set(name_steps(call("apply", "--yes")["done"])) == {"create pipeline/web", "create plot/web"}
    assert call("plan", "--check") == call("plan") | {"differs": False, "steps": [], "paused": [], "drifted": [], "conflicts": []}
    assert call("apply", "--yes")["done"] == []

    with get_client(sync_client=True) as client:
        client.update_deployment(read("plot/shop").id, DeploymentUpdate(description="Mine"))
    write_batch("shop", SHOP + "train_cron_schedule: 5 * * * *\ningest_cron_schedule: 7 * * * *\n")
    (project / "metrics" / "web" / "web.yaml").unlink()
    plan = call("plan", "--check", code=3)
    assert plan["drifted"] == ["plot/shop"]
    assert name_steps(plan["steps"])[-2:] == ["remove pipeline/web", "remove plot/web"]
    call("apply", "--yes")
    with get_client(sync_client=True) as client:
        left = sorted(item.name for item in client.read_deployments())
    assert left == ["other", "shop", "shop"]
    assert read("plot/shop").description != "Mine"
    assert call("plan", "--check")["steps"] == []


def test_what_is_paused_stays_paused_until_it_is_resumed(project):
    call("apply", "--yes")
    assert call("pause", "shop")["deployments"] == ["pipeline/shop", "plot/shop"]
    plan = call("plan", "--check")
    trigger = "anomflow trial: plot/shop after pipeline/shop"
    assert (plan["steps"], plan["paused"]) == ([], ["pipeline/shop", "plot/shop", trigger])
    write_batch("shop", SHOP + "deploy: {tags: [late]}\n")
    assert len(call("apply", "--yes")["done"]) == 2
    assert (read("pipeline/shop").paused, read("pipeline/shop").tags[-1]) == (True, "late")
    with get_client(sync_client=True) as client:  # in Prefect's own pages, a schedule of the other batch
        web = read("pipeline/web")
        client.update_deployment_schedule(web.id, web.schedules[0].id, active=False)
    assert call("plan", "--check")["paused"][-2:] == ["pipeline/web", trigger]
    call("resume", "shop")
    call("resume", "web", "--job", "pipeline")
    assert call("plan", "--check")["paused"] == []
    assert not read("pipeline/shop").paused
    assert call("pause", "nobody", code=1)["error"]["message"].startswith("the server has no deployments of the batch 'nobody'")


def test_batches_that_share_a_deployment_are_paused_one_by_one(project):
    Path("deploy.yaml").write_text(DEPLOY.replace("pipeline", "job"))
    write_batch("shop", "metric_batch: shop\ningest_sql: select 1\n")
    write_batch("web", "metric_batch: web\ningest_sql: select 1\n")
    call("apply", "--yes")
    call("pause", "shop", "--job", "score")
    assert {(item.slug, item.active) for item in read("score/trial").schedules} == {("shop", False), ("web", True)}
    assert call("plan", "--check")["paused"] == ["score/trial"]
    (project / "metrics" / "web" / "web.yaml").unlink()
    call("apply", "--yes")  # the schedule goes with its batch
    assert {(item.slug, item.active) for item in read("score/trial").schedules} == {("shop", False)}


def test_nothing_is_removed_before_all_else_worked(project):
    call("apply", "--yes")
    (project / "metrics" / "web" / "web.yaml").unlink()
    with get_client(sync_client=True) as client:  # the pool's own template, which our checks do not know
        pool = client.read_work_pool("trial")
        pool.base_job_template["variables"]["properties"]["env"]["maxProperties"] = 1
        body = {"base_job_template": pool.base_job_template}
        client.request("PATCH", "/work_pools/trial", json=body)  # type: ignore[arg-type]
    write_batch("shop", SHOP + "deploy: {job_variables: {env: {A: hush, B: hush}}}\n")
    done = CliRunner().invoke(build_app(), ["apply", "--yes"])
    assert done.exit_code == 1
    assert "deployment pipeline/shop: " in done.stderr
    assert "3 were not removed" in done.stderr
    assert "hush" not in done.output
    assert read("pipeline/web").name == "web"
    write_batch("shop", SHOP)
    assert set(name_steps(call("apply", "--yes")["done"])) == {"remove pipeline/web", "remove plot/web"}


def test_a_pool_that_cannot_be_made_is_one_error_and_what_needs_it_is_left(project):
    Path("deploy.yaml").write_text(DEPLOY.replace("process}", "process}, push: {type: 'ecs:push', image: x}"))
    write_batch("web", SHOP.replace("shop", "web") + "db: bigquery\nmodel_path: s3://a\nalert_methods: slack\ndeploy: {work_pool: push}\n")
    done = call("apply", "--yes", code=1)
    assert [step["name"] for step in done["failed"]] == ["push"]
    assert {step["name"] for step in done["skipped"]} == {"pipeline/web", "plot/web", "anomflow trial: plot/web after pipeline/web"}
    assert read("pipeline/shop").name == "shop"
    told = CliRunner().invoke(build_app(), ["apply", "--yes"]).stderr.splitlines()
    assert "this server knows no work pools of the type ecs:push (push pools are Prefect Cloud's)" in told[0]
    assert told[1] == "error: 3 were left as they are, since what they need could not be made; run apply again"


def test_what_belongs_to_others_stands_in_the_way(project):
    with get_client(sync_client=True) as client:
        flow = client.create_flow_from_name("plot")
        client.create_deployment(flow, "shop", description="Theirs", enforce_parameter_schema=False)
    assert "belongs to no project of Anomflow" in call("plan", "--check", code=3)["conflicts"][0]
    assert "Nothing was changed" in call("apply", "--yes", code=1)["error"]["message"]
    asked = CliRunner().invoke(build_app(), ["apply"])  # there is nothing to say yes to
    assert (asked.exit_code, "Apply this?" in asked.output) == (1, False)
    assert read("plot/shop").description == "Theirs"


def test_a_batch_that_nobody_knows_is_an_error_and_one_that_is_gone_is_not(project):
    call("apply", "--yes")
    assert "--only names 'shpo', of which there are no deployments" in call("plan", "--only", "shpo", code=1)["error"]["message"]
    assert "'shpo'" in call("apply", "--yes", "--only", "shpo", code=1)["error"]["message"]
    (project / "metrics" / "web" / "web.yaml").unlink()
    done = call("apply", "--yes", "--only", "web")["done"]
    assert name_steps(done) == ["remove pipeline/web", "remove plot/web"]


HOOK = "https://hooks.slack.com/services/T0001/B0001/h00kKey0123"


def read_hook() -> str:
    path = "/block_types/slug/slack-webhook/block_documents/name/anomflow-trial-ops?include_secrets=true"
    with get_client(sync_client=True) as client:
        return str(client.request("GET", path).json()["data"]["url"])  # type: ignore[arg-type]


def test_the_server_gets_the_channels_by_which_it_tells_of_failures(project):
    Path("deploy.yaml").write_text(DEPLOY + "watch: {failure_methods: [slack/ops], heartbeat_timeout: null}\n")
    wrong = call("plan", code=2)["problems"][0]["message"]
    assert "watch.failure_methods names 'slack/ops': there is no such block on the server" in wrong
    SlackNotifier(webhook_url=HOOK).save("ops", overwrite=True)  # type: ignore[arg-type]
    call("apply", "--yes")
    assert call("plan", "--check")["steps"] == []
    assert read_hook() == HOOK
    with get_client(sync_client=True) as client:
        automations = client.request("POST", "/automations/filter", json={}).json()  # type: ignore[arg-type]
    sends = {item["name"] for item in automations for action in item["actions"] if action["type"] == "send-notification"}
    assert sends == {f"anomflow trial: {name}" for name in ("run failed", "late", "pending")}
    SlackNotifier(webhook_url=HOOK + "4").save("ops", overwrite=True)  # type: ignore[arg-type]
    assert [step["kind"] for step in call("plan", "--check", code=3)["steps"]] == ["channel"]
    call("apply", "--yes")
    assert read_hook() == HOOK + "4"


class Grumpy(BaseHTTPRequestHandler):
    """Answer with the codes that it is given, the last one for ever."""

    codes: list[int]

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        code = self.codes.pop(0) if len(self.codes) > 1 else self.codes[0]
        self.send_response(code)
        self.send_header(*(("Retry-After", "0") if code == 429 else ("Server", "busy")))
        self.end_headers()
        self.wfile.write(b"0" if code < 300 else b"{}")

    do_GET = do_POST  # noqa: N815 - named as http.server wants it

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.mark.parametrize(
    ("codes", "retries", "message"),
    [
        ([401], 3, "answers 401: the API key is wrong or expired"),
        ([403], 3, "answers 403: the API key may not do this"),
        ([404], 3, "there is no Prefect API at"),
        ([429], 3, "answers 429: the server still takes no more requests"),
        ([503, 429, 503, 401], 3, "answers 401"),  # it goes on after those that pass
        ([503, 503, 401], 0, "answers 401"),  # busy for a moment only: no pause of Prefect's client is waited for
        ([500], 3, "answers 500: it is overloaded or broken"),
    ],
)
def test_a_server_that_cannot_be_used_is_told_in_one_line(tmp_path, monkeypatch, codes, retries, message):
    monkeypatch.chdir(tmp_path)
    write_batch("shop", SHOP)
    Path("deploy.yaml").write_text(DEPLOY)
    with ThreadingHTTPServer(("127.0.0.1", 0), type("Server", (Grumpy,), {"codes": codes})) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        url = f"http://user:hush@127.0.0.1:{server.server_address[1]}/api"
        with temporary_settings({PREFECT_API_URL: url, PREFECT_CLIENT_MAX_RETRIES: retries}):
            text = call("plan", code=1)["error"]["message"]
        server.shutdown()
        thread.join()
    assert message in text
    assert "hush" not in text


def test_no_server_and_none_that_answers_are_told(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_batch("shop", SHOP)
    Path("deploy.yaml").write_text(DEPLOY)
    with temporary_settings({PREFECT_API_URL: "http://127.0.0.1:9/api"}):
        assert "does not answer" in call("plan", code=1)["error"]["message"]
    with temporary_settings(restore_defaults=[PREFECT_API_URL]):
        assert "no Prefect server is configured" in call("apply", "--yes", code=1)["error"]["message"]
    assert "PREFECT_API_URL" not in os.environ
