"""How the widget behaves to a person: it says what is so, nothing slides under the pointer, it goes out of the way."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.async_api import Browser, Page, expect

from gateway.types import JobStatus, Step

from .stage import JOB, Stage, stage
from .test_browser import FRAME, box, log_in, page, person, widget

__all__ = ["page"]  # a fixture

pytestmark = pytest.mark.browser


async def where(page: Page, act: str) -> tuple[float, float]:
    """Where a button of the card stands in the window."""
    found = await widget(page).locator(f".acts [data-key={act}]:visible").bounding_box()
    assert found is not None
    return found["x"], found["y"]


async def migrate(page: Page) -> None:
    await widget(page).get_by_role("button", name="Migrate").click()
    sure = widget(page).get_by_role("button", name="Move it to another host now")
    await expect(sure).not_to_have_attribute("aria-disabled", "true")
    await sure.click()


async def test_a_move_that_was_asked_for_is_told_from_the_first_moment(page: Page, here: Stage) -> None:
    """The open card is never quiet, and never says what is not so."""
    await log_in(page)
    card, label = widget(page).locator(".card"), widget(page).locator(".label")
    await migrate(page)
    await expect(card).to_contain_text("Asked to move to another host…")
    await expect(widget(page).get_by_role("button", name="Migrate")).to_have_attribute("aria-disabled", "true")
    assert here.opcenter.acts == [("alice", "migrate")]
    here.opcenter.host = ""
    here.set(JobStatus.FLOATING, -30, Step.DRAINING)  # a clock that never reaches two seconds in this test
    await expect(label).to_have_text("Floating")
    await expect(card).to_contain_text("The screen does not respond while the job moves.")
    await expect(card).to_contain_text("Between two hosts")
    await expect(card).not_to_contain_text("No host at the moment")
    here.opcenter.host = "host-7 (2Core4GB/Spot)"
    here.set(JobStatus.EXECUTING)
    await expect(label).to_have_text(re.compile(r"Moved to host-7 in \d+ s"))
    await expect(label).to_have_text("Executing")
    await expect(card).not_to_contain_text("Asked to move")


async def test_what_a_window_asked_for_is_told_in_the_page(page: Page, here: Stage) -> None:
    await log_in(page)
    async with page.context.expect_page() as opening:
        await widget(page).get_by_role("link", name="Suspend…").click()
    window = await opening.value
    await expect(window.get_by_role("button", name="Suspend")).to_be_visible()
    await window.mouse.move(100, 100)
    async with window.expect_event("close"):
        await window.get_by_role("button", name="Suspend").click()
    await expect(widget(page).locator(".card")).to_contain_text("Asked to be suspended…")
    here.set(JobStatus.SUSPENDED)
    await expect(widget(page).locator(".card")).not_to_contain_text("Asked")


async def test_an_act_that_is_refused_is_not_told_as_asked(page: Page, here: Stage) -> None:
    await log_in(page)
    here.opcenter.refusal = (409, 1003, "No host fits.")
    await migrate(page)
    await expect(widget(page).get_by_role("alert")).to_have_text("No host fits.")
    await expect(widget(page).locator(".card")).not_to_contain_text("Asked")
    await expect(widget(page).get_by_role("button", name="Migrate")).not_to_have_attribute("aria-disabled", "true")


async def test_a_question_that_could_not_be_loaded_is_asked_at_the_next_click(page: Page, here: Stage) -> None:
    """Its script comes with the first question; the gateway may be away just then."""
    await log_in(page)
    await page.context.route("**/question.js*", lambda route: route.abort())
    await widget(page).get_by_role("button", name="Migrate").click()
    await expect(widget(page).get_by_role("alert")).to_have_text("The gateway does not answer.")
    await page.context.unroute("**/question.js*")
    await migrate(page)
    await expect(widget(page).locator(".card")).to_contain_text("Asked to move to another host…")
    assert here.opcenter.acts == [("alice", "migrate")]


@pytest.mark.parametrize("corner", ["rt", "rb"])
async def test_no_button_slides_under_the_pointer(page: Page, here: Stage, corner: str) -> None:
    """Through a whole move, with news above or below: what is clicked is what was aimed at."""
    await log_in(page)
    await widget(page).locator(f"[data-key={corner}]").click()
    await expect(widget(page).locator(".root.up")).to_have_count(int(corner == "rb"))
    cancel, first = await where(page, "cancel"), await where(page, "migrate")
    for status, step in [
        (JobStatus.FLOATING, Step.DRAINING), (JobStatus.FLOATING, Step.RESTORING), (JobStatus.EXECUTING, None),
        (JobStatus.SUSPENDING, None), (JobStatus.SUSPENDED, None), (JobStatus.RESUMING, None),
    ]:  # fmt: skip
        here.set(status, 3, step)
        here.desk.link(step is None)  # and the news about the OpCenter come and go
        await expect(widget(page).locator(".label")).to_have_text(re.compile(f"{status}|Moved"))
        await page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
        resumable = status in (JobStatus.SUSPENDED, JobStatus.RESUMING)
        assert await where(page, "cancel") == pytest.approx(cancel, abs=1)
        assert await where(page, "resume" if resumable else "migrate") == pytest.approx(first, abs=1)


async def test_the_open_card_covers_nothing_of_the_gateway_s_own_pages(browser: Browser, here: Stage) -> None:
    """Wherever a person put the widget in the job's page, and however narrow the window is."""
    async with person(browser) as context:
        page = await context.new_page()
        await page.goto(here.app)
        await widget(page).locator(".grip").focus()
        for _ in range(6):
            await page.keyboard.press("Shift+ArrowDown")
        await page.wait_for_function(f"document.querySelector('{FRAME}').getBoundingClientRect().y > 300")
        here.set(JobStatus.SUSPENDED)
        await page.goto(here.app)
        await expect(widget(page).locator(".label")).to_have_text("Suspended")
        await expect(widget(page).locator(".grip")).to_be_hidden()
        for width, height in [(1280, 720), (700, 700), (360, 640)]:
            await page.set_viewport_size({"width": width, "height": height})
            for is_open in (False, True):
                await expect(widget(page).locator(".card")).to_be_visible(visible=is_open)
                await page.wait_for_function(f"{SIZE} > {60 if is_open else 20}")
                await page.wait_for_function(APART)
                await widget(page).locator(".toggle").click()


SIZE = f"document.querySelector('{FRAME}').getBoundingClientRect().height"
APART = f"""() => {{
  const a = document.querySelector('{FRAME}').getBoundingClientRect();
  const b = document.querySelector('main').getBoundingClientRect();
  if (a.width === 0 || a.left < 0 || a.right > innerWidth) return false;
  return (a.bottom <= b.top || a.left >= b.right || a.right <= b.left);
}}"""


async def test_a_gateway_that_is_gone_is_said_to_be_gone_until_it_is_back(browser: Browser) -> None:
    async with stage() as here, person(browser) as context:
        page = await context.new_page()
        await page.goto(here.app)
        await log_in(page)
        here.set(JobStatus.SUSPENDING, 20)
        label = widget(page).locator(".label")
        await expect(label).to_have_text("Suspending")
        await here.stop_control()
        await expect(label).to_have_text("The gateway does not answer", timeout=12_000)
        await expect(widget(page).locator(".silence")).to_contain_text("The gateway has not answered for 0:0")
        await expect(widget(page).locator(".acts .button:visible:not([aria-disabled])")).to_have_count(0)
        await here.start_control()
        await expect(label).to_have_text("Suspending", timeout=15_000)
        await expect(widget(page).locator(".silence")).to_have_count(0)


@pytest.mark.parametrize("secure", [False, True])
async def test_a_lock_is_shown_where_there_is_one_only(browser: Browser, here: Stage, secure: bool) -> None:
    async with person(browser, ignore_https_errors=True) as context:
        page = await context.new_page()
        url = f"{here.control}/login?job={JOB}"
        if secure:  # the same bytes at an address that is https
            await context.route("https://gw.test/**", lambda route: replay(here, route))
            url = url.replace(here.control, "https://gw.test")
        await page.goto(url)
        await expect(page.locator(".gateway")).to_be_visible()
        await expect(page.locator(".gateway svg")).to_have_count(int(secure))


async def replay(here: Stage, route: Any) -> None:
    answer = await route.fetch(url=route.request.url.replace("https://gw.test", here.control))
    await route.fulfill(response=answer)


@pytest.mark.parametrize("act", ["suspend", "cancel"])
async def test_a_window_says_what_its_button_waits_for_and_works_by_keys_alone(
    page: Page, here: Stage, act: str
) -> None:
    await log_in(page)
    window = await page.context.new_page()
    await window.goto(f"{here.control}/confirm?job={JOB}&act={act}")
    button = window.locator("button.primary, button.danger")
    waits = "move the pointer or press Tab" if act == "suspend" else "Tab to it and let two seconds go by"
    await expect(button).to_have_accessible_description(re.compile(waits))
    await expect(window.locator("#hint")).to_be_visible()
    await window.keyboard.press("Tab")
    if act == "cancel":
        name = window.get_by_label(re.compile("Type the job"))
        await expect(name).to_be_focused()
        await expect(name).to_have_accessible_description(re.compile(waits))
        await expect(name).to_be_editable()
        await window.keyboard.type("rstudi")
        await expect(button).to_have_accessible_description("The button works when the job's name stands above.")
        await window.keyboard.type("o")
        await window.keyboard.press("Tab")
    await expect(button).to_be_focused()
    await expect(button).not_to_have_attribute("aria-disabled", "true")
    await expect(window.locator("#hint")).to_be_empty()
    await window.keyboard.press("Enter")
    await expect(window.get_by_role("heading")).to_have_text(re.compile("is being"))
    assert here.opcenter.acts == [("alice", act)]


async def at_rest(page: Page) -> None:
    """Two frames later: what was told has been painted."""
    await page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")


async def test_it_can_be_a_dot_and_is_the_whole_pill_again_while_the_job_moves(page: Page, here: Stage) -> None:
    await widget(page).locator(".toggle").click()
    await widget(page).get_by_role("button", name="Show a dot only").click()
    await page.wait_for_function(f"document.querySelector('{FRAME}').getBoundingClientRect().width < 30")
    assert (await widget(page).locator(".dot").bounding_box() or {})["width"] == 12
    await expect(widget(page).get_by_role("button", name="Executing")).to_be_visible()  # what it says to who hears it
    await page.reload()
    await page.wait_for_function(f"document.querySelector('{FRAME}').getBoundingClientRect().width < 30")
    here.set(JobStatus.FLOATING, 3, Step.DRAINING)
    await page.wait_for_function(f"document.querySelector('{FRAME}').getBoundingClientRect().width > 90")
    here.set(JobStatus.SUSPENDED)
    await page.wait_for_function(f"document.querySelector('{FRAME}').getBoundingClientRect().width < 30")
    await widget(page).locator(".toggle").click()
    await widget(page).get_by_role("button", name="Show the whole pill").click()
    await page.wait_for_function(f"document.querySelector('{FRAME}').getBoundingClientRect().width > 90")


async def test_it_hides_for_this_tab_until_it_is_called_or_the_job_moves(page: Page, here: Stage) -> None:
    await widget(page).locator(".toggle").click()
    await widget(page).get_by_role("button", name="Hide for this tab").click()
    await expect(page.locator(FRAME)).to_be_hidden()
    await page.reload()
    await expect(page.locator(FRAME)).to_be_hidden()
    other = await page.context.new_page()
    await other.goto(here.app)
    await expect(other.locator(FRAME)).to_be_visible()
    await other.close()
    here.set(JobStatus.FLOATING, 3, Step.DRAINING)
    await expect(page.locator(FRAME)).to_be_visible()
    here.set(JobStatus.SUSPENDED)
    await expect(page.locator(FRAME)).to_be_hidden()
    await page.locator("#cell").focus()
    await page.keyboard.press("Control+Alt+KeyJ")
    await expect(page.locator(FRAME)).to_be_visible()
    await expect(widget(page).locator(".toggle")).to_be_focused()


async def test_a_finger_moves_it(browser: Browser, here: Stage) -> None:
    async with person(browser, has_touch=True) as context:
        page = await context.new_page()
        await page.goto(here.app)
        await expect(widget(page).locator(".label")).to_have_text("Executing")
        at, grip = await box(page), await widget(page).locator(".grip").bounding_box()
        assert grip is not None
        x, y = grip["x"] + 8, grip["y"] + 12
        touch = await context.new_cdp_session(page)
        await touch.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": [{"x": x, "y": y}]})
        for step in range(1, 9):
            point = {"x": x - 40 * step, "y": y + 20 * step}
            await touch.send("Input.dispatchTouchEvent", {"type": "touchMove", "touchPoints": [point]})
        await touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
        await at_rest(page)
        moved = await box(page)
        assert (moved["x"], moved["y"]) == pytest.approx((at["x"] - 320, at["y"] + 160), abs=2)
        assert await page.evaluate("document.querySelectorAll('div[style*=grabbing]').length") == 0


@pytest.mark.parametrize("zoom", [0.5, 1.5])
async def test_a_drag_follows_the_pointer_in_a_zoomed_page(browser: Browser, here: Stage, zoom: float) -> None:
    """A browser's zoom changes what a px of the page is on the screen; only the way of the pointer tells.

    The screen's coordinates are rewritten here as a zoomed browser has them: this one cannot be told to zoom.
    """
    async with person(browser) as context:
        for name in ("screenX", "screenY"):
            await context.add_init_script(
                f"{{ const was = Object.getOwnPropertyDescriptor(MouseEvent.prototype, '{name}').get;"
                f" const get = function () {{ return was.call(this) * {zoom}; }};"
                f" Object.defineProperty(MouseEvent.prototype, '{name}', {{get}}); }}"
            )
        page = await context.new_page()
        await page.goto(here.app)
        grip = await widget(page).locator(".grip").bounding_box()
        assert grip is not None
        at = await box(page)
        await page.mouse.move(20, 500)
        await page.mouse.move(300, 300, steps=4)
        await page.mouse.move(grip["x"] + 8, grip["y"] + 12)
        await page.mouse.down()
        await page.mouse.move(500, 400, steps=10)
        await page.mouse.up()
        await at_rest(page)
        moved = await box(page)
        expected = (at["x"] + 500 - grip["x"] - 8, at["y"] + 400 - grip["y"] - 12)
        assert (moved["x"], moved["y"]) == pytest.approx(expected, abs=4)


async def test_nothing_beats_for_who_wants_no_motion(browser: Browser, here: Stage) -> None:
    async with person(browser, reduced_motion="reduce") as context:
        page = await context.new_page()
        await page.goto(here.app)
        here.set(JobStatus.FLOATING, 6, Step.RESTORING)
        await expect(widget(page).locator(".alert")).to_be_visible()
        frame = page.frame(url=lambda url: "/w/" in url)
        assert frame is not None
        assert await frame.evaluate("document.getAnimations().length") == 0
        here.set(JobStatus.FLOATING, 6, Step.RESTORING)
        await page.emulate_media(reduced_motion="no-preference")
        assert await frame.evaluate("document.getAnimations().length") > 0, "this test could not fail"


async def test_a_palette_of_the_person_s_own_is_kept_and_states_differ_by_shape(browser: Browser, here: Stage) -> None:
    async with person(browser, forced_colors="active") as context:
        page = await context.new_page()
        await page.goto(here.app)
        shapes = set()
        for status in (JobStatus.EXECUTING, JobStatus.FLOATING, JobStatus.SUSPENDED, JobStatus.FAIL_TO_COMPLETE):
            here.set(status, 3)
            await expect(widget(page).locator(".label")).to_have_text(
                re.compile(status if "Fail" not in status else "F")
            )
            shapes.add(
                await widget(page)
                .locator(".dot")
                .evaluate(
                    "el => { const s = getComputedStyle(el);"
                    " return [s.borderRadius, s.borderWidth, s.transform, s.backgroundImage].join(); }"
                )
            )
        assert len(shapes) == 4
        await widget(page).locator(".toggle").click()
        colours = (
            await widget(page)
            .locator(".root")
            .evaluate(
                "el => { const probe = el.ownerDocument.body.appendChild(document.createElement('p'));"
                " probe.style.cssText = 'color: CanvasText; background: Canvas';"
                " const [a, b] = [getComputedStyle(el), getComputedStyle(probe)];"
                " return [a.color === b.color, a.backgroundColor === b.backgroundColor]; }"
            )
        )
        assert colours == [True, True]


async def test_it_is_not_printed(page: Page, here: Stage) -> None:
    await expect(widget(page).locator(".label")).to_have_text("Executing")
    await page.emulate_media(media="print")
    await expect(page.locator(FRAME)).to_be_hidden()
    await page.emulate_media(media="screen")
    await expect(page.locator(FRAME)).to_be_visible()
