"""One real Chromium for all tests here, and a stage for each."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from inspect import iscoroutinefunction
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, async_playwright, expect

from .stage import Stage, stage

expect.set_options(timeout=15000)  # ms; the machine may have other things to do
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """One event loop, since a browser lives in the loop that it was started in, and a start costs a second."""
    for item in items:
        if Path(__file__).parent in item.path.parents and iscoroutinefunction(getattr(item, "obj", None)):
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)


@pytest_asyncio.fixture(loop_scope="session")
async def here() -> AsyncIterator[Stage]:
    async with stage() as found:
        yield found


@pytest_asyncio.fixture(loop_scope="session", scope="session")
async def browser() -> AsyncIterator[Browser]:
    """Names below `.test` are this machine: a page there has the rights of a plain http page from the net."""
    if CHROMIUM is None:
        pytest.skip("no Chromium")
    async with async_playwright() as playwright:
        made = await playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--host-resolver-rules=MAP *.test 127.0.0.1"]
        )
        yield made
        await made.close()
