"""A real Chromium, and the stage."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Browser, async_playwright

from .stage import Stage, stage

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")


@pytest.fixture
async def here() -> AsyncIterator[Stage]:
    async with stage() as found:
        yield found


@pytest.fixture
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
