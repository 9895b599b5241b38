"""A headless Chromium that opens a page and tells what is in it."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import httpx
from websockets.sync.client import ClientConnection, connect

from tests.services.deployed import wait_for

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
# An own profile: nothing of a user's is read or kept.
OPTIONS = ("--headless", "--no-sandbox", "--disable-gpu", "--window-size=1400,1400", "--remote-debugging-port=0")


@dataclass
class Page:
    """A tab, driven by Chromium's debugging protocol."""

    connection: ClientConnection
    numbers: Iterator[int] = field(default_factory=lambda: count(1))

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        number = next(self.numbers)
        self.connection.send(json.dumps({"id": number, "method": method, "params": parameters}))
        while (answer := json.loads(self.connection.recv(300))).get("id") != number:
            pass  # an event
        assert "error" not in answer, answer
        result: dict[str, Any] = answer["result"]
        return result

    def open(self, url: str) -> None:
        self.call("Page.navigate", url=url)

    def evaluate(self, expression: str) -> Any:
        return self.call("Runtime.evaluate", expression=expression, returnByValue=True)["result"].get("value")

    def find_still(self, expression: str, log: Path) -> dict[str, float]:
        """Return the place of something, once it is there and stays where it is while the page is built."""
        places: list[Any] = [None]

        def find() -> bool:
            places.append(self.evaluate(expression))
            return places[-1] is not None and places[-3:] == [places[-1]] * 3

        wait_for(find, 300, log)
        found: dict[str, float] = places[-1]
        return found

    def take_picture(self, place: dict[str, float]) -> bytes:
        """Return a PNG of a rectangle of the page."""
        shot = self.call("Page.captureScreenshot", clip={**place, "scale": 1})
        return base64.b64decode(shot["data"])


@contextmanager
def open_page(folder: Path) -> Iterator[Page]:
    """Start a browser with an empty page; it is ended by its id."""
    program = next(found for name in PROGRAMS if (found := shutil.which(name)))
    profile, log = folder / "profile", folder / "browser.log"
    with log.open("wb") as output:
        process = subprocess.Popen([program, *OPTIONS, f"--user-data-dir={profile}", "about:blank"], stdout=output, stderr=output)
    try:
        told = profile / "DevToolsActivePort"
        port = wait_for(lambda: told.is_file() and told.read_text().split("\n")[0], 300, log)
        pages = wait_for(
            lambda: [page for page in httpx.get(f"http://127.0.0.1:{port}/json/list", timeout=60).json() if page["type"] == "page"],
            300,
            log,
        )
        with connect(pages[0]["webSocketDebuggerUrl"], max_size=None, open_timeout=300) as connection:
            yield Page(connection)
    finally:
        process.terminate()
        process.wait(150)
