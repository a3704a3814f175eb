"""The gateway's own pages in a real Chromium: they say what happens, and open the job when it is there."""

from __future__ import annotations

import time

import pytest
from playwright.async_api import Browser, expect

from gateway.types import JobStatus, Step

from .stage import JOB, Stage
from .test_browser import FRAME, person, widget

pytestmark = pytest.mark.browser


async def test_the_waiting_page_tells_the_step_and_opens_the_job(browser: Browser, here: Stage) -> None:
    here.set(JobStatus.FLOATING, 3, Step.CHECKPOINTING)
    async with person(browser) as context:
        page = await context.new_page()
        answer = await page.goto(here.app)
        assert answer is not None
        assert (answer.status, answer.headers["retry-after"]) == (503, "2")
        await expect(page.get_by_role("heading")).to_have_text("The job is moving to another host")
        await expect(page.locator("[data-step]")).to_have_text("Saving the work")
        here.set(JobStatus.FLOATING, 5, Step.RESTORING)
        await expect(page.locator("[data-step]")).to_have_text("Bringing it back to life")
        await expect(page.locator("[data-elapsed]")).to_contain_text("usually 23 s")
        await expect(widget(page).locator(".label")).to_have_text("Floating")
        await expect(widget(page).locator(".card")).to_be_hidden()
        await page.reload()
        here.set(JobStatus.FLOATING, 9, Step.RESTORING)
        await expect(widget(page).locator(".label")).to_have_text("Floating")
        await expect(widget(page).locator(".card")).to_be_hidden()  # the page tells it all
        here.set(JobStatus.EXECUTING)
        await expect(page.locator("#cell")).to_be_visible(timeout=8000)


async def test_it_keeps_the_address_with_its_fragment(browser: Browser, here: Stage) -> None:
    here.set(JobStatus.STARTING)
    async with person(browser) as context:
        page = await context.new_page()
        await page.goto(f"{here.app}/?a=1#here")
        await expect(page.get_by_role("heading")).to_have_text("The job is starting")
        here.set(JobStatus.EXECUTING)
        await expect(page.locator("#cell")).to_be_visible(timeout=8000)
        assert page.url == f"{here.app}/?a=1#here"


async def test_it_asks_no_more_than_once_a_second(browser: Browser, here: Stage) -> None:
    here.set(JobStatus.STARTING)
    async with person(browser) as context:
        page = await context.new_page()
        await page.clock.install()
        await page.goto(here.app)
        await expect(page.locator("[data-elapsed]")).to_contain_text(":")
        asked = here.state_polls
        await page.clock.run_for(60_000)
        await expect(page.locator("[data-elapsed]")).to_contain_text(":")
        assert here.state_polls - asked <= 30


async def test_a_gateway_that_cannot_make_up_its_mind_is_not_hammered(browser: Browser, here: Stage) -> None:
    """The state says open, the page still waits: each vain try makes the next one later."""
    here.set(JobStatus.STARTING)
    says_open = {"status": "Executing", "step": None, "since": 0, "now": 0, "gate": "open", "open": True}
    async with person(browser) as context:
        page = await context.new_page()
        await page.route("**/.gw/state", lambda route: route.fulfill(json=says_open))
        moments = []
        await page.goto(here.app)
        for _ in range(3):
            await page.wait_for_event("domcontentloaded")
            moments.append(time.monotonic())
        assert moments[1] - moments[0] > 1.5
        assert moments[2] - moments[1] > 3


async def test_a_suspended_job_is_resumed_from_its_page(browser: Browser, here: Stage) -> None:
    here.set(JobStatus.SUSPENDED, reason="user")
    async with person(browser) as context:
        page = await context.new_page()
        await page.goto(here.app)
        async with context.expect_page() as opening:
            await page.get_by_role("link", name="Resume…").click()
        window = await opening.value
        assert window.url == f"{here.control}/confirm?job={JOB}&act=resume"
        await window.get_by_label("User name").fill("alice")
        await window.get_by_label("Password").press_sequentially("wonderland")
        await window.keyboard.press("Enter")
        await expect(window.get_by_role("heading")).to_have_text("Resume this job?")
        await window.mouse.move(10, 10)
        await window.mouse.move(20, 20)
        async with window.expect_event("close"):
            await window.get_by_role("button", name="Resume").click()
        assert here.opcenter.acts == [("alice", "resume")]
        here.set(JobStatus.RESUMING)
        await expect(page.get_by_role("heading")).to_have_text("The job is coming back")
        here.set(JobStatus.EXECUTING)
        await expect(page.locator("#cell")).to_be_visible(timeout=8000)


async def test_an_ended_job_says_why_and_asks_nothing(browser: Browser, here: Stage) -> None:
    here.set(JobStatus.FAIL_TO_COMPLETE, reason="host lost")
    async with person(browser, locale="de-DE") as context:
        page = await context.new_page()
        await page.goto(here.app)
        await expect(page.get_by_role("heading")).to_have_text("Der Job ist gescheitert")
        await expect(page.locator("main")).to_contain_text("Grund: sein Host ist ausgefallen")
        await expect(page.locator(FRAME)).to_have_count(1)
