"""C9: clicks and keys that somebody began for the page of a job do nothing in what is ours, wherever they arrive.

Code in the page says what to click and type, opens our windows beneath it, moves the frame and takes the focus. What
somebody does on purpose is in test_browser.py, test_manner.py and test_access.py.
"""

from __future__ import annotations

import re

import pytest
from playwright.async_api import Page, expect

from .stage import JOB, Stage
from .test_hostile import page

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
