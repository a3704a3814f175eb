"""A Firefox, spoken to in WebDriver BiDi over its own WebSocket: no driver, nothing to install but the browser.

https://www.w3.org/TR/webdriver-bidi/ has the words.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import re
import signal
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

PATIENCE = 60.0  # seconds for a start: the first one makes a profile
POLL = 0.1

_PREFERENCES = """user_pref("browser.shell.checkDefaultBrowser", false);
user_pref("browser.aboutwelcome.enabled", false);
user_pref("datareporting.policy.dataSubmissionEnabled", false);
user_pref("app.update.enabled", false);
user_pref("network.captive-portal-service.enabled", false);
user_pref("network.connectivity-service.enabled", false);
user_pref("services.settings.server", "");
user_pref("remote.active-protocols", 1);
"""


class Tab:
    """One tab. Scripts are expressions; what they are awaited for is a JSON value."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._numbers = itertools.count(1)
        self.context = ""

    async def call(self, method: str, **params: Any) -> Any:
        """A command and its result. Raises RuntimeError with Firefox's words."""
        number = next(self._numbers)
        await self._socket.send_json({"id": number, "method": method, "params": params})
        async with asyncio.timeout(PATIENCE):
            while True:
                answer = await self._socket.receive_json()
                if answer.get("id") == number:
                    break
        if answer["type"] == "error":
            raise RuntimeError(f"{method}: {answer['message']}")
        return answer["result"]

    async def goto(self, url: str) -> None:
        await self.call("browsingContext.navigate", context=self.context, url=url, wait="complete")

    async def frame(self) -> str:
        """The context of the widget's frame, as soon as there is one."""
        async with asyncio.timeout(PATIENCE):
            while True:
                tree = await self.call("browsingContext.getTree", root=self.context)
                for one in tree["contexts"][0]["children"] or ():
                    if "/w/" in one["url"]:
                        return str(one["context"])
                await asyncio.sleep(POLL)

    async def value(self, expression: str, context: str = "") -> Any:
        """What a page, or its frame, says to an expression."""
        result = await self.call(
            "script.evaluate",
            expression=f"(async () => JSON.stringify(await ({expression})) ?? 'null')()",
            target={"context": context or self.context},
            awaitPromise=True,
        )
        if result["type"] == "exception":
            raise RuntimeError(result["exceptionDetails"]["text"])
        return json.loads(result["result"]["value"])

    async def until(self, expression: str, context: str = "") -> None:
        """Wait until an expression is true."""
        async with asyncio.timeout(PATIENCE):
            while not await self.value(expression, context):  # noqa: ASYNC110  a page has no event for us
                await asyncio.sleep(POLL)

    async def drag(self, *points: tuple[float, float]) -> None:
        """The mouse goes from the first point to the others with its button down."""
        moves = [{"type": "pointerMove", "x": int(x), "y": int(y), "duration": 20} for x, y in points]
        actions = [moves[0], {"type": "pointerDown", "button": 0}, *moves[1:], {"type": "pointerUp", "button": 0}]
        mouse = {"type": "pointer", "id": "mouse", "parameters": {"pointerType": "mouse"}, "actions": actions}
        await self.call("input.performActions", context=self.context, actions=[mouse])


@asynccontextmanager
async def firefox(program: str) -> AsyncIterator[Tab]:
    """A headless one with a profile of its own; gone at the end, with its children."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        with open(f"{profile}/user.js", "w", encoding="utf-8") as file:  # noqa: ASYNC230, PTH123
            file.write(_PREFERENCES)
        process = await asyncio.create_subprocess_exec(
            program, "--headless", "--no-remote", "--profile", profile, "--remote-debugging-port", "0", "about:blank",
            stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE, start_new_session=True,
            env={**os.environ, "HOME": profile, "MOZ_HEADLESS_WIDTH": "1280", "MOZ_HEADLESS_HEIGHT": "800"},
        )  # fmt: skip
        drain = None
        try:
            async with asyncio.timeout(PATIENCE):
                address = await _address(process)
            assert process.stderr is not None
            drain = asyncio.create_task(process.stderr.read())
            async with aiohttp.ClientSession() as http, http.ws_connect(f"{address}/session", max_msg_size=0) as socket:
                tab = Tab(socket)
                await tab.call("session.new", capabilities={})
                tab.context = (await tab.call("browsingContext.getTree"))["contexts"][0]["context"]
                yield tab
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
            if drain is not None:
                await drain


async def _address(process: asyncio.subprocess.Process) -> str:
    assert process.stderr is not None
    said = ""
    async for line in process.stderr:
        said += line.decode(errors="replace")
        if found := re.search(r"WebDriver BiDi listening on (ws://\S+)", said):
            return found[1]
    raise RuntimeError(said)
