"""Deployed to a real server: schedules and triggers run on a process worker until an alert is mailed; its chart is seen in the UI."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from email.message import EmailMessage

import pytest
from PIL import Image, ImageColor
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterKey
from prefect.client.schemas.objects import Artifact, FlowRun
from prefect_server import serve_prefect_on_postgres, start

from anomflow.chart_panels import INKS, MARKS
from tests.services.browser import Page, open_page
from tests.services.deployed import PYTEST_MARKS, Project, build_project, serve_mail, wait_for
from tests.world import YAML, Mailbox

pytestmark = PYTEST_MARKS
BATCH = """\
ingest_cron_schedule: "* * * * *"
train_trigger: after ingest
score_trigger: after train
alert_trigger: after score
plot_trigger: after alert
disable_change: true
alert_methods: [email/oncall]
"""
DEPLOY = """\
project: shop
manual_jobs: []
pools:
  local:
    type: process
    job_variables: {{env: {{ANOMFLOW_HOME: {home}}}}}
"""
BLOCKS = """\
email/oncall:
  host: ${ANOMFLOW_EMAIL_HOST}
  port: ${ANOMFLOW_EMAIL_PORT}
  security: none
  sender: ${ANOMFLOW_EMAIL_SENDER}
  recipients: ["${ANOMFLOW_EMAIL_RECIPIENTS}"]
"""
# The picture in the text of the artifact, as the browser has it.
PICTURE = """(() => {
  const image = [...document.images].find(one => one.src.startsWith('data:image/') && one.alt === 'orders');
  if (!image || !image.complete || !image.naturalWidth) return null;
  image.scrollIntoView();
  const {x, y, width, height} = image.getBoundingClientRect();
  return {x, y, width, height};
})()"""


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    # Without its address the UI asks port 4200 of the browser's machine.
    shown = {"PREFECT_SERVER_UI_ENABLED": "true", "PREFECT_SERVER_UI_API_URL": "/api"}
    with serve_prefect_on_postgres(tmp_path_factory.mktemp("server"), **shown) as given:
        yield given


@dataclass
class Story:
    """What came of a deployed project: its mails, and the chart that a run published."""

    project: Project
    mailbox: Mailbox
    chart: Artifact

    @property
    def mail(self) -> EmailMessage:
        return self.mailbox.mails[0]


@pytest.fixture(scope="module")
def story(environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    """Deploy the project, and let the worker work until a chart shows the alert that was mailed."""
    folder, mailbox = tmp_path_factory.mktemp("project"), Mailbox()
    with serve_mail(mailbox) as channel:
        project = build_project(folder, environment | channel)
        project.write("metrics/shop/shop.yaml", YAML.format(batch="shop") + BATCH)
        project.write("deploy.yaml", DEPLOY.format(home=folder / "home"))
        project.write("blocks.yaml", BLOCKS)
        project.create_pool("local", "process")
        project.run("cli.main", "blocks", "apply", "blocks.yaml")
        project.deploy()
        log = folder / "worker.log"
        with start(["worker", "start", "--pool", "local"], dict(project.environment), log):
            wait_for(lambda: has_completed(project, "ingest"), 400, log)
            # On a server of Prefect's own, what waits for runs of a schedule's first five minutes is started 15 minutes late.
            project.submit("train")
            chart = wait_for(lambda: find_chart(project) if mailbox.mails else None, 600, log)
            yield Story(project, mailbox, chart)


def find_chart(project: Project) -> Artifact | None:
    with project.client() as client:
        found = client.read_artifacts(artifact_filter=ArtifactFilter(key=ArtifactFilterKey(any_=["charts-shop"])))
    return found[0] if found else None


def has_completed(project: Project, job: str) -> bool:
    return any(str(run.name).startswith(job) and run.state and run.state.is_completed() for run in read_runs(project))


def read_runs(project: Project) -> list[FlowRun]:
    with project.client() as client:
        return [run for run in client.read_flow_runs() if run.state is not None and not run.state.is_scheduled()]


def test_schedules_and_triggers_run_until_an_alert_is_mailed_with_its_chart(story):
    jobs = {str(run.name).split()[0] for run in read_runs(story.project)}
    assert {"ingest", "train", "score", "alert", "plot"} <= jobs
    ingests = [run for run in read_runs(story.project) if str(run.name).startswith("ingest")]
    assert {run.auto_scheduled for run in ingests} == {True}
    assert "orders" in story.mail["Subject"]
    pictures = [Image.open(io.BytesIO(part.get_content())) for part in story.mail.walk() if part.get_content_maintype() == "image"]
    assert [is_drawn(picture) for picture in pictures] == [True]


def is_drawn(picture: Image.Image) -> bool:
    """Tell whether the line of a chart and the mark of an anomaly are seen, by their colours."""
    found = picture.convert("RGB").getcolors(picture.width * picture.height) or []
    wanted = [ImageColor.getrgb(ink) for ink in (INKS["line"], MARKS["anomaly"][0])]
    return all(any(max(abs(a - b) for a, b in zip(ink, colour, strict=True)) < 25 for _, colour in found) for ink in wanted)


def test_the_alert_is_told_once_however_often_it_is_looked_at(story):
    project = story.project
    before = project.world.table("_deliveries")
    assert before.select("channel", "state").rows() == [("email/oncall", "sent")]
    with project.client() as client:
        client.pause_deployment(project.read_deployments()["ingest"].id)
    wait_for(lambda: not [run for run in read_runs(project) if run.state and not run.state.is_final()], 400, project.folder / "worker.log")
    state = project.wait(project.submit("alert"))
    assert state.name == "Completed", state.message
    assert project.world.table("_deliveries").rows() == before.rows()
    assert len(story.mailbox.mails) == 1
    (alert,) = project.world.alerts(status="open").iter_rows(named=True)
    assert (alert["metric_name"], alert["message_id"]) == ("orders", before["message_id"].item())


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with open_page(tmp_path_factory.mktemp("browser")) as opened:
        yield opened


@pytest.mark.parametrize("ui", ["v2/", ""], ids=["new", "old"])
def test_the_chart_is_seen_in_the_ui_of_prefect(story, page, tmp_path, ui):
    page.open(f"{story.project.url.removesuffix('api')}{ui}artifacts/artifact/{story.chart.id}")
    place = page.find_still(PICTURE, story.project.folder / "worker.log")
    seen = tmp_path / "seen.png"
    seen.write_bytes(page.take_picture(place))
    assert place["width"] > 300
    assert is_drawn(Image.open(seen))
