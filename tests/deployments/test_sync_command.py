"""`anomflow sync`: what it writes is what Prefect reads, the same every time, and never half."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner, Result

from cli.main import build_app

BATCHES = {"sales": "score_trigger: after ingest\n", "web_shop": "timezone: Europe/Dublin\ndeploy: {timeout: 1min, tags: ['no', gold]}\n"}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name, text in BATCHES.items():
        write_batch(tmp_path, name, text)
    return tmp_path


def write_batch(folder: Path, name: str, text: str) -> None:
    path = folder / "metrics" / name / f"{name}.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"metric_batch: {name}\ningest_sql: select 1\n{text}")


def run(*arguments: str) -> Result:
    return CliRunner().invoke(build_app(), ["sync", *arguments])


def test_it_writes_what_the_batches_say_and_then_finds_it_up_to_date(project):
    first = run()
    text = (project / "prefect.yaml").read_text()
    assert (first.exit_code, "prefect.yaml: written" in first.stdout) == (0, True)
    assert "14 deployments, 12 of which start by themselves; in 30 days about" in first.stdout
    assert "prefect.yaml: up to date" in run("--check").stdout
    assert run().exit_code == 0
    assert (project / "prefect.yaml").read_text() == text


def test_what_is_written_reads_back_as_yaml(project):
    run()
    document = yaml.safe_load((project / "prefect.yaml").read_text())
    by_key = {(item["entrypoint"], item["name"]): item for item in document["deployments"]}
    assert len(by_key) == 14
    score = by_key["flows/score.py:score", "sales"]
    assert score["schedules"] == [{"cron": "*/10 * * * *", "timezone": "UTC", "slug": "default", "active": False}]
    assert score["concurrency_limit"] == {"limit": 1, "collision_strategy": "CANCEL_NEW"}
    assert score["triggers"][0]["match_related"] == [
        {"prefect.resource.id": f"prefect.tag.{tag}"} for tag in ("project:anomflow", "batch:sales", "job:ingest")
    ]
    other = by_key["flows/score.py:score", "web_shop"]
    assert other["tags"] == ["anomflow", "project:anomflow", "batch:web_shop", "job:score", "no", "gold"]
    assert other["schedules"][0]["timezone"] == "Europe/Dublin"
    assert other["work_pool"] == {
        "name": "local",
        "work_queue_name": "default",
        "job_variables": {"env": {"ANOMFLOW_RUN_TIMEOUT": "60"}},
    }


def test_a_stale_file_is_told_and_left_alone(project):
    run()
    write_batch(project, "sales", "score_cron_schedule: '@daily'\n")
    before = (project / "prefect.yaml").read_text()
    checked = run("--check")
    assert (checked.exit_code, "prefect.yaml: stale; run anomflow sync" in checked.stdout) == (1, True)
    assert (project / "prefect.yaml").read_text() == before


def test_the_environment_of_whoever_runs_it_makes_no_difference(project, monkeypatch):
    run()
    monkeypatch.setenv("ANOMFLOW__SALES__SCORE_CRON_SCHEDULE", "1 1 * * *")
    monkeypatch.setenv("ANOMFLOW_IGNORE_EXAMPLES", "true")
    assert run("--check").exit_code == 0


def test_all_that_is_wrong_is_told_and_nothing_is_written(project):
    (project / "metrics" / "sales" / "sales.yaml").write_text(
        "metric_batch: sales\ningest_sql: select 1\nscore_cron_schedule: 0 0 31 2 *\n"
    )
    (project / "metrics" / "web_shop" / "web_shop.yaml").write_text(
        "metric_batch: web_shop\ningest_sql: select 1\ndeploy: {work_pool: x}\n"
    )
    (project / "deploy.yaml").write_text("tags: ['{{ x }}']\n")
    done = run()
    assert done.exit_code == 2
    assert "deploy.yaml:1: tags.0 holds '{{'" in done.stderr
    assert "metrics/sales/sales.yaml:3: score_cron_schedule is '0 0 31 2 *', which never fires" in done.stderr
    assert "metrics/web_shop/web_shop.yaml:3: work_pool is 'x'" in done.stderr
    assert not (project / "prefect.yaml").exists()


def test_a_wrong_deploy_file_and_a_wrong_batch_are_told_together(project):
    write_batch(project, "sales", "score_max_n: many\n")
    (project / "deploy.yaml").write_text("project: a b\nlayout: flat\n")
    done = run()
    assert (done.exit_code, done.stderr.count("error: ")) == (2, 3)


def test_json_has_counts_and_problems(project):
    (project / "deploy.yaml").write_text("jobs: {train: {cpu: 2}}\n")
    facts = json.loads(CliRunner().invoke(build_app(), ["--json", "sync"]).stdout)
    assert (facts["state"], facts["deployments"], facts["scheduled"], facts["layout"]) == ("written", 14, 12, "batch_job")
    assert facts["runs"] > 12 * 700
    assert [(item["severity"], item["where"], item["line"]) for item in facts["problems"]] == [("warning", "deploy.yaml", 1)]


def test_a_file_that_cannot_be_written_is_an_error_that_changes_nothing(project):
    (project / "prefect.yaml").mkdir()
    (project / "prefect.yaml" / "x").touch()
    done = run()
    assert done.exit_code == 1
    assert "prefect.yaml cannot be written" in done.stderr
    assert sorted(path.name for path in project.iterdir()) == ["metrics", "prefect.yaml"]


def test_another_metrics_folder_is_told_to_the_flows(project):
    (project / "metrics").rename(project / "watched")
    CliRunner().invoke(build_app(), ["--metrics", "watched", "sync"])
    document = yaml.safe_load((project / "prefect.yaml").read_text())
    assert document["deployments"][0]["parameters"] == {"batch": "sales", "metrics": "watched"}


def test_a_project_without_batches_deploys_nothing(project):
    for path in (project / "metrics").rglob("*.yaml"):
        path.unlink()
    assert run().exit_code == 0
    assert yaml.safe_load((project / "prefect.yaml").read_text()) == {"name": "anomflow", "deployments": []}
