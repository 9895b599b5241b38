"""What batches are deployed as: names, schedules, tags, pools, variables, in each layout."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest

from anomflow.deploy_spec import DEPLOY_JOBS, GitClone, PoolSpec
from anomflow.deployments.building import LAYOUT_JOBS
from anomflow.deployments.counting import count_runs, estimate_load
from anomflow.deployments.deployment import Schedule
from anomflow.deployments.placement import DEFAULTS
from anomflow.deployments.variables import build_pull
from anomflow.spec import JOBS, Job

CLOUD = "db: bigquery/prod\nmodel_path: gcs-bucket/models\nalert_methods: slack\n"
RUN = "pools:\n  run: {type: 'cloud-run-v2:push', image: 'eu.pkg.dev/p/anomflow:1', region: europe-west1, service_account: a@p.iam}\n"
ECS = "pools:\n  aws: {type: 'ecs:push', image: x/anomflow:1, network: vpc-1, cluster: main, task_role: 'arn:a', execution_role: 'arn:b'}\n"


def test_a_batch_is_a_deployment_for_each_job_and_one_to_start_by_hand(build_project):
    found = build_project({"shop": "timezone: Europe/Dublin\nscore_cron_schedule: '@hourly'\n"})
    jobs = ["ingest", "train", "score", "change", "alert", "plot", "backtest"]
    assert list(found) == [f"{job}/shop" for job in jobs]
    score = found["score/shop"]
    assert score.entrypoint == "flows/score.py:score"
    assert score.parameters == {"batch": "shop"}
    assert score.tags == ("anomflow", "project:anomflow", "batch:shop", "job:score")
    assert score.schedules == (Schedule("0 * * * *", "Europe/Dublin", active=True, slug="default"),)
    assert score.limit == 1
    assert score.work_pool.job_variables == {"env": {"ANOMFLOW_RUN_TIMEOUT": "1800"}}
    assert "metrics/shop/shop.yaml" in score.description
    assert found["backtest/shop"].schedules == ()


@pytest.mark.parametrize(
    "text",
    [
        "score_default_schedule_status: STOPPED",
        "disable_score: true",
        "disable_batch: true",
        "score_trigger: manual",
        "score_trigger: after ingest",
    ],
)
def test_a_job_that_does_not_start_by_its_cron_keeps_a_paused_schedule(build_project, text):
    found = build_project({"shop": f"{text}\nscore_cron_schedule: '5 * * * *'\n"})
    assert found["score/shop"].schedules == (Schedule("5 * * * *", "UTC", active=False),)


def test_a_job_starts_after_another_one_of_its_batch(build_project):
    found = build_project({"shop": "score_trigger: after  ingest\nalert_trigger: after score\ndisable_alert: true\n"})
    assert found["score/shop"].after.tags == ("project:anomflow", "batch:shop", "job:ingest")
    assert found["score/shop"].after.active
    assert not found["alert/shop"].after.active
    assert found["ingest/shop"].after is None


def test_the_layout_job_has_a_schedule_for_each_batch_and_no_limit(build_project):
    found = build_project({"web_shop": "", "sales": "disable_plot: true\n", "default": ""}, "layout: job\nproject: team\n")
    plot = found["plot/team"]
    assert plot.limit is None
    assert plot.tags == ("anomflow", "project:team", "job:plot")
    assert [(item.slug, item.active, item.parameters) for item in plot.schedules] == [
        ("default", True, {"batch": "default"}),
        ("sales", False, {"batch": "sales"}),
        ("web-shop", True, {"batch": "web_shop"}),
    ]


def test_the_layout_pipeline_has_the_chain_and_its_charts(build_project):
    found = build_project({"shop": "pipeline_cron_schedule: '@daily'\n"}, "layout: pipeline\nmanual_jobs: []\n")
    assert list(found) == ["pipeline/shop", "plot/shop"]
    assert found["pipeline/shop"].schedules == (Schedule("0 0 * * *", "UTC", active=True),)


def test_examples_that_are_off_are_left_out_and_others_where_they_are_not_wanted(build_project):
    batches = {"shop": "disable_batch: true\n", "examples/off": "disable_batch: true\n", "examples/on": ""}
    assert {key for key in build_project(batches) if key.startswith("score/")} == {"score/on", "score/shop"}
    assert {key for key in build_project(batches, "examples: false\n") if key.startswith("score/")} == {"score/shop"}


def test_sizes_and_platform_in_the_words_of_cloud_run(build_project):
    deploy = f"work_pool: run\n{RUN}jobs:\n  train: {{cpu: 4, memory: 8Gi, timeout: 2h}}\n"
    found = build_project({"shop": f"{CLOUD}deploy: {{job_variables: {{max_retries: 1, env: {{A: b}}}}}}\n"}, deploy)
    assert found["train/shop"].work_pool.job_variables == {
        "image": "eu.pkg.dev/p/anomflow:1",
        "region": "europe-west1",
        "service_account_name": "a@p.iam",
        "cpu": "4000m",
        "memory": "8Gi",
        "timeout": 7320,
        "max_retries": 1,
        "env": {"ANOMFLOW_RUN_TIMEOUT": "7200", "A": "b"},
    }
    assert found["score/shop"].work_pool.job_variables["memory"] == "2Gi"
    assert found["score/shop"].pull == ()


def test_sizes_and_platform_in_the_words_of_ecs(build_project):
    variables = build_project({"shop": CLOUD}, f"work_pool: aws\n{ECS}")["score/shop"].work_pool.job_variables
    assert variables == {
        "image": "x/anomflow:1",
        "vpc_id": "vpc-1",
        "cluster": "main",
        "task_role_arn": "arn:a",
        "execution_role_arn": "arn:b",
        "cpu": 1024,
        "memory": 2048,
        "env": {"ANOMFLOW_RUN_TIMEOUT": "1800"},
    }


def test_a_job_and_a_batch_may_have_their_own_region_network_and_account(build_project):
    deploy = f"work_pool: run\n{RUN}jobs:\n  train: {{service_account: train@p.iam}}\n"
    batch = f"{CLOUD}deploy: {{region: us-east1, network: inside, jobs: {{score: {{region: us-west1, service_account: score@p.iam}}}}}}\n"
    found = build_project({"shop": batch, "plain": CLOUD}, deploy)
    names = ("region", "vpc_connector_name", "service_account_name")
    placed = {key: tuple(item.work_pool.job_variables.get(name) for name in names) for key, item in found.items()}
    assert placed["score/shop"] == ("us-west1", "inside", "score@p.iam")
    assert placed["train/shop"] == ("us-east1", "inside", "train@p.iam")
    assert placed["ingest/plain"] == ("europe-west1", None, "a@p.iam")


def test_a_role_of_a_job_wins_over_that_of_its_pool(build_project):
    found = build_project({"shop": CLOUD}, f"work_pool: aws\n{ECS}jobs:\n  train: {{task_role: 'arn:t', execution_role: 'arn:e'}}\n")
    roles = {key: found[key].work_pool.job_variables["task_role_arn"] for key in ("train/shop", "score/shop")}
    assert roles == {"train/shop": "arn:t", "score/shop": "arn:a"}
    assert found["train/shop"].work_pool.job_variables["execution_role_arn"] == "arn:e"


@pytest.mark.parametrize(("timeout", "heartbeat"), [("9min", None), ("2min", "40"), ("90s", "30"), ("null", None)])
def test_runs_show_signs_of_life_three_times_in_the_time_that_the_watch_waits(build_project, timeout, heartbeat):
    found = build_project({"shop": ""}, f"watch: {{heartbeat_timeout: {timeout}}}\n")
    assert found["score/shop"].work_pool.job_variables["env"].get("PREFECT_FLOWS_HEARTBEAT_FREQUENCY") == heartbeat


def test_the_nearest_word_about_a_job_holds(build_project):
    deploy = """
tags: team-a
pools: {local: {type: process}, other: {type: process, work_queue: q}, third: {type: process}}
jobs: {train: {work_pool: other, timeout: 10min}, score: {timeout: 11min}}
"""
    batch = "deploy:\n  timeout: 12min\n  tags: [gold]\n  jobs: {score: {work_pool: third, work_queue: fast, timeout: 90s}}\n"
    found = build_project({"plain": "", "shop": batch}, deploy)
    placed = {key: (item.work_pool.name, item.work_pool.queue, item.work_pool.job_variables["env"]) for key, item in found.items()}
    assert placed["train/plain"] == ("other", "q", {"ANOMFLOW_RUN_TIMEOUT": "600"})
    assert placed["score/plain"] == ("local", "default", {"ANOMFLOW_RUN_TIMEOUT": "660"})
    assert placed["train/shop"] == ("other", "q", {"ANOMFLOW_RUN_TIMEOUT": "720"})
    assert placed["score/shop"] == ("third", "fast", {"ANOMFLOW_RUN_TIMEOUT": "90"})
    assert found["score/shop"].tags[-2:] == ("team-a", "gold")


@pytest.mark.parametrize(
    ("pool", "pull"),
    [
        ("{type: process}", None),
        ("{type: process, directory: /opt/app}", ({"prefect.deployments.steps.set_working_directory": {"directory": "/opt/app"}},)),
        (
            "{type: process, git_clone: {repository: 'https://x/y.git', branch: main, access_token_block: git}}",
            (
                {
                    "prefect.deployments.steps.git_clone": {
                        "repository": "https://x/y.git",
                        "branch": "main",
                        "access_token": "{{ prefect.blocks.secret.git }}",
                    }
                },
            ),
        ),
    ],
)
def test_a_run_finds_the_project(build_project, pool, pull):
    assert build_project({"shop": ""}, f"pools: {{local: {pool}}}\n")["score/shop"].pull == pull


def test_a_container_clones_where_it_may_write():
    pool = PoolSpec(type="ecs:push", image="anomflow", git_clone=GitClone(repository="https://x/y.git"))
    assert build_pull(pool) == (
        {"prefect.deployments.steps.set_working_directory": {"directory": "/tmp"}},
        {"prefect.deployments.steps.git_clone": {"repository": "https://x/y.git"}},
    )


def test_every_flow_and_every_job_of_the_settings_can_be_deployed():
    flows = {path.stem for path in (Path(__file__).parents[2] / "flows").glob("*.py")} - {"__init__", "jobrun", "outcomes"}
    assert {*DEPLOY_JOBS} == flows == {*JOBS, "backtest"} == {*get_args(Job), "backtest"}
    assert {*DEFAULTS} == flows == {job for jobs in LAYOUT_JOBS.values() for job in jobs} | {"backtest"}


@pytest.mark.parametrize(
    ("cron", "runs"), [("* * * * *", 43_200), ("*/10 * * * *", 4320), ("0 0 * * *", 30), ("0 0 1 * *", 1), ("0 0 1 1 *", 1 / 12)]
)
def test_runs_in_thirty_days(cron, runs):
    assert count_runs(cron) == pytest.approx(runs, rel=0.02)


def test_load_counts_what_follows_another_and_nothing_that_is_paused(build_project):
    text = "ingest_cron_schedule: '@daily'\nscore_trigger: after ingest\nalert_trigger: after score\n"
    off = "disable_change: true\ndisable_plot: true\n"
    load = estimate_load(build_project({"shop": f"{text}{off}train_default_schedule_status: STOPPED\n"}).values())
    assert (load.deployments, load.scheduled, load.runs) == (7, 3, 90)
    assert load.requests > 15 * load.runs


@pytest.mark.parametrize(
    ("layout", "starters"), [("batch_job", ("train/shop", "score/shop")), ("pipeline", ("pipeline/shop",) * 2), ("job", (None, None))]
)
def test_shards_are_runs_of_deployments_without_schedule_limit_and_the_tag_of_the_job(build_project, layout, starters):
    found = build_project({"shop": "shards: 4\nscale_out: deployments\n", "other": "shards: 4\n"}, f"layout: {layout}\n")
    twins = [found[f"{job}/shop-shard"] for job in ("train", "score")]
    assert [key for key in found if key.endswith("-shard")] == ["train/shop-shard", "score/shop-shard"]
    assert [(twin.schedules, twin.limit, twin.after, twin.starter, twin.runs_per_start) for twin in twins] == [
        ((), None, None, starter, 4) for starter in starters
    ]
    assert twins[1].entrypoint == "flows/score.py:score"
    assert twins[1].parameters == {"batch": "shop"}
    assert twins[1].tags == ("anomflow", "project:anomflow", "batch:shop", "job:score-shard")


def test_the_runs_of_shards_are_counted(build_project):
    alone = estimate_load(build_project({"shop": "shards: 4\n"}).values()).runs
    hours = 24 * 30 * 4 + 6 * 24 * 30 * 4  # four a training each hour, four a scoring each ten minutes
    assert estimate_load(build_project({"shop": "shards: 4\nscale_out: deployments\n"}).values()).runs == alone + hours
