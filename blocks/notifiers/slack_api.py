"""Slack's Web API, as far as a bot needs it to post messages with charts in their threads."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

from anomflow.errors import DeliveryError
from anomflow.slack_text import escape
from anomflow.wording import clean_text
from blocks.notifiers.http import HttpLink, Request, check_status
from blocks.notifiers.slack_answers import LayoutRefusedError, read_api_answer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from anomflow.letters import Image

JSON: Final = "application/json; charset=utf-8"
_TOLD_LIMIT: Final = 100
FORM: Final = "application/x-www-form-urlencoded"


@dataclass(frozen=True)
class SlackApi:
    """Slack's methods under ``base_url``, called with a bot's token over one link."""

    link: HttpLink
    base_url: str
    token: str = field(repr=False)

    def test_token(self) -> str:
        """Return the bot and the workspace that the token belongs to (``auth.test``). Raises as ``post`` does."""
        told = self._call("auth.test", b"", FORM)
        return clean_text(f"{told.get('user', 'a bot')} of {told.get('team', 'its workspace')}", _TOLD_LIMIT)

    def post(self, content: Mapping[str, Any]) -> dict[str, Any]:
        """Post a message (``chat.postMessage``) and return what Slack says of it, ``channel`` (its id) and ``ts`` among it.

        Raises RetryableDeliveryError, RefusedDeliveryError, and LayoutRefusedError where plain text may pass.
        """
        return self._call("chat.postMessage", json.dumps(content).encode(), JSON)

    def upload_charts(self, posted: Mapping[str, Any], images: Sequence[Image]) -> str | None:
        """Put charts into the thread of a posted message; return which are missing there, and why, or None."""
        failures: dict[str, str] = {}
        uploaded: list[dict[str, str]] = []
        for image in images:
            try:
                uploaded.append({"id": self._upload(image), "title": escape(clean_text(image.title))})
            except (DeliveryError, LayoutRefusedError) as error:
                failures[image.name] = str(error)
        try:
            self._share(posted, uploaded)
        except (DeliveryError, LayoutRefusedError) as error:
            failures |= dict.fromkeys((image.name for image in images), str(error))
        reasons = "; ".join(dict.fromkeys(failures.values()))
        return f"accepted, but without {len(failures)} of {len(images)} charts: {reasons}" if failures else None

    def _upload(self, image: Image) -> str:
        method = "files.getUploadURLExternal"
        asked = {"filename": image.name, "length": len(image.png), "alt_txt": clean_text(f"Chart of {image.title}")}
        given = self._call(method, urlencode(asked).encode(), FORM)
        try:
            url, file_id = str(given["upload_url"]), str(given["file_id"])
        except KeyError as error:
            raise self.link.build_retryable(f"{method} answers without {error}") from None
        # The address was made for this file; it is called without the token.
        answer = self.link.post(Request(url, image.png, {"Content-Type": "application/octet-stream"}))
        check_status(self.link, answer, "The chart was not taken.")
        return file_id

    def _share(self, posted: Mapping[str, Any], uploaded: Sequence[Mapping[str, str]]) -> None:
        if uploaded:
            content = {"files": uploaded, "channel_id": posted.get("channel"), "thread_ts": posted.get("ts")}
            self._call("files.completeUploadExternal", json.dumps(content).encode(), JSON)

    def _call(self, method: str, content: bytes, content_type: str) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": content_type}
        answer = self.link.post(Request(f"{self.base_url.rstrip('/')}/{method}", content, headers))
        return read_api_answer(self.link, method, answer)
