"""A JupyterLab page in a real Chromium, watched: was it loaded again, did a WebSocket close?"""

from __future__ import annotations

import json
import os
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from shutil import which
from urllib.parse import parse_qs, urlsplit

import aiohttp
from playwright.async_api import Browser, Page, WebSocket, async_playwright

from tests.peers import eventually

NAME = "probe.ipynb"
READY = 90_000  # ms until a kernel answers


def chromium() -> str | None:
    """The system's Chromium."""
    return which("chromium") or which("chromium-browser") or which("google-chrome")


@asynccontextmanager
async def browser() -> AsyncIterator[Browser]:
    """A headless Chromium."""
    async with async_playwright() as playwright:
        made = await playwright.chromium.launch(
            executable_path=chromium(), args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        )
        try:
            yield made
        finally:
            await made.close()


@dataclass
class Notebook:
    """One notebook's page. `loads` counts later main-frame navigations, `closed` lists kernel sockets that ended."""

    page: Page
    loads: int = 0
    sockets: list[str] = field(default_factory=list)
    closed: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def watch(self) -> None:
        """From now on every navigation and every closed kernel socket counts."""
        self.page.on("framenavigated", self._navigated)

    def on_socket(self, socket: WebSocket) -> None:
        path = urlsplit(socket.url).path
        if "/channels" in path:
            self.sockets.append(path)
            socket.on("close", lambda _: self.closed.append(path))

    def _navigated(self, frame: object) -> None:
        if frame == self.page.main_frame:
            self.loads += 1

    async def run(self, cell: int) -> None:
        """Run a cell and leave the others alone."""
        await self.page.locator(".jp-CodeCell .cm-content").nth(cell).click()
        await self.page.keyboard.press("Control+Enter")

    async def output(self, cell: int) -> str:
        """What the cell has printed."""
        outputs = self.page.locator(".jp-CodeCell").nth(cell).locator(".jp-OutputArea-output")
        return "".join(await outputs.all_inner_texts())

    async def until(self, cell: int, words: str, timeout: float = READY) -> None:
        """Wait until the cell's output has these words."""
        output = self.page.locator(".jp-CodeCell").nth(cell).locator(".jp-OutputArea-output", has_text=words)
        await output.first.wait_for(timeout=timeout)

    async def until_done(self, cell: int) -> None:
        """Wait until the cell has run: its prompt has a number."""
        prompt = self.page.locator(".jp-CodeCell").nth(cell).locator(".jp-InputPrompt")
        await prompt.filter(has_text=re.compile(r"\[\d+\]")).wait_for(timeout=READY)

    async def dialogs(self) -> list[str]:
        """Titles of JupyterLab's modal dialogs: `Server Connection Error` is one."""
        return await self.page.locator(".jp-Dialog-header").all_inner_texts()


async def put_notebook(access_url: str, cells: list[str]) -> str:
    """Write a notebook by Jupyter's own API through the gateway; returns the URL that opens it."""
    parts = urlsplit(access_url)
    token = parse_qs(parts.query)["token"][0]
    base = f"{parts.scheme}://{parts.netloc}"
    code = [
        {"cell_type": "code", "id": f"c{at}", "metadata": {}, "source": one, "outputs": [], "execution_count": None}
        for at, one in enumerate(cells)
    ]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    content = {"nbformat": 4, "nbformat_minor": 5, "metadata": {"kernelspec": kernel}, "cells": code}
    async with aiohttp.ClientSession() as session:
        async with session.put(
            f"{base}/api/contents/{NAME}",
            data=json.dumps({"type": "notebook", "content": content}),
            headers={"Authorization": f"token {token}"},
        ) as answer:
            assert answer.status in (200, 201), await answer.text()
    return f"{base}/lab/tree/{NAME}?token={token}"


@asynccontextmanager
async def notebook(open_browser: Browser, access_url: str, cells: list[str]) -> AsyncIterator[Notebook]:
    """The notebook, open, its kernel idle."""
    url = await put_notebook(access_url, cells)
    context = await open_browser.new_context(viewport={"width": 1280, "height": 900})
    page = await context.new_page()
    made = Notebook(page)
    page.on("websocket", made.on_socket)
    page.on("pageerror", lambda error: made.errors.append(str(error)))
    await page.goto(url)
    await page.locator(".jp-CodeCell .cm-content").first.wait_for(timeout=READY)
    await eventually(lambda: bool(made.sockets), "a kernel's WebSocket", READY / 1000)
    await page.get_by_text("| Idle").wait_for(timeout=READY)
    made.watch()
    try:
        yield made
    finally:
        await context.close()


def screenshot_folder() -> Path | None:
    """Where pictures go, if `$FLOATGATE_SCREENSHOTS` names a folder."""
    named = os.environ.get("FLOATGATE_SCREENSHOTS")
    return Path(named) if named else None
