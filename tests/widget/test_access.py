"""C18: the widget, its windows and the gateway's pages for people who do not see them or use no pointer."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.async_api import Browser, Frame, Page, expect

from gateway.types import JobStatus, Step

from . import tools
from .stage import JOB, Stage
from .test_browser import log_in, page, person, widget

__all__ = ["page"]  # a fixture

pytestmark = pytest.mark.browser
RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}


async def faults(where: Page | Frame, **options: Any) -> list[str]:
    """What axe-core finds wrong, where the policy of the page lets no foreign script in: through the debugger."""
    await where.evaluate(tools.axe() + "; 1")
    report = await where.evaluate("(options) => axe.run(document, options)", {**RULES, **options})
    assert report["passes"], "axe looked at nothing"
    return [
        f"{one['id']}: {node['html']} {node.get('failureSummary')}"
        for one in report["violations"]
        for node in one["nodes"]
    ]


def inside(page: Page) -> Frame:
    found = page.frame(url=lambda url: "/w/" in url)
    assert found is not None
    return found


# The frame is a fragment of somebody's page: it has no landmarks and no h1 of its own.
FRAGMENT = {"rules": {one: {"enabled": False} for one in ("region", "landmark-one-main", "page-has-heading-one")}}
STATES = [
    (JobStatus.EXECUTING, None),
    (JobStatus.FLOATING, Step.RESTORING),
    (JobStatus.SUSPENDED, None),
    (JobStatus.RESUMING, None),
    (JobStatus.COMPLETED, None),
    (JobStatus.FAIL_TO_COMPLETE, None),
]


@pytest.mark.parametrize("colours", ["light", "dark"])
async def test_axe_finds_nothing_in_the_widget(browser: Browser, here: Stage, colours: Any) -> None:
    async with person(browser, color_scheme=colours) as context:
        here.look = {"back": "#fff", "fore": "#222"} if colours == "light" else {"back": "#111", "fore": "#ddd"}
        page = await context.new_page()
        await page.goto(here.app)
        await expect(widget(page).locator(".label")).to_have_text("Executing")
        assert await faults(inside(page), **FRAGMENT) == []
        await widget(page).locator(".toggle").click()
        assert await faults(inside(page), **FRAGMENT) == []
        await widget(page).locator(".toggle").click()
        await log_in(page)
        for status, step in STATES:
            here.set(status, 9, step, reason="host lost")
            await expect(widget(page).locator(".dot")).not_to_have_class("dot lost")
            assert await faults(inside(page), **FRAGMENT) == [], status
        here.desk.link(False)
        await expect(widget(page).locator(".card")).to_contain_text("The OpCenter does not answer")
        assert await faults(inside(page), **FRAGMENT) == []


@pytest.mark.parametrize("colours", ["light", "dark"])
async def test_axe_finds_nothing_in_the_windows_and_the_pages(browser: Browser, here: Stage, colours: Any) -> None:
    async with person(browser, color_scheme=colours) as context:
        page = await context.new_page()
        await page.goto(f"{here.control}/login?job={JOB}")
        await expect(page.locator("input").first).to_be_visible()
        assert await faults(page) == []
        await page.goto(here.app)
        await log_in(page)
        for act in ("suspend", "cancel", "resume"):
            await page.goto(f"{here.control}/confirm?job={JOB}&act={act}")
            await expect(page.locator("dl")).to_be_visible()
            assert await faults(page) == []
        for status, step in [
            (JobStatus.FLOATING, Step.DRAINING),
            (JobStatus.SUSPENDED, None),
            (JobStatus.COMPLETED, None),
        ]:
            here.set(status, 9, step)
            page = await context.new_page()  # the one before would open itself again
            await page.goto(here.app)
            await expect(page.get_by_role("heading")).to_be_visible()
            assert await faults(page, iframes=False) == []
            await page.close()


async def test_everything_can_be_done_by_keys_alone(page: Page, here: Stage) -> None:
    """Into the widget, open the card, through what it offers, and move the job: no pointer."""
    await log_in(page)
    await widget(page).locator(".toggle").click()  # closed again, as a page begins
    await widget(page).locator(".grip").focus()
    await page.keyboard.press("Tab")
    await expect(widget(page).locator(".toggle")).to_be_focused()
    await page.keyboard.press("Enter")
    reached = []
    for _ in range(10):
        await page.keyboard.press("Tab")
        reached.append(await inside(page).evaluate("document.activeElement.dataset.key"))
    assert reached == ["migrate", "suspend", "cancel", "logout", "lt", "rt", "rb", "lb", "mini", "hide"]
    await widget(page).locator("[data-key=migrate]").focus()
    await page.keyboard.press("Enter")
    sure = widget(page).get_by_role("button", name="Move it to another host now")
    await expect(sure).to_be_focused()
    await expect(sure).not_to_have_attribute("aria-disabled", "true")
    await page.keyboard.press("Enter")
    await expect(widget(page).get_by_role("status")).to_have_text("Asked to move to another host…")
    assert here.opcenter.acts == [("alice", "migrate")]
    await page.keyboard.press("Escape")
    await expect(widget(page).locator(".toggle")).to_be_focused()


async def test_targets_are_large_enough(page: Page, here: Stage) -> None:
    """WCAG 2.2, 2.5.8: 24 px each way."""
    await log_in(page)
    sizes = await inside(page).evaluate(
        "[...document.querySelectorAll('button, a')].filter(el => el.offsetWidth)"
        ".map(el => [el.dataset.key || el.className, Math.min(el.offsetWidth, el.offsetHeight)])"
    )
    assert len(sizes) > 8
    assert [one for one in sizes if one[1] < 24] == []


async def test_who_only_hears_it_is_told_each_change_once(page: Page, here: Stage) -> None:
    """A polite status for what happens, without the seconds; an alert only for what failed."""
    voice = widget(page).get_by_role("status")
    await expect(voice).to_have_text("Executing")
    await inside(page).evaluate(
        "window.said = []; new MutationObserver(() => said.push(document.querySelector('[role=status]').textContent))"
        ".observe(document.querySelector('[role=status]'), {childList: true, characterData: true, subtree: true})"
    )
    for step in (Step.DRAINING, Step.CHECKPOINTING, Step.RESTORING):
        here.set(JobStatus.FLOATING, 4, step)
        await expect(widget(page).locator(".root")).to_have_attribute("data-tone", "warn")
    here.set(JobStatus.SUSPENDED)
    await expect(voice).to_have_text("Suspended")
    said = await inside(page).evaluate("said")
    assert said == ["The screen does not respond while the job moves.", "Suspended"]
    await expect(widget(page).get_by_role("alert")).to_have_count(0)
