"""The channels by which a server itself tells of runs that fail: blocks of Prefect, since it has no others.

A dead worker cannot keep such a notice back. A channel of Anomflow's kind ``slack`` that has a webhook is given to the server as
a block of Prefect's type ``slack-webhook``.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from anomflow.deployments.building import slugify
from anomflow.errors import Problem, SettingsError
from blocks.notifiers.slack import SlackNotifier

if TYPE_CHECKING:
    from cli.deploying.api import Api

_WEBHOOK: Final = "slack-webhook"
_WAYS: Final = "name a block of Prefect for notices (slack-webhook/NAME, custom-webhook/NAME), or slack/NAME that has a webhook_url"


@dataclass(frozen=True)
class Channel:
    """A document that the server sends by: its id, where it is there; ``url`` is what ours shall hold."""

    name: str
    id: str | None
    url: str | None = field(default=None, repr=False)
    is_stale: bool = False


async def read_channels(api: Api, methods: Sequence[str], project: str) -> dict[str, Channel]:
    """Read what each method is on the server; raises SettingsError for those by which a server cannot send."""
    return {method: await _read_channel(api, method, project) for method in methods}


async def _read_channel(api: Api, method: str, project: str) -> Channel:
    kind, _, name = method.partition("/")
    if kind == "slack":
        url = await _read_webhook(api, method, name)
        own = f"anomflow-{slugify(project)}-{slugify(name) or 'default'}"
        document = await _read_document(api, _WEBHOOK, own)
        is_stale = document is None or document["data"].get("url") != url
        return Channel(own, document["id"] if document else None, url, is_stale)
    document = await _read_document(api, kind, name or "default")
    if document is None:
        raise _complain(method, "there is no such block on the server")
    if "notify" not in document["block_schema"]["capabilities"]:
        raise _complain(method, "it is no block by which a Prefect server sends")
    return Channel(document["name"], document["id"])


async def _read_webhook(api: Api, method: str, name: str) -> str:
    variable = SlackNotifier.list_variables()["webhook_url"]
    if name:
        document = await _read_document(api, "slack", name)
        if document is None:
            raise _complain(method, "there is no such block on the server")
        url = document["data"].get("webhook_url")
    else:
        url = os.environ.get(variable)
    if not url:
        raise _complain(method, f"it has no webhook_url ({variable}), and a server sends by nothing else")
    return str(url)


async def _read_document(api: Api, kind: str, name: str) -> Mapping[str, Any] | None:
    path = f"/block_types/slug/{kind}/block_documents/name/{name}?include_secrets=true"
    found: Mapping[str, Any] | None = await api.ask("GET", path, absent_ok=True)
    return found


def _complain(method: str, reason: str) -> SettingsError:
    text = f"watch.failure_methods names {method!r}: {reason}; {_WAYS}"
    return SettingsError([Problem("deploy.yaml", None, text, "watch.failure_methods")])


async def save_channel(api: Api, channel: Channel) -> str:
    """Save what a channel shall hold as a block of the server, and return its id."""
    data = {"url": channel.url}
    if channel.id is not None:
        await api.ask("PATCH", f"/block_documents/{channel.id}", {"data": data, "merge_existing_data": False})
        return channel.id
    kind = await api.ask("GET", f"/block_types/slug/{_WEBHOOK}")
    schemas = await api.ask("POST", "/block_schemas/filter", {"block_schemas": {"block_type_id": {"any_": [kind["id"]]}}})
    document = {"name": channel.name, "data": data, "block_type_id": kind["id"], "block_schema_id": schemas[0]["id"]}
    return str((await api.ask("POST", "/block_documents/", document))["id"])
