"""What differs between files and a server: each kind of difference, and that applying leaves none."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anomflow.deploy_spec import DeployFile, Watch
from anomflow.deployments.automations import OFF_TAG, Automation, build_automations
from anomflow.deployments.comparing import Comparison, Wish, compare, covers, hold, mark
from anomflow.deployments.deployment import Deployment, Schedule, WorkPool
from anomflow.deployments.found import Found, FoundAutomation, FoundDeployment
from anomflow.deployments.limits import count_peak, find_limits
from anomflow.deployments.pace import Pace
from anomflow.deployments.wanted import Surroundings, Wanted, build_wanted, fill
from anomflow.errors import SettingsError
from cli.plans import estimate_requests

TAGS = ["anomflow", "project:shop", "batch:sales", "job:score"]
TRIGGER = {"type": "event", "expect": ["prefect.flow-run.Completed"]}


def wanted(key: str = "score/sales", **fields: Any) -> Wanted:
    schedule = {"cron": "0 * * * *", "timezone": "UTC", "active": True, "parameters": {}}
    base: dict[str, Any] = {
        "entrypoint": "flows/score.py:score",
        "description": "Judges",
        "tags": TAGS,
        "parameters": {"batch": "sales"},
        "schedules": {"default": schedule},
        "work_pool": "local",
        "work_queue": "default",
        "job_variables": {"env": {"TOKEN": "hush"}},
        "concurrency": {"limit": 1, "collision_strategy": "CANCEL_NEW"},
        "pull_steps": [],
        "parameter_schema": {"type": "object"},
    }
    return Wanted(key, base | fields)


def scheduled(*, active: bool = True, cron: str = "0 * * * *") -> dict[str, Any]:
    return {"default": {"cron": cron, "timezone": "UTC", "active": active, "parameters": {}}}


def server(item: Wanted, *, left: Wanted | None = None, known: bool = True, **fields: Any) -> FoundDeployment:
    """Return a deployment that we left as ``left`` and that others then gave other fields."""
    return FoundDeployment(item.key, "id-1", {**item.fields, **fields}, applied=mark(left or item) if known else None)


def plan(files: list[Wanted], there: list[FoundDeployment], **wish: Any) -> Comparison:
    return compare(Wish("shop", {item.key: item for item in files}, {}, **wish), Found({item.key: item for item in there}))


def tell(comparison: Comparison) -> list[tuple[str, str, list[tuple[str, bool]]]]:
    return [(step.action, step.name, [(change.path, change.drifted) for change in step.changes]) for step in comparison.steps]


def test_what_is_new_is_made_and_what_is_the_same_is_left():
    same, new = wanted("score/a"), wanted("score/b")
    assert tell(plan([same, new], [server(same)])) == [("create", "score/b", [])]


@pytest.mark.parametrize(
    ("field", "old", "path"),
    [
        ("entrypoint", "flows/old.py:score", "entrypoint"),
        ("description", "Old", "description"),
        ("tags", [*TAGS, "old"], "tags"),
        ("parameters", {"batch": "other"}, "parameters.batch"),
        ("schedules", scheduled(cron="5 * * * *"), "schedules.default.cron"),
        ("work_pool", "old", "work_pool"),
        ("work_queue", "old", "work_queue"),
        ("job_variables", {"env": {"TOKEN": "other"}}, "job_variables.env.TOKEN"),
        ("concurrency", None, "concurrency"),
        ("pull_steps", [{"a": {}}], "pull_steps"),
        ("parameter_schema", {}, "parameter_schema"),
    ],
)
def test_a_field_that_differs_is_named_with_who_changed_it(field, old, path):
    before = wanted(**{field: old})
    assert tell(plan([wanted()], [server(before)])) == [("update", "score/sales", [(path, False)])]
    assert tell(plan([wanted()], [server(wanted(), **{field: old})])) == [("update", "score/sales", [(path, True)])]
    assert tell(plan([wanted()], [server(before, known=False)])) == [("update", "score/sales", [(path, False)])]


def test_schedules_that_are_all_missing_are_told_as_nobodys_change():
    cut_short = server(wanted(), schedules={})
    assert tell(plan([wanted()], [cut_short])) == [("update", "score/sales", [("schedules.default", False)])]
    assert plan([wanted()], [cut_short]).paused == ()


def test_values_that_may_be_secrets_are_not_shown():
    comparison = plan([wanted()], [server(wanted(job_variables={"env": {"TOKEN": "older"}}, description="Old"))])
    assert "hush" not in repr(comparison)
    assert "older" not in repr(comparison)
    assert [(change.before, change.after) for change in comparison.steps[0].changes] == [('"Old"', '"Judges"'), ("", "")]


def test_only_deployments_of_the_project_are_removed_and_last():
    gone, foreign = server(wanted("score/gone")), server(wanted("score/theirs", tags=["anomflow", "project:other"]))
    untagged = server(wanted("score/mine", tags=[]))
    found = plan([wanted("score/new")], [gone, foreign, untagged])
    assert tell(found) == [("create", "score/new", []), ("remove", "score/gone", [])]


def test_a_foreign_deployment_of_the_same_name_is_never_overwritten():
    found = plan([wanted()], [server(wanted(tags=["anomflow", "project:other"]))])
    assert found.steps == ()
    assert "belongs to project:other" in found.conflicts[0]


def test_one_batch_is_applied_alone():
    other = server(wanted("score/other", tags=["anomflow", "project:shop", "batch:other"]))
    gone = server(wanted("plot/sales"))
    assert tell(plan([wanted()], [other, gone], only="sales")) == [("create", "score/sales", []), ("remove", "plot/sales", [])]


def test_what_is_paused_by_hand_stays_paused():
    by_hand = server(wanted(), schedules=scheduled(active=False))
    assert plan([wanted()], [by_hand]) == Comparison((), ("score/sales",))
    assert plan([wanted()], [replace(server(wanted()), is_paused=True)]) == Comparison((), ("score/sales",))
    other_cron = plan([wanted(schedules=scheduled(cron="5 * * * *"))], [by_hand])
    assert tell(other_cron) == [("update", "score/sales", [("schedules.default.cron", False)])]
    assert other_cron.paused == ("score/sales",)


def test_what_the_files_had_off_is_started_by_the_files():
    off = wanted(schedules=scheduled(active=False))
    assert tell(plan([wanted()], [server(off)])) == [("update", "score/sales", [("schedules.default.active", False)])]
    assert tell(plan([off], [server(wanted())])) == [("update", "score/sales", [("schedules.default.active", False)])]


def test_a_pool_of_another_type_stands_in_the_way():
    wish = Wish("shop", {}, {}, {"local": "process", "run": "ecs"})
    found = compare(wish, Found(pools={"run": "cloud-run-v2"}))
    assert [(step.kind, step.name) for step in found.steps] == [("pool", "local")]
    assert "has the type cloud-run-v2" in found.conflicts[0]


def follow(**changes: Any) -> FoundAutomation:
    return replace(FoundAutomation("a", "id-2", {**TRIGGER, "id": "x", "within": 0}, ({"type": "run-deployment"},)), **changes)


@pytest.mark.parametrize(
    ("there", "enabled", "changes"),
    [
        (follow(), True, []),
        (follow(enabled=False), True, []),  # by hand
        (follow(enabled=False, tags=(OFF_TAG,)), True, ["enabled"]),
        (follow(enabled=False, tags=(OFF_TAG,)), False, []),
        (follow(), False, ["enabled"]),
        (follow(trigger={"type": "event", "expect": []}), True, ["trigger"]),
        (follow(actions=()), True, ["actions"]),
    ],
)
def test_an_automation_is_changed_in_place(there, enabled, changes):
    wish = Wish("shop", {}, {"a": Automation("a", TRIGGER, ({"type": "run-deployment"},), enabled)})
    steps = compare(wish, Found(automations={"a": there})).steps
    assert [change.path for step in steps for change in step.changes] == changes
    assert {(step.action, step.id) for step in steps} <= {("update", "id-2")}


def test_an_automation_that_is_not_wanted_is_removed():
    found = compare(Wish("shop", {}, {}), Found(automations={"a": follow()}))
    assert [(step.kind, step.action, step.id) for step in found.steps] == [("automation", "remove", "id-2")]


def test_only_what_is_asked_for_is_watched():
    def build(watch: Watch) -> list[str]:
        return [item.name for item in build_automations((), DeployFile(project="shop", watch=watch))]

    assert build(Watch()) == ["anomflow shop: no sign of life"]
    assert build(Watch(heartbeat_timeout=None)) == []
    assert build(Watch(failure_methods=("slack",), late_after=None)) == [
        "anomflow shop: no sign of life",
        "anomflow shop: run failed",
        "anomflow shop: pending",
    ]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
SCHEDULES = st.dictionaries(
    st.sampled_from(["default", "b"]),
    st.fixed_dictionaries(
        {
            "cron": st.sampled_from(["0 * * * *", "5 * * * *"]),
            "timezone": st.just("UTC"),
            "active": st.booleans(),
            "parameters": st.just({}),
        }
    ),
)
WANTED = st.builds(
    lambda schedules, description, variables: wanted(schedules=schedules, description=description, job_variables=variables),
    SCHEDULES,
    st.text(max_size=5),
    st.dictionaries(st.text(max_size=4), JSON, max_size=3),
)


@given(WANTED, WANTED, WANTED, st.booleans())
def test_applying_twice_changes_nothing(left, by_hand, files, known):
    there = FoundDeployment(files.key, "id-1", dict(by_hand.fields), applied=mark(left) if known else None)
    after = FoundDeployment(files.key, "id-1", json.loads(json.dumps(hold(files, there).fields)), applied=mark(files))
    assert plan([files], [after]).steps == ()


def test_a_value_covers_what_is_wanted_whatever_the_server_adds():
    assert covers({"match": {"a": ["x"]}, "more": 1}, {"match": {"a": "x"}})
    assert not covers({"match": {"a": ["x", "y"]}}, {"match": {"a": "x"}})
    assert not covers(None, {"a": 1})
    assert not covers([], [{"a": 1}])


def test_variables_are_filled_from_the_environment_or_named():
    assert fill([{"a": "x{{ $A }}"}, 1], {"A": "7"}) == [{"a": "x7"}, 1]
    with pytest.raises(SettingsError, match=r"A is not set.*\n.*B is not set"):
        fill({"a": "{{ $B }}{{ $A }}"}, {})


def test_a_deployment_becomes_the_fields_of_the_server(build_project):
    found = build_project({"sales": ""})["score/sales"]
    built = build_wanted(found, Surroundings({}, "/srv/project", {"score": {"type": "object"}}))
    assert built.fields["pull_steps"] == [{"prefect.deployments.steps.set_working_directory": {"directory": "/srv/project"}}]
    assert built.fields["schedules"]["default"]["active"] is True
    assert built.fields["concurrency"] == {"limit": 1, "collision_strategy": "CANCEL_NEW"}
    assert "/srv/project" not in repr(built)


def test_limits_of_plans_are_named(build_project):
    deployments = build_project({"sales": ""}).values()
    assert count_peak(deployments) == 6
    assert [text for text in find_limits(deployments, 700) if "Hobby" in text] == [*find_limits(deployments, 700)]
    assert find_limits(list(deployments)[:1], 500) == ()


def test_more_schedules_than_one_request_should_bring_are_a_limit():
    pool = WorkPool("local", "default", {})
    few, many = (
        Deployment("score", "trial", "", (), pool, schedules=tuple(Schedule("0 * * * *", "UTC", False, f"s{n}") for n in range(count)))
        for count in (1000, 1001)
    )
    assert find_limits([few], 500) == ()
    (limit,) = find_limits([many], 500)
    assert "score/trial has 1,001 schedules, which are one request" in limit


def test_the_schedules_of_new_deployments_count_as_requests_where_they_are_some():
    gone = server(wanted("plot/gone", tags=[*TAGS[:2], "batch:gone"]))
    steps = plan([wanted(), wanted("plot/sales")], [gone]).steps
    assert estimate_requests(steps, in_parts=True) - estimate_requests(steps) == 2


def test_no_minute_sees_more_requests_than_the_pace():
    pace, now, starts = Pace(3), 0.0, []
    for _ in range(10):
        starts.append(now + pace.reserve(now))
        now += 1
    assert starts[:4] == [0, 1, 2, 60]
    assert all(later - earlier >= 60 for earlier, later in zip(starts, starts[3:], strict=False))


def test_there_is_room_for_what_need_not_wait():
    pace = Pace(3)
    pace.reserve(0.0)
    pace.reserve(30.0)
    assert [pace.has_room(count, 59.0) for count in (1, 2)] == [True, False]
    assert [pace.has_room(count, 61.0) for count in (2, 3)] == [True, False]
