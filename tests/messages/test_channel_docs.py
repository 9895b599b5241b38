"""What docs/channels.md promises: its examples load, its variables are all there are, its receiver knows our signature."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from http_channels import CASES, SECRET
from http_receiver import run_http
from message_samples import make_message

from anomflow.batches import load_batches
from blocks import notifiers
from blocks.discovery import find_kinds
from blocks.notifiers.loading import load_notifier

PAGE = (Path(__file__).parents[2] / "docs" / "channels.md").read_text(encoding="utf-8")
SECTIONS = {title.lower(): text for title, text in re.findall(r"^## (\w+)\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)}
KINDS = {kind: cls for kind, cls in find_kinds(notifiers).items() if hasattr(cls, "list_variables")}


def read_example(kind: str) -> dict[str, str]:
    return {name: value.strip("'") for name, value in re.findall(r"^\$ export (\w+)=(.*)$", SECTIONS[kind], re.MULTILINE)}


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_the_example_of_a_channel_loads(kind: str, tmp_path: Path) -> None:
    assert type(load_notifier(kind, tmp_path, read_example(kind))) is KINDS[kind]


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_a_section_names_every_variable(kind: str) -> None:
    start = f"ANOMFLOW_{kind.upper()}"
    named = set(re.findall(r"`(_[A-Z_]+)`", SECTIONS[kind])) | {name.removeprefix(start) for name in read_example(kind)}
    assert named == {name.removeprefix(start) for name in KINDS[kind].list_variables().values()}


def test_the_settings_validate(tmp_path: Path) -> None:
    (snippet,) = re.findall(r"^```yaml\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "shop.yaml").write_text(f"metric_batch: shop\ningest_sql: select 1\n{snippet}")
    assert [str(problem) for problem in load_batches(tmp_path, {}).problems] == []


def test_every_channel_has_a_row() -> None:
    assert set(re.findall(r"`(\w+)`", "".join(re.findall(r"^\| \[(.*?)\]\(", PAGE, re.MULTILINE)))) == set(find_kinds(notifiers))


def test_the_receiver_of_the_page_knows_our_signature_and_no_other() -> None:
    (code,) = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    scope: dict[str, Any] = {}
    exec(code, scope)  # noqa: S102 - the page's own code is what is tested
    with run_http(CASES["webhook"].good) as receiver:
        CASES["webhook"].build(receiver).send(make_message())
        (posted,) = receiver.accepted
    now = int(posted.headers["webhook-timestamp"])
    assert scope["is_ours"](posted.headers, posted.body, SECRET.encode(), lambda: now)
    assert not scope["is_ours"](posted.headers, posted.body + b" ", SECRET.encode(), lambda: now)
    assert not scope["is_ours"](posted.headers, posted.body, b"another key", lambda: now)
    assert not scope["is_ours"](posted.headers, posted.body, SECRET.encode(), lambda: now + 3600)


def test_the_template_of_the_page_makes_json() -> None:
    (template,) = re.findall(r"^```jinja\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    with run_http(CASES["webhook"].good) as receiver:
        CASES["webhook"].build(receiver, template=template).send(make_message())
        assert receiver.accepted[0].content["metrics"] == ["orders"]
