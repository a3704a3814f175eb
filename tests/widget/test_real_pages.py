"""The widget in pages that others made: JupyterLab, the classic notebook, pages like RStudio's, Shiny.

Pictures of them are in `build/widget`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web
from playwright.async_api import Browser, Page, expect

from gateway.types import GateState, JobStatus

from . import rstudio
from .real import TOKEN, Place, jupyter, placed, shiny
from .test_browser import FRAME, person, widget
from .test_pictures import HOME

pytestmark = pytest.mark.browser
# Which controls of the page lie beneath the pill: none may.
BENEATH = f"""() => {{
  const frame = document.querySelector('{FRAME}'), box = frame.getBoundingClientRect(), found = new Set();
  for (let x = box.left + 1; x < box.right; x += 4)
    for (const el of document.elementsFromPoint(x, box.top + box.height / 2))
      if (el !== frame && el.closest('a,button,input,select,textarea,[role=button],[role=menuitem],[role=tab]'))
        found.add(el.outerHTML.slice(0, 80));
  return [...found];
}}"""


async def stands_well(page: Page, name: str) -> None:
    """The widget is there once, says the state, covers no control; a picture of it."""
    await expect(widget(page).locator(".label")).to_have_text("Executing")
    await expect(page.locator(FRAME)).to_have_count(1)
    await expect(page.locator(FRAME)).to_be_visible()
    await page.wait_for_function(f"() => ({BENEATH})().length === 0")
    HOME.mkdir(parents=True, exist_ok=True)
    await page.screenshot(path=HOME / f"real-{name}.png")


@pytest_asyncio.fixture(loop_scope="session", scope="module")
async def lab(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Place]:
    async with jupyter(tmp_path_factory.mktemp("jupyter")) as port, placed(port) as place:
        yield place


async def test_jupyterlab_with_a_notebook_a_terminal_and_a_second_tab(browser: Browser, lab: Place) -> None:
    async with person(browser) as context:
        page = await context.new_page()
        await page.goto(f"{lab.url}/login")
        await stands_well(page, "lab-login")
        await page.goto(f"{lab.url}/lab?token={TOKEN}&reset")
        await page.locator(".jp-LauncherCard").first.wait_for()
        await stands_well(page, "lab-launcher")
        await page.locator(".jp-LauncherCard[data-category=Notebook]").first.click()
        cell = page.locator(".jp-Notebook .cm-content").first
        await expect(page.locator(".jp-StatusBar-Widget")).to_contain_text("Idle", timeout=60_000)  # it has its kernel
        await cell.click()
        await page.keyboard.type("6 * 7")
        await expect(cell).to_have_text("6 * 7")
        await page.keyboard.press("Shift+Enter")
        await expect(page.locator(".jp-OutputArea-output").first).to_contain_text("42", timeout=60_000)
        await stands_well(page, "lab-notebook")
        # Keys that mean much to a notebook stay in the widget's frame.
        cells = await page.locator(".jp-Cell").count()
        await page.keyboard.press("Escape")
        await widget(page).locator(".grip").focus()
        for key in ("a", "b", "d", "d", "x"):
            await page.keyboard.press(key)
        assert await page.locator(".jp-Cell").count() == cells
        await page.evaluate("() => fetch('/api/terminals', {method: 'POST', headers: {'X-XSRFToken':"
            " document.cookie.match(/_xsrf=([^;]+)/)[1]}})")  # fmt: skip
        second = await context.new_page()
        await second.goto(f"{lab.url}/lab/workspaces/two?reset")
        await second.locator(".jp-LauncherCard[data-category=Other]").first.click()
        await expect(second.locator(".jp-Terminal")).to_be_visible(timeout=30_000)
        await stands_well(second, "lab-terminal")


async def test_a_file_of_a_notebook_s_folder_gets_no_widget(browser: Browser, lab: Place) -> None:
    """Jupyter serves such files in a sandbox: a script of ours would have no origin there."""
    async with person(browser) as context:
        page = await context.new_page()
        await page.goto(f"{lab.url}/files/page.html?token={TOKEN}")
        await expect(page.locator("p")).to_have_text("a file of the notebook's folder")
        assert await page.locator("script").count() == 0


async def test_the_classic_notebook(browser: Browser, lab: Place) -> None:
    async with person(browser) as context:
        page = await context.new_page()
        await page.goto(f"{lab.url}/tree?token={TOKEN}")
        await expect(page.locator("#notebook_list")).to_be_visible()
        await stands_well(page, "classic-tree")
        await page.evaluate("() => fetch('/api/contents/', {method: 'POST', headers: {'X-XSRFToken':"
            " document.cookie.match(/_xsrf=([^;]+)/)[1], 'Content-Type': 'application/json'},"
            " body: JSON.stringify({type: 'notebook'})})")  # fmt: skip
        await page.goto(f"{lab.url}/notebooks/Untitled.ipynb")
        await expect(page.locator("#notebook-container .cell").first).to_be_visible(timeout=30_000)
        await stands_well(page, "classic-notebook")


@asynccontextmanager
async def like_rstudio(**options: Any) -> AsyncIterator[Place]:
    runner = web.AppRunner(rstudio.app(**options), shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        async with placed(runner.addresses[0][1]) as place:
            yield place
    finally:
        await runner.cleanup()


async def sign_in(page: Page, place: Place) -> None:
    await page.goto(place.url)
    await page.locator("#username").fill("rstudio")
    await page.get_by_role("button", name="Sign In").click()
    await expect(page.locator("#console")).to_be_visible()


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
async def test_pages_like_rstudio_s(browser: Browser, dark: bool) -> None:
    """X-Frame-Options DENY stays, frames and satellites get no widget, the window hears no message of ours."""
    async with like_rstudio(dark=dark) as place, person(browser) as context:
        page = await context.new_page()
        await sign_in(page, place)
        await stands_well(page, "rstudio-dark" if dark else "rstudio")
        assert (await page.locator(FRAME).bounding_box() or {})["y"] == 1, "beside the menus"
        await expect(widget(page).locator(".root")).to_have_class("root dark" if dark else "root light")
        for name in ("help", "viewer"):
            frame = page.frame(name)
            assert frame is not None
            await expect(frame.locator("body")).to_have_text("a piece of the IDE")
            assert await frame.locator(FRAME).count() == 0
        await page.locator("#console").focus()
        await widget(page).locator(".toggle").focus()
        await page.keyboard.press("q")
        assert await page.evaluate("[heard, keys]") == [[], []]
        async with context.expect_page() as opening:
            await page.evaluate("open('/?view=source_window', '_rstudio_satellite_source_window')")
        satellite = await opening.value
        await expect(satellite.locator("#console")).to_be_visible()
        assert await satellite.locator(FRAME).count() == 0


async def test_a_sign_in_page_that_polls_is_not_told_that_somebody_signed_in(browser: Browser) -> None:
    """RStudio's takes any 200 for that. While a job is suspended such questions wait; then its own server answers."""
    async with like_rstudio() as place, person(browser) as context:
        page = await context.new_page()
        await page.goto(place.url)
        await stands_well(page, "rstudio-sign-in")
        place.say(JobStatus.SUSPENDED, GateState.SUSPENDED)
        await expect(widget(page).locator(".label")).to_have_text("Suspended")
        asked, polls = await page.evaluate("[asked, polls]")
        await page.wait_for_function(f"asked > {asked + 3}")
        assert await page.evaluate("polls") <= polls + 1
        await expect(page).to_have_title("RStudio Sign In")
        place.say(JobStatus.EXECUTING, GateState.OPEN)
        await page.wait_for_function(f"polls > {polls + 3}")
        await expect(page).to_have_title("RStudio Sign In")


async def test_two_jobs_of_one_host_stay_signed_in(browser: Browser) -> None:
    """C8: both servers call their cookie the same, and browsers keep cookies by host, whatever the port is."""
    one: list[str] = []
    other: list[str] = []
    async with like_rstudio(name="one", seen=one) as first, like_rstudio(name="other", seen=other) as second:
        async with person(browser) as context:
            pages = [await context.new_page(), await context.new_page()]
            await sign_in(pages[0], first)
            await sign_in(pages[1], second)
            for page in pages:
                await page.reload()
                await expect(page.locator("#console")).to_be_visible()
                await expect(widget(page).locator(".label")).to_have_text("Executing")
    assert "signed-by-one" in " ".join(one)
    assert "signed-by-other" in " ".join(other)
    assert "signed-by-other" not in " ".join(one)
    assert "signed-by-one" not in " ".join(other)


async def test_shiny(browser: Browser, tmp_path: Path) -> None:
    async with shiny(tmp_path) as port, placed(port) as place, person(browser) as context:
        page = await context.new_page()
        await page.goto(place.url)
        await expect(page.locator("#said")).to_have_text("bins: 30", timeout=30_000)
        await stands_well(page, "shiny")
