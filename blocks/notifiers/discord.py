"""A channel that posts to Discord, through a webhook, with charts as attachments."""

from __future__ import annotations

import json
import secrets
from typing import TYPE_CHECKING, Any, ClassVar, Final
from urllib.parse import parse_qsl, urlencode, urlsplit

from pydantic import Field

from anomflow.markdown_text import cut_escaped, escape_for_discord, render_part, render_rest
from anomflow.outline import build_outline, fit_outline
from blocks.notifiers.http import Answer, Request, parse_object
from blocks.notifiers.http_channel import JSON, HttpChannel, build_check, post_sparing
from blocks.notifiers.secret_fields import SecretAddress, find_secrets, reveal

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from anomflow.letters import Image
    from anomflow.messages import Message
    from anomflow.outline import Outline, Part

SIZE_LIMIT: Final = 5500  # Discord takes 6000 characters in the embeds of a message
TITLE_LIMIT: Final = 256
_DESCRIPTION_LIMIT, _FOOTER_LIMIT = 4000, 700  # Discord takes 4096 and 2048; both of one metric stay within SIZE_LIMIT
_NO_CONTENT: Final = 204
_ADVICE: Final = "Check the webhook, or make a new one (channel settings, Integrations, Webhooks)."

Embed = dict[str, Any]


class DiscordNotifier(HttpChannel):
    """Post each message as embeds, one a metric with its chart inside; no text mentions anybody.

    Discord's webhooks know no key by which they would drop a repeated message; the last line carries the message's id.
    """

    kind: ClassVar[str] = "discord"
    _block_type_name: ClassVar[str] = "Anomflow Discord"
    _block_type_slug: ClassVar[str] = "discord"
    _description: ClassVar[str] = "Posts Anomflow's messages to a channel of Discord."

    webhook_url: SecretAddress = Field(description="Address of the channel's webhook; ?thread_id=... posts into a thread.")

    def send(self, message: Message) -> str | None:
        """Post one message; raise RetryableDeliveryError or RefusedDeliveryError where it was not accepted."""
        url = reveal(self.webhook_url)
        link = self._open_link(*find_secrets(url))
        outline = fit_outline(
            lambda shown: build_outline(message.letter, message.message_id, shown),
            lambda outline: outline,
            lambda outline: count_characters(render_embeds(outline, charts=False)) <= SIZE_LIMIT,
        )
        images = [part.image for part in outline.parts if part.image]
        bare = Request(_ask_to_wait(url), _write_content(outline, charts=False), {"Content-Type": JSON})
        full = [_build_upload(_ask_to_wait(url), _write_content(outline, charts=True), images)] if images else []
        check = build_check(link, _ADVICE)

        def check_posted(answer: Answer) -> None:
            check(answer)
            if answer.status != _NO_CONTENT and "id" not in (parse_object(answer) or {}):
                raise link.build_retryable(f"the answer is none of Discord's: {answer.text}")

        return post_sparing(link, (*full, bare), check_posted)


def _ask_to_wait(url: str) -> str:
    """Ask for an answer that comes after the message was saved; without it Discord says nothing of a failure."""
    parts = urlsplit(url)
    return parts._replace(query=urlencode({**dict(parse_qsl(parts.query)), "wait": "true"})).geturl()


def _write_content(outline: Outline, *, charts: bool) -> bytes:
    content = {"embeds": render_embeds(outline, charts=charts), "allowed_mentions": {"parse": []}}
    return json.dumps(content, ensure_ascii=False).encode()


def render_embeds(outline: Outline, *, charts: bool) -> list[Embed]:
    """Render a message as at most ten embeds; ``charts`` are shown from the request's files, else as lines of characters."""
    *firsts, last = [_render_part(part, charts=charts) for part in outline.parts]
    embeds = [*firsts, last]
    if len(outline.parts) > 1:
        embeds[0]["author"] = {"name": outline.title}
    else:
        embeds[0]["title"] = cut_escaped(outline.title, TITLE_LIMIT, escape_for_discord)
    last["description"] = _join_cut(last["description"], render_rest(outline, escape_for_discord))
    last["footer"] = {"text": "\n".join(outline.remarks)[:_FOOTER_LIMIT]}
    return embeds


def _join_cut(*texts: str) -> str:
    """Join texts line by line up to Discord's limit; a line is shown whole or not at all, so that no escape is cut."""
    kept: list[str] = []
    left = _DESCRIPTION_LIMIT
    for line in "\n".join(filter(None, texts)).splitlines():
        left -= len(line) + 1
        if left < 0:
            break
        kept.append(line)
    return "\n".join(kept)


def _render_part(part: Part, *, charts: bool) -> Embed:
    has_chart = charts and part.image is not None
    title = {"title": cut_escaped(part.title, TITLE_LIMIT, escape_for_discord)} if part.title else {}
    image = {"image": {"url": f"attachment://{part.image.name}"}} if has_chart and part.image else {}
    colour = int(part.colour.removeprefix("#"), 16)
    return {"color": colour, **title, "description": _join_cut(render_part(part, escape_for_discord, with_course=not has_chart)), **image}


def count_characters(embeds: Sequence[Embed]) -> int:
    """Count what Discord limits: the characters of titles, descriptions, authors and footers."""
    return sum(len(text) for embed in embeds for text in _find_texts(embed))


def _find_texts(embed: Embed) -> Iterator[str]:
    yield from (str(embed.get(name, "")) for name in ("title", "description"))
    yield from (str(embed[name][key]) for name, key in (("author", "name"), ("footer", "text")) if name in embed)


def _build_upload(url: str, content: bytes, images: Sequence[Image]) -> Request:
    """Build a request of the type multipart/form-data: the message, then its files."""
    boundary = secrets.token_hex(16)
    parts = [('name="payload_json"', "application/json", content)]
    parts += [(f'name="files[{number}]"; filename="{image.name}"', "image/png", image.png) for number, image in enumerate(images)]
    body = b"".join(
        f"--{boundary}\r\nContent-Disposition: form-data; {names}\r\nContent-Type: {kind}\r\n\r\n".encode() + data + b"\r\n"
        for names, kind, data in parts
    )
    return Request(url, body + f"--{boundary}--\r\n".encode(), {"Content-Type": f"multipart/form-data; boundary={boundary}"})
