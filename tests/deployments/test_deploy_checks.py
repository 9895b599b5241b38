"""What is refused before Prefect silently ignores it, each with its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from anomflow.batches import load_batches
from anomflow.deployments import read_plan
from anomflow.errors import SettingsError

CLOUD = "db: bigquery/prod\nmodel_path: gcs-bucket/models\nalert_methods: slack\n"
RUN = "work_pool: run\npools:\n  run:\n    type: cloud-run-v2:push\n    image: x/y:1\n"
SHOP = "metrics/shop/shop.yaml"

WRONG_FILE = [
    ("projct: x", 1, "projct is not a setting. Did you mean project?"),
    ("pools:\n  local:\n    type: proces", 3, "pools.local.type is 'proces'; allowed: process, cloud-run-v2:push, ecs:push"),
    ("pools:\n  local:\n    image: x", 2, "pools.local has no type, which it needs"),
    ("pools:\n  local:\n    type: process\n    regoin: x", 4, "pools.local.regoin is not a setting. Did you mean region?"),
    ("jobs:\n  trian: {}", 2, "jobs.trian is not allowed here"),
    ("jobs:\n  train:\n    memory: 4GB", 3, "jobs.train.memory: '4GB' is not an amount of memory; write for example 512Mi or 4Gi"),
    ("jobs:\n  train:\n    timeout: soon", 3, "'soon' is not a duration"),
    ("watch:\n  late_after: 5s", 2, "watch.late_after: 5s is too short: a Prefect server waits no less; write 10s or more"),
    ("watch:\n  heartbeat_timeout: 1min", 2, "1min is too short: runs of Prefect give a sign of life each 30 seconds at most"),
    ("layout: flat", 1, "layout is 'flat'; allowed: batch_job, job, pipeline"),
    ("project: a/b", 1, "project is 'a/b'; allowed is text that matches"),
    ("work_pool: a\nwork_pool: b", 2, "work_pool is set twice, first in line 1"),
    ("- a", 1, "is not a mapping of settings"),
]


@pytest.mark.parametrize(("text", "line", "words"), WRONG_FILE, ids=[words for _, _, words in WRONG_FILE])
def test_a_wrong_deploy_file_is_told_with_its_line(tmp_path, text, line, words):
    path = tmp_path / "deploy.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(SettingsError) as caught:
        read_plan(path)
    assert [problem.line for problem in caught.value.problems] == [line]
    assert words in str(caught.value)


WRONG = [
    # deploy.yaml, batch, place, words
    (
        "work_pool: clud\npools: {cloud: {type: process}}",
        "",
        "deploy.yaml:1",
        "work_pool is 'clud', which is none of the pools of deploy.yaml",
    ),
    ("links: 'https://x/{{y}}'", "", "deploy.yaml:1", "links holds '{{', which Prefect would fill in or drop"),
    ("tags: ['{% if x %}']", "", "deploy.yaml:1", "tags.0 holds '{%'"),
    ("tags: ['batch:x']", "", "deploy.yaml:1", "tags has 'batch:x', of a kind that Anomflow gives itself"),
    (
        "pools:\n  local:\n    type: process\n    region: x",
        "",
        "deploy.yaml:4",
        "pools.local.region means nothing to a pool of the type process",
    ),
    ("pools:\n  local: {type: process, directory: a, git_clone: {repository: b}}", "", "deploy.yaml:2", "has a directory and a git_clone"),
    (f"{RUN}    job_variables: {{cpus: 1}}", CLOUD, "deploy.yaml:6", "cpus is not a job variable of cloud-run-v2. Did you mean cpu?"),
    (f"{RUN}    job_variables: {{max_retries: many}}", CLOUD, "deploy.yaml:6", "'many' is not of type 'integer'"),
    (f"{RUN}    job_variables: {{image: '{{{{ x }}}}'}}", CLOUD, "deploy.yaml:6", "write a variable of whoever deploys as {{ $NAME }}"),
    (
        f"{RUN}jobs:\n  train: {{memory: 16Gi}}",
        CLOUD,
        "deploy.yaml:7",
        "memory from 512Mi to 8Gi on Cloud Run, not 16Gi (train)",
    ),
    (f"{RUN}jobs:\n  train: {{cpu: 1, memory: 256Mi}}", CLOUD, "deploy.yaml:7", "memory from 512Mi to 4Gi on Cloud Run, not 256Mi (train)"),
    (f"{RUN}jobs:\n  train: {{timeout: 8d}}", CLOUD, "deploy.yaml:7", "timeout"),
    (f"{RUN}    job_variables: {{image: null}}", CLOUD, "deploy.yaml:5", "no image is set for run; write pools.run.image"),
    (RUN.replace("    image: x/y:1\n", ""), CLOUD, "deploy.yaml:3", "no image is set for run; write pools.run.image"),
    (RUN, "model_path: gcs-bucket/m\nalert_methods: slack\n", f"{SHOP}:1", "db is 'duckdb', a file, which is lost when a container of run"),
    (
        RUN,
        "db: bigquery\nledger_db: sqlite/a\nmodel_path: gcs-bucket/m\nalert_methods: slack\n",
        f"{SHOP}:4",
        "ledger_db is 'sqlite/a', a file",
    ),
    (RUN, "db: bigquery\nmodel_path: local://x\nalert_methods: slack\n", f"{SHOP}:4", "model_path is 'local://x', a folder, which is lost"),
    (RUN, "db: bigquery\nmodel_path: gcs-bucket/m\nalert_methods: [slack, file]\n", f"{SHOP}:5", "alert_methods has 'file', which is lost"),
    (RUN, "db: bigquery\nmodel_path: gcs-bucket/m\nalert_methods: console\n", f"{SHOP}:5", "'console' only, which nobody reads"),
    (
        "",
        "deploy: {work_pool: loca}",
        f"{SHOP}:3",
        "work_pool is 'loca', which is none of the pools of deploy.yaml: local. Did you mean local?",
    ),
    ("", "deploy:\n  tags:\n  - job:x", f"{SHOP}:5", "deploy.tags has 'job:x'"),
    ("", "deploy:\n  tags: ['{{ x }}']", f"{SHOP}:4", "deploy.tags.0 holds '{{'"),
    ("", "deploy:\n  job_variables: {workdir: x}", f"{SHOP}:4", "workdir is not a job variable of process. Did you mean working_dir?"),
    ("", "deploy:\n  jobs:\n    train: {cpu: 2}", f"{SHOP}:5", "cpu has no effect on local, whose type is process"),
    ("", "deploy:\n  task_role: arn:a", f"{SHOP}:4", "task_role has no effect on local, whose type is process"),
    (
        RUN,
        f"{CLOUD}deploy:\n  jobs:\n    train: {{cluster: a}}",
        f"{SHOP}:8",
        "cluster has no effect on run, whose type is cloud-run-v2:push",
    ),
    ("layout: job", "deploy: {timeout: 5min}", f"{SHOP}:3", "deploy has no effect in the layout `job`"),
    ("layout: job", "score_trigger: after ingest", f"{SHOP}:3", "which the layout `job` cannot do"),
    ("layout: pipeline", "plot_trigger: after score", f"{SHOP}:3", "which the layout `pipeline` does not deploy: pipeline, plot"),
]


BEAT = "deploy: {job_variables: {env: {PREFECT_FLOWS_HEARTBEAT_FREQUENCY: '%s'}}}"


@pytest.mark.parametrize(
    ("timeout", "seconds", "words"),
    [
        ("9min", "181", "takes a run for dead that shows no sign of life for 9min; leave it out, or set watch.heartbeat_timeout: 543s"),
        ("90s", "60", "or set watch.heartbeat_timeout: 3min or more"),
        ("null", "29", "PREFECT_FLOWS_HEARTBEAT_FREQUENCY is '29', with which no run of Prefect starts; write 30 or more"),
        ("9min", "1m", "is '1m', with which no run"),
    ],
)
def test_signs_of_life_that_come_too_seldom_are_told(find_problems, timeout, seconds, words):
    (found,) = find_problems({"shop": BEAT % seconds}, f"watch: {{heartbeat_timeout: {timeout}}}")
    assert found.startswith(f"{SHOP}:3: PREFECT_FLOWS_HEARTBEAT_FREQUENCY")
    assert words in found


@pytest.mark.parametrize(("timeout", "seconds"), [("9min", "180"), ("null", "3600"), ("90s", "30"), ("9min", "{{ $BEAT }}")])
def test_signs_of_life_that_come_in_time_are_let_through(find_problems, timeout, seconds):
    assert find_problems({"shop": BEAT % seconds}, f"watch: {{heartbeat_timeout: {timeout}}}") == []


@pytest.mark.parametrize(("deploy", "batch", "place", "words"), WRONG, ids=lambda text: text[:40])
def test_what_prefect_would_ignore_is_told_with_its_place(find_problems, deploy, batch, place, words):
    (found,) = find_problems({"shop": batch}, deploy)
    assert found.startswith(f"{place}: ")
    assert words in found


@pytest.mark.parametrize("login", ["ghp_t0ken", "me:pa55word", "x:{{ $TOKEN }}0"])
def test_a_login_in_the_address_of_a_repository_is_refused_and_not_shown(find_problems, login):
    deploy = f"pools:\n  local:\n    type: process\n    git_clone:\n      repository: 'https://{login}@github.com/a/b'\n"
    (found,) = find_problems({"shop": ""}, deploy)
    assert found.startswith("deploy.yaml:5: pools.local.git_clone.repository holds a login")
    assert login not in found


@pytest.mark.parametrize(
    "address", ["https://github.com/a/b", "git@github.com:a/b.git", "ssh://git@host/a", "https://{{ $TOKEN }}@github.com/a"]
)
def test_an_address_of_a_repository_without_a_secret_is_let_through(find_problems, address):
    deploy = f"pools:\n  local:\n    type: process\n    git_clone: {{repository: '{address}'}}\n"
    assert find_problems({"shop": ""}, deploy) == []


def test_a_secret_among_job_variables_is_a_warning_that_does_not_show_it(find_problems):
    env = "env: {SHOP_API_KEY: pl4in-word, LOG_LEVEL: info, SLACK_TOKEN: '{{ $TOKEN }}'}"
    deploy = f"pools:\n  local:\n    type: process\n    job_variables:\n      {env}\n"
    (found,) = find_problems({"shop": "", "sales": "deploy: {tags: [a], timeout: 5min}"}, deploy)
    assert found.startswith("deploy.yaml:4: job variable env.SHOP_API_KEY looks like a secret")
    assert "pl4in-word" not in found


def test_everything_wrong_is_told_at_once(find_problems):
    found = find_problems({"shop": "alert_methods: file\n", "sales": "deploy: {work_pool: no}\n"}, RUN.replace("    image: x/y:1\n", ""))
    assert len(found) == 5
    assert found == sorted(found)


def test_names_that_differ_in_signs_only_are_refused(find_problems):
    (found,) = find_problems({"web-shop": "", "Web.Shop": ""})
    assert "metric_batch web-shop is the same as Web.Shop (metrics/Web.Shop/Web.Shop.yaml:1)" in found


def test_a_batch_that_is_off_may_keep_its_local_stores(find_problems):
    assert find_problems({"shop": "disable_batch: true\n"}, RUN) == []


def test_a_variable_of_whoever_deploys_is_let_through_to_prefect(find_problems):
    deploy = RUN.replace("x/y:1", "'{{ $IMAGE }}'") + "    job_variables: {timeout: '{{ $SECONDS }}'}\n"
    assert find_problems({"shop": CLOUD}, deploy) == []


def test_another_size_of_a_launch_type_without_sizes_is_let_through(find_problems):
    deploy = (
        "work_pool: aws\npools: {aws: {type: ecs, image: x, job_variables: {launch_type: EC2}}}\njobs: {train: {cpu: 3, memory: 5Gi}}\n"
    )
    assert find_problems({"shop": CLOUD}, deploy) == []
    (found,) = find_problems({"shop": CLOUD}, deploy.replace(", job_variables: {launch_type: EC2}", ""))
    assert "cpu 3 is none of Fargate's sizes" in found


WRONG_TRIGGERS = [
    ("score_trigger: hourly", "score_trigger: 'hourly' is not what starts a job; allowed: cron, manual, after JOB"),
    ("score_trigger: after ingst", "score_trigger is 'after ingst', which is no job. Did you mean ingest?"),
    ("score_trigger: after score", "jobs wait for one another: score after score"),
    ("score_trigger: after alert\nalert_trigger: after score", "jobs wait for one another: score after alert after score"),
    ("deploy: {cpuu: 1}", "deploy.cpuu is not a setting. Did you mean cpu?"),
    ("deploy: {jobs: {trian: {}}}", "deploy.jobs.trian is not allowed here"),
]


@pytest.mark.parametrize(("text", "words"), WRONG_TRIGGERS)
def test_wrong_triggers_and_places_of_a_batch_are_wrong_settings(tmp_path, monkeypatch, text, words):
    monkeypatch.chdir(tmp_path)
    Path("metrics").mkdir()
    Path("metrics/config.yaml").write_text(f"metric_batch: shop\ningest_sql: select 1\n{text}\n")
    found = load_batches(Path("metrics"), {}).errors
    assert found[0].line == 3
    assert words in str(found[0])


def test_waiting_for_a_job_that_is_off_is_a_warning(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("metrics").mkdir()
    Path("metrics/config.yaml").write_text("metric_batch: shop\ndisable_ingest: true\nscore_trigger: after ingest\n")
    (found,) = load_batches(Path("metrics"), {}).problems
    assert (found.warning, found.line) == (True, 3)
    assert "switched off and so never completes" in found.message


def test_no_batch_has_the_name_of_the_shards_of_another(find_problems):
    (found,) = find_problems({"shop": "shards: 2\nscale_out: deployments\n", "shop-shard": ""})
    assert "metric_batch shop-shard is the name of the deployments of shop's shards" in found
