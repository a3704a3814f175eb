"""C9: clicks and keys that somebody began for the page of a job do nothing in what is ours, wherever they arrive.

Code in the page says what to click and type, opens our windows beneath it, moves the frame and takes the focus. What
somebody does on purpose is in test_browser.py, test_manner.py and test_access.py.
"""

from __future__ import annotations

import re

import pytest
from playwright.async_api import Browser, Page, expect

from gateway.types import JobStatus

from .stage import JOB, Stage
from .test_browser import FRAME, box, log_in, person, widget
from .test_hostile import HOLD_PORT, page

__all__ = ["page"]  # a fixture

pytestmark = pytest.mark.browser
POPUP = """([on, url]) => addEventListener(on, () => open(url, '', 'popup,width=460,height=440'), {once: true})"""
FAST = 120  # ms between two presses of somebody who plays or types


async def window_beneath(page: Page, here: Stage, act: str, on: str = "mousedown") -> Page:
    """The page opens the window of an act at a click, which it has asked for."""
    await page.evaluate(POPUP, [on, f"{here.control}/confirm?job={JOB}&act={act}"])
    async with page.context.expect_page() as opening:
        await page.mouse.click(120, 70)
    window = await opening.value
    await expect(window.locator("dl")).to_be_visible()
    return window


async def test_what_is_typed_for_the_page_cancels_nothing(page: Page, here: Stage) -> None:
    """ "Type rstudio and press Enter": the window opens at the click into the page's field."""
    window = await window_beneath(page, here, "cancel")
    await window.wait_for_timeout(350)
    await window.keyboard.type("rstudio", delay=FAST)
    await window.keyboard.press("Enter")
    await expect(window.get_by_label(re.compile("Type the job"))).to_have_value("")
    await window.keyboard.press("Tab")  # and with the field reached by it, too
    await window.keyboard.type("rstudio", delay=FAST)
    await expect(window.get_by_label(re.compile("Type the job"))).to_be_focused()
    await expect(window.get_by_label(re.compile("Type the job"))).to_have_value("")
    assert here.opcenter.acts == []


async def test_a_double_click_opens_no_field(page: Page, here: Stage) -> None:
    """The second click lands in the field of a window that the first one opened."""
    window = await window_beneath(page, here, "cancel")
    name = window.get_by_label(re.compile("Type the job"))
    await name.click()
    await window.keyboard.type("rstudio", delay=FAST)
    await expect(name).to_have_value("")


async def test_enter_in_the_field_is_not_the_button(page: Page, here: Stage) -> None:
    """Somebody types the name on purpose, and has not said more yet."""
    window = await window_beneath(page, here, "cancel")
    name = window.get_by_label(re.compile("Type the job"))
    await window.wait_for_timeout(1000)
    await name.click()
    await window.keyboard.type("rstudio")
    await expect(window.get_by_role("button", name="Cancel the job")).to_be_enabled()
    await window.keyboard.press("Enter")
    await window.wait_for_timeout(300)
    assert here.opcenter.acts == []
    assert not [one for one in here.requests if one[1] == "/api/act"]


async def test_who_clicks_fast_presses_nothing_in_a_window_that_comes_beneath(page: Page, here: Stage) -> None:
    window = await window_beneath(page, here, "suspend")
    at = await window.get_by_role("button", name="Suspend").bounding_box()
    assert at is not None
    for _ in range(25):
        await window.mouse.click(at["x"] + 20, at["y"] + 10)
        await window.wait_for_timeout(FAST)
    assert here.opcenter.acts == []
    await expect(window.get_by_role("button", name="Suspend")).to_be_enabled()  # after a rest it works
    await window.mouse.click(at["x"] + 20, at["y"] + 10)
    await expect(window.get_by_role("heading")).to_have_text(re.compile("is being"))


@pytest.mark.parametrize("held", [False, True])
async def test_keys_that_follow_each_other_press_nothing(page: Page, here: Stage, held: bool) -> None:
    """Tab, then Enter again and again, or held down; no other key than Tab is a sign of somebody."""
    window = await window_beneath(page, here, "suspend")
    button = window.get_by_role("button", name="Suspend")
    await button.focus()
    await window.wait_for_timeout(1000)  # the rest is over, only the sign is missing
    await window.keyboard.press("Enter")
    await window.wait_for_timeout(1000)
    await expect(button).to_be_disabled()
    await window.keyboard.press("Shift+Tab")
    await window.keyboard.press("Tab")
    await expect(button).to_be_focused()
    for _ in range(18):
        await (window.keyboard.down("Enter") if held else window.keyboard.press("Enter"))
        await window.wait_for_timeout(33 if held else FAST)
    if held:
        await window.wait_for_timeout(1000)
        await window.keyboard.down("Enter")  # the same press still
        await window.keyboard.up("Enter")
    assert here.opcenter.acts == []
    await expect(button).to_be_enabled()


async def test_a_press_that_began_too_early_is_none_however_long_it_lasts(page: Page, here: Stage) -> None:
    window = await window_beneath(page, here, "suspend")
    at = await window.get_by_role("button", name="Suspend").bounding_box()
    assert at is not None
    await window.mouse.move(at["x"] + 20, at["y"] + 10)
    await window.mouse.down()
    await window.wait_for_timeout(1200)
    await window.mouse.up()
    assert here.opcenter.acts == []


# The frame.

UNSEEN = f"document.querySelector('{FRAME}').style.setProperty('opacity', '0', 'important')"


async def rest(page: Page) -> None:
    """Longer than any rest that is asked for."""
    await page.wait_for_timeout(1500)


@pytest.mark.parametrize("key", ["migrate", "resume", "logout"])
async def test_a_click_into_a_frame_that_nobody_sees_does_nothing(page: Page, here: Stage, key: str) -> None:
    if key == "resume":
        here.set(JobStatus.SUSPENDED)
    button = widget(page).locator(f"[data-key={key}]")
    await expect(button).to_be_visible()
    at = await button.bounding_box()
    assert at is not None
    await page.evaluate(UNSEEN)
    await rest(page)
    await page.mouse.click(at["x"] + 5, at["y"] + 5)
    await expect(widget(page).get_by_role("alert")).to_contain_text("covers this button")
    await rest(page)
    assert not [one for one in here.requests if one[0] == "POST"]
    await expect(widget(page).locator(".who")).to_have_text("alice")


async def test_the_question_takes_the_focus_of_who_asked_by_keys_only(page: Page, here: Stage) -> None:
    sure = widget(page).locator("[data-key=sure]")
    await widget(page).get_by_role("button", name="Migrate").click()
    await expect(sure).not_to_have_attribute("aria-disabled", "true")
    await page.mouse.move(30, 400)
    await page.keyboard.press("Space")  # "press space to jump"
    await expect(sure).not_to_be_focused()
    await page.wait_for_timeout(300)
    assert here.opcenter.acts == []


async def test_a_key_that_is_held_asks_once_and_answers_nothing(page: Page, here: Stage) -> None:
    await rest(page)
    await widget(page).locator(".toggle").focus()
    await page.keyboard.press("Tab")
    await expect(widget(page).get_by_role("button", name="Migrate")).to_be_focused()
    for _ in range(60):
        await page.keyboard.down("Enter")
        await page.wait_for_timeout(33)
    await page.keyboard.up("Enter")
    assert here.opcenter.acts == []
    assert len([one for one in here.requests if one[1] == "/api/ask"]) == 1


async def test_the_page_cannot_give_the_frame_the_focus_and_have_keys_pressed(page: Page, here: Stage) -> None:
    """It says that the keys were pressed which call the widget; then it focuses the frame itself."""
    await widget(page).get_by_role("button", name="Migrate").focus()
    await page.locator("#cell").focus()
    await page.evaluate(HOLD_PORT, here.control)
    await page.evaluate("held.postMessage({key: 1})")
    await rest(page)
    assert await page.evaluate("document.activeElement.id") == "cell"
    await page.evaluate(f"document.querySelector('{FRAME}').contentWindow.focus()")
    for key in ("Enter", "Space", "Enter"):
        await page.keyboard.press(key)
        await rest(page)
    assert not [one for one in here.requests if one[0] == "POST"]


async def test_a_question_that_the_page_turns_over_is_not_answered_by_the_next_click(page: Page, here: Stage) -> None:
    """The card grows upwards where its frame is low: one message of the page, and the button is elsewhere."""
    await page.evaluate(HOLD_PORT, here.control)
    await page.evaluate(
        "Object.entries({inset: 'auto', left: '300px', top: '40px', width: '316px', height: '560px'}).forEach(([k, v])"
        f" => document.querySelector('{FRAME}').style.setProperty(k, v, 'important'))"
    )
    turned = widget(page).locator(".root.up")
    await page.evaluate("held.postMessage({dropped: [300, 500]})")
    await expect(turned).to_have_count(1)
    there = await widget(page).get_by_role("button", name="Migrate").bounding_box()
    await page.evaluate("held.postMessage({dropped: [300, 20]})")
    await expect(turned).to_have_count(0)
    assert there is not None
    await widget(page).get_by_role("button", name="Migrate").click()
    await page.mouse.move(there["x"] + 20, there["y"] + 10)
    await rest(page)
    await page.mouse.click(there["x"] + 20, there["y"] + 10)
    await page.evaluate("held.postMessage({dropped: [300, 500]}); held.postMessage({view: [300, 600]})")
    await page.wait_for_timeout(FAST)
    await page.mouse.click(there["x"] + 21, there["y"] + 10)
    await page.wait_for_timeout(400)
    assert here.opcenter.acts == []
    await expect(widget(page).locator("[data-key=sure]")).to_be_hidden(timeout=12_000)
    await expect(turned).to_have_count(1)  # what was said meanwhile is heard when the question is over


async def test_who_clicks_fast_answers_no_question(page: Page, here: Stage) -> None:
    await rest(page)
    at = await widget(page).get_by_role("button", name="Migrate").bounding_box()
    assert at is not None
    for one in range(25):
        await page.mouse.click(at["x"] + 20 + one % 2, at["y"] + 10)
        await page.wait_for_timeout(FAST)
    assert here.opcenter.acts == []
    await rest(page)
    await page.mouse.move(at["x"] + 24, at["y"] + 12)
    await page.mouse.click(at["x"] + 24, at["y"] + 12)
    await expect(widget(page).get_by_role("status")).to_have_text("Asked to move to another host…")


@pytest.mark.parametrize("jumps", [False, True])
async def test_a_finger_answers_a_question_that_stays_where_it_was(browser: Browser, here: Stage, jumps: bool) -> None:
    async with person(browser, has_touch=True) as context:
        page = await context.new_page()
        await page.goto(here.app)
        await log_in(page)
        await expect(widget(page).locator("header h2")).to_have_text("rstudio")
        await rest(page)  # Chromium takes no tap into a frame that looks for what covers it and was moved just now
        await widget(page).get_by_role("button", name="Migrate").tap()
        sure = widget(page).locator("[data-key=sure]")
        await expect(sure).to_have_attribute("aria-disabled", "true")
        await expect(sure).not_to_have_attribute("aria-disabled", "true")
        if jumps:
            frame = await box(page)
            await page.evaluate(
                "(x) => { const style = document.querySelector('iframe').style;"
                " style.setProperty('inset', 'auto', 'important'); style.setProperty('left', x + 'px', 'important');"
                " style.setProperty('top', '150px', 'important'); }",
                frame["x"] - 200,
            )
        await page.wait_for_timeout(600)
        await sure.tap()
        await page.wait_for_timeout(400)
        assert here.opcenter.acts == ([] if jumps else [("alice", "migrate")])


async def test_a_window_with_the_frame_alone_tells_the_state_and_does_nothing(page: Page, here: Stage) -> None:
    """Nor does who opened it get a hold of it."""
    async with page.context.expect_page() as opening:
        await page.evaluate("(url) => { window.opened = open(url, '', 'popup'); }", f"{here.control}/w/{JOB}")
    window = await opening.value
    await expect(window.locator(".label")).to_have_text("Executing")
    assert await page.evaluate("opened.closed")
    await window.locator(".toggle").click()
    await expect(window.locator("header h2")).to_have_text("rstudio")
    await expect(window.locator(".acts .button:visible, [data-key=logout]:visible")).to_have_count(0)
