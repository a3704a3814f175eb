"""A picture of every state and every page, light and dark, for people to look at: in `build/widget`.

No two may be alike: a state without a face of its own would be found here.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, Page, expect

from gateway.errors import Outcome
from gateway.types import JobStatus, Step

from .stage import JOB, Stage
from .test_browser import FRAME, log_in, person, widget

pytestmark = pytest.mark.browser
HOME = Path(__file__).parent.parent.parent / "build" / "widget"
STATES: list[tuple[str, JobStatus, Step | None]] = [
    ("starting", JobStatus.STARTING, None),
    ("executing", JobStatus.EXECUTING, None),
    *((f"floating-{step.value}", JobStatus.FLOATING, step) for step in Step),
    ("suspending", JobStatus.SUSPENDING, None),
    ("suspended", JobStatus.SUSPENDED, None),
    ("resuming", JobStatus.RESUMING, None),
    ("completed", JobStatus.COMPLETED, None),
    ("cancelled", JobStatus.CANCELLED, None),
    ("failed", JobStatus.FAIL_TO_COMPLETE, None),
    ("unknown", JobStatus.UNKNOWN, None),
]
PAGES = [
    ("waiting", JobStatus.FLOATING),
    ("page-starting", JobStatus.STARTING),
    ("page-suspended", JobStatus.SUSPENDED),
    ("page-ended", JobStatus.COMPLETED),
    ("page-failed", JobStatus.FAIL_TO_COMPLETE),
]


class Album:
    """The pictures of one run in one palette."""

    def __init__(self, colours: str) -> None:
        self.colours = colours
        self.taken: dict[str, str] = {}
        HOME.mkdir(parents=True, exist_ok=True)

    async def take(self, page: Page, name: str, **options: Any) -> None:
        data = await page.screenshot(path=HOME / f"{name}-{self.colours}.png", animations="disabled", **options)
        self.taken[name] = hashlib.sha256(data).hexdigest()

    async def take_widget(self, page: Page, name: str) -> None:
        """What stands around the open card."""
        await page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
        await self.take(page, name, clip={"x": 640, "y": 0, "width": 400, "height": 420})


@pytest.mark.parametrize("colours", ["light", "dark"])
async def test_every_state_has_a_face_of_its_own(browser: Browser, here: Stage, colours: Any) -> None:
    here.look = {"back": "#fff", "fore": "#222"} if colours == "light" else {"back": "#15191e", "fore": "#ddd"}
    album = Album(colours)
    async with person(browser, color_scheme=colours) as context:
        page = await context.new_page()
        await page.goto(here.app)
        await expect(widget(page).locator(".label")).to_have_text("Executing")
        await album.take(page, "pill", clip={"x": 640, "y": 0, "width": 400, "height": 60})
        await widget(page).locator(".toggle").click()
        await album.take_widget(page, "not-logged-in")
        await widget(page).locator(".toggle").click()
        await log_in(page, "bob", "builder")
        await album.take_widget(page, "no-rights")
        await widget(page).get_by_role("button", name="Log out").click()
        await widget(page).locator(".toggle").click()
        await log_in(page)
        await expect(widget(page).get_by_role("button", name="Log out")).not_to_have_attribute("aria-disabled", "true")
        for name, status, step in STATES:
            here.set(status, 9, step, reason="host lost" if status is JobStatus.FAIL_TO_COMPLETE else "")
            label = "Failed" if name == "failed" else "State unknown" if name == "unknown" else status
            await expect(widget(page).locator(".label")).to_have_text(label)
            if step is not None:
                await expect(widget(page).locator(".steps .done")).to_have_count(list(Step).index(step))
            if status is JobStatus.SUSPENDED:  # its button works when it has been in sight for a while
                resume = widget(page).get_by_role("button", name="Resume")
                await expect(resume).not_to_have_attribute("aria-disabled", "true")
            await album.take_widget(page, name)
        here.set(JobStatus.EXECUTING, 100)
        await widget(page).get_by_role("button", name="Migrate").click()
        sure = widget(page).get_by_role("button", name="Move it to another host now")
        await expect(sure).not_to_have_attribute("aria-disabled", "true")
        await album.take_widget(page, "asking")
        await sure.click()
        await expect(widget(page).locator(".card")).to_contain_text("Asked to move")
        await album.take_widget(page, "asked")
        here.set(JobStatus.FLOATING, 6, Step.RESTORING)
        await expect(widget(page).locator(".alert")).to_be_visible()
        here.set(JobStatus.EXECUTING)
        await expect(widget(page).locator(".label")).to_contain_text("Moved to host-2")
        await album.take_widget(page, "moved")
        here.desk.link(False)
        await expect(widget(page).locator(".card")).to_contain_text("The OpCenter does not answer")
        await album.take_widget(page, "no-opcenter")
        await here.stop_control()
        await expect(widget(page).locator(".label")).to_have_text("The gateway does not answer")
        await album.take_widget(page, "no-gateway")
    assert len(set(album.taken.values())) == len(album.taken)


@pytest.mark.parametrize("colours", ["light", "dark"])
async def test_every_page_has_a_face_of_its_own(browser: Browser, here: Stage, colours: Any) -> None:
    album = Album(colours)
    async with person(browser, color_scheme=colours) as context:
        for name, status in PAGES:
            here.set(status, 9, Step.TRANSFERRING if status is JobStatus.FLOATING else None, reason="host lost")
            page = await context.new_page()
            await page.goto(here.app)
            await expect(page.get_by_role("heading")).to_be_visible()
            await expect(page.locator(FRAME)).to_be_visible()
            await album.take(page, name)
            await page.close()
        here.set(JobStatus.EXECUTING)
        for here.outcome in (Outcome.REFUSED, Outcome.HOLD_FULL, Outcome.UNREACHABLE, Outcome.UNEXPECTED):
            page = await context.new_page()
            answer = await page.goto(here.app)
            assert answer is not None
            assert answer.status == here.outcome.status
            await expect(page.get_by_role("heading")).to_be_visible()
            with_widget = here.outcome is not Outcome.REFUSED  # who is refused learns nothing of the job
            await expect(page.locator(FRAME)).to_have_count(int(with_widget))
            if with_widget:
                await expect(page.locator(FRAME)).to_be_visible()
            await album.take(page, f"page-{here.outcome.name.lower()}")
            await page.close()
        here.outcome = None
        page = await context.new_page()
        await page.goto(f"{here.control}/login?job={JOB}")
        await expect(page.locator("input").first).to_be_visible()
        await album.take(page, "window-login")
        await page.goto(here.app)
        await log_in(page)
        for act in ("suspend", "cancel"):
            await page.goto(f"{here.control}/confirm?job={JOB}&act={act}")
            await expect(page.locator("dl")).to_be_visible()
            await album.take(page, f"window-{act}")
    assert len(set(album.taken.values())) == len(album.taken)
