"""The console in a real Chromium, before a real OpCenter with the scripted engine."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from inspect import iscoroutinefunction
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, expect

from tests.opcenter.conftest import World, quiet
from tests.opcenter.peers import Server
from tests.widget.conftest import browser

expect.set_options(timeout=15000)  # ms; the machine may have other things to do

__all__ = ["browser", "quiet"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """One event loop for all, the browser's."""
    for item in items:
        if Path(__file__).parent in item.path.parents and iscoroutinefunction(getattr(item, "obj", None)):
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)


@pytest_asyncio.fixture(loop_scope="session")
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """An OpCenter runs."""
    async with AsyncExitStack() as stack, Server() as server:
        made = World(tmp_path / "home", server, stack)
        try:
            await made.start()
            yield made
        finally:
            await made.stop()
            await made.engine.shut()


@pytest_asyncio.fixture(loop_scope="session")
async def page(browser: Browser, world: World) -> AsyncIterator[Page]:
    """Logged in; nothing in the browser's console by the end."""
    assert world.center is not None and world.center.opened is not None
    context = await browser.new_context(viewport={"width": 1360, "height": 860})
    opened = await context.new_page()
    troubles: list[str] = []
    opened.on("response", lambda answer: print(answer.status, answer.url) if answer.status >= 400 else None)
    opened.on("requestfailed", lambda request: print(request.failure, request.url))
    opened.on("pageerror", lambda error: troubles.append(str(error)))
    opened.on("console", lambda line: troubles.append(line.text) if line.type == "error" else None)
    await opened.goto(world.center.opened.address)
    await opened.get_by_label("User name").fill("admin")
    await opened.get_by_label("Password").fill(world.password)
    await opened.keyboard.press("Enter")
    await opened.get_by_role("heading", name="Jobs").wait_for()
    yield opened
    await context.close()
    assert not [one for one in troubles if "Failed to load resource" not in one]
