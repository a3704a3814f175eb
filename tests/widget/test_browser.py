"""The widget in a real Chromium: what a person sees and does."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, FrameLocator, Page, expect

from gateway.types import JobStatus, Step

from .stage import JOB, Stage, stage

pytestmark = pytest.mark.browser
FRAME = 'iframe[title="Job control"]'


@asynccontextmanager
async def person(browser: Browser, **options: object) -> AsyncIterator[BrowserContext]:
    context = await browser.new_context(viewport={"width": 1280, "height": 720}, **options)  # type: ignore[arg-type]
    try:
        yield context
    finally:
        await context.close()


@pytest_asyncio.fixture(loop_scope="session")
async def page(browser: Browser, here: Stage) -> AsyncIterator[Page]:
    """The job's page, and nothing that its console complains of."""
    async with person(browser) as context:
        opened = await context.new_page()
        troubles: list[str] = []
        opened.on("pageerror", lambda error: troubles.append(str(error)))
        opened.on("console", lambda line: troubles.append(line.text) if line.type == "error" else None)
        await opened.goto(here.app)
        yield opened
        assert not [one for one in troubles if "favicon" not in one and "Failed to load resource" not in one]


def widget(page: Page) -> FrameLocator:
    return page.frame_locator(FRAME)


async def log_in(page: Page, user: str = "alice", password: str = "wonderland") -> None:
    """Quickly, by what the window does; the card is open then."""
    await widget(page).locator(".toggle").click()
    frame = page.frame(url=lambda url: "/w/" in url)
    assert frame is not None
    await frame.evaluate(
        "async ([username, password]) => {"
        " const init = {method: 'POST', headers: {'Content-Type': 'application/json'},"
        "   body: JSON.stringify({username, password})};"
        " const answer = await (await fetch('/api/login', init)).json();"
        " localStorage.setItem('gw.session', JSON.stringify(answer));"
        " document.querySelector('job-control').live.again(); }",
        [user, password],
    )
    await expect(widget(page).locator(".who")).to_have_text(user)


async def log_in_by_the_window(page: Page, user: str = "alice", password: str = "wonderland") -> None:
    """As a person does."""
    await widget(page).locator(".toggle").click()
    async with page.context.expect_page() as opening:
        await widget(page).get_by_role("link", name="Log in").click()
    window = await opening.value
    await window.get_by_label("User name").fill(user)
    await window.get_by_label("Password").fill(password)
    async with window.expect_event("close"):
        await window.keyboard.press("Enter")


async def box(page: Page) -> dict[str, float]:
    found = await page.locator(FRAME).bounding_box()
    assert found is not None
    return dict(found)  # type: ignore[call-overload]


async def test_the_pill_stands_at_the_top_right_and_says_the_state(page: Page, here: Stage) -> None:
    await expect(widget(page).locator(".label")).to_have_text("Executing")
    await expect(page.locator(FRAME)).to_be_visible()
    place = await box(page)
    assert (place["y"], place["height"]) == (1, 26)
    assert place["x"] + place["width"] == 1280 - 280
    here.set(JobStatus.SUSPENDED)
    await expect(widget(page).locator(".label")).to_have_text("Suspended")


async def test_it_never_takes_the_focus(page: Page, here: Stage) -> None:
    await page.locator("#cell").focus()
    here.set(JobStatus.FLOATING, 6, Step.CHECKPOINTING)
    await expect(widget(page).locator(".alert")).to_be_visible()
    assert await page.evaluate("document.activeElement.id") == "cell"


async def test_a_person_logs_in_and_out_in_every_tab(page: Page, here: Stage) -> None:
    second = await page.context.new_page()
    await second.goto(here.app)
    await widget(second).locator(".toggle").click()
    await log_in_by_the_window(page)
    for one in (page, second):
        await expect(widget(one).locator("header h2")).to_have_text("rstudio")
        await expect(widget(one).locator("header p")).to_have_text("host-2 (2Core4GB/Spot)")
    await widget(page).get_by_role("button", name="Log out").click()
    for one in (page, second):
        await expect(widget(one).get_by_role("link", name="Log in")).to_be_visible()
    assert not here.opcenter.tokens


async def test_a_wrong_password_is_said(page: Page, here: Stage) -> None:
    window = await page.context.new_page()
    await window.goto(f"{here.control}/login?job={JOB}")
    await window.get_by_label("User name").fill("alice")
    await window.get_by_label("Password").fill("rabbit")
    await window.keyboard.press("Enter")
    await expect(window.get_by_role("alert")).to_have_text("The user name or the password is wrong.")
    await expect(window.get_by_label("User name")).to_have_value("alice")


async def test_a_user_without_rights_is_told_so(page: Page, here: Stage) -> None:
    await log_in(page, "bob", "builder")
    await expect(widget(page).locator(".card")).to_contain_text(
        "You are logged in as bob. This job belongs to somebody"
    )
    await expect(widget(page).locator(".acts")).to_be_hidden()


@pytest.mark.parametrize(
    ("status", "shown", "offered"),
    [
        (JobStatus.EXECUTING, ["Migrate", "Suspend…", "Cancel job…"], 3),
        (JobStatus.SUSPENDED, ["Resume", "Cancel job…"], 2),
        (JobStatus.FLOATING, ["Migrate", "Suspend…", "Cancel job…"], 1),
        (JobStatus.STARTING, ["Migrate", "Suspend…", "Cancel job…"], 0),
        (JobStatus.RESUMING, ["Resume", "Cancel job…"], 0),
        (JobStatus.COMPLETED, [], 0),
    ],
)
async def test_only_what_the_state_allows_is_offered(
    page: Page, here: Stage, status: JobStatus, shown: list[str], offered: int
) -> None:
    await log_in(page)
    here.set(status)
    await expect(widget(page).locator(".acts .button:visible")).to_have_text(shown)
    await expect(widget(page).locator(".acts .button:visible:not([aria-disabled])")).to_have_count(offered)
    if 0 < offered < len(shown) or (shown and not offered):
        dead = widget(page).locator(".acts .button[aria-disabled]:visible").first
        await expect(dead).to_have_accessible_description(
            re.compile("can only be cancelled|Not everything is possible")
        )


async def test_migrate_takes_two_clicks(page: Page, here: Stage) -> None:
    await log_in(page)
    await widget(page).get_by_role("button", name="Migrate").click()
    sure = widget(page).get_by_role("button", name="Move it to another host now")
    await expect(sure).to_have_attribute("aria-disabled", "true")
    assert here.opcenter.acts == []
    await expect(sure).not_to_have_attribute("aria-disabled", "true")
    await sure.click()
    await expect(widget(page).get_by_role("button", name="Migrate")).to_be_visible()
    assert here.opcenter.acts == [("alice", "migrate")]


async def test_resume_takes_one_click(page: Page, here: Stage) -> None:
    await log_in(page)
    here.set(JobStatus.SUSPENDED)
    async with page.expect_response(lambda answer: answer.url.endswith("/api/act")):
        await widget(page).get_by_role("button", name="Resume").click()
    assert here.opcenter.acts == [("alice", "resume")]


async def test_suspend_is_asked_in_a_window_of_its_own(page: Page, here: Stage) -> None:
    await log_in(page)
    async with page.context.expect_page() as opening:
        await widget(page).get_by_role("link", name="Suspend…").click()
    window = await opening.value
    button = window.get_by_role("button", name="Suspend")
    await expect(button).to_be_disabled()
    await expect(window.locator("dd").first).to_have_text("rstudio")
    await window.mouse.move(100, 100)
    await window.mouse.move(140, 140)
    await expect(button).to_be_enabled()
    async with window.expect_event("close"):
        await button.click()
    assert here.opcenter.acts == [("alice", "suspend")]


async def test_a_window_that_nobody_touches_stays_disarmed(page: Page, here: Stage) -> None:
    await log_in(page)
    window = await page.context.new_page()
    await window.clock.install()
    await window.goto(f"{here.control}/confirm?job={JOB}&act=suspend")
    await expect(window.get_by_role("button", name="Suspend")).to_be_visible()
    await window.clock.run_for(5000)
    await expect(window.get_by_role("button", name="Suspend")).to_be_disabled()


async def test_cancel_asks_for_the_job_s_name(page: Page, here: Stage) -> None:
    await log_in(page)
    async with page.context.expect_page() as opening:
        await widget(page).get_by_role("link", name="Cancel job…").click()
    window = await opening.value
    button = window.get_by_role("button", name="Cancel the job")
    name = window.get_by_label(re.compile("Type the job"))
    await expect(name).to_have_accessible_description(re.compile("Click into the field"))
    await window.wait_for_timeout(900)  # a person reads it
    await name.click()
    await window.keyboard.type("rstudi")
    await expect(button).to_be_disabled()
    await window.keyboard.type("o")
    await expect(button).to_be_enabled()
    async with window.expect_event("close"):
        await button.click()
    assert here.opcenter.acts == [("alice", "cancel")]


async def test_confirming_without_a_login_asks_for_it_first(page: Page, here: Stage) -> None:
    here.set(JobStatus.SUSPENDED)
    await page.goto(f"{here.control}/confirm?job={JOB}&act=resume")
    await page.get_by_label("User name").fill("alice")
    await page.get_by_label("Password").fill("wonderland")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading")).to_have_text("Resume this job?")


async def test_what_the_state_does_not_allow_is_said_in_the_window(page: Page, here: Stage) -> None:
    await log_in(page)
    here.set(JobStatus.FLOATING)
    await page.goto(f"{here.control}/confirm?job={JOB}&act=suspend")
    await expect(page.get_by_role("alert")).to_have_text("The job is “Floating” now: this cannot be done.")


async def test_a_short_move_needs_no_word_and_a_long_one_is_told(page: Page, here: Stage) -> None:
    label, clock = widget(page).locator(".label"), widget(page).locator(".time")
    await expect(label).to_have_text("Executing")
    here.set(JobStatus.FLOATING, 0, Step.DRAINING)
    await expect(widget(page).locator(".root")).to_have_attribute("data-tone", "warn", timeout=4000)
    await expect(label).to_have_text("Floating")
    await expect(clock).to_have_text(re.compile(r"0:0[2-4]"))
    await expect(widget(page).locator(".card")).to_be_hidden()
    here.set(JobStatus.FLOATING, 7, Step.TRANSFERRING)
    alert = widget(page).locator(".alert")
    await expect(alert).to_contain_text("The screen does not respond while the job moves. Your work is kept.")
    await expect(alert).to_contain_text("Step 3 of 5: Carrying it to the new host")
    assert (
        await page.evaluate("getComputedStyle(document.body).opacity + getComputedStyle(document.body).filter")
        == "1none"
    )
    here.set(JobStatus.EXECUTING)
    await expect(label).to_have_text(re.compile(r"Moved in \d+ s"))
    await expect(widget(page).locator(".card")).to_be_hidden()
    await expect(label).to_have_text("Executing")


async def test_the_first_two_seconds_of_a_move_look_like_nothing(page: Page, here: Stage) -> None:
    await expect(widget(page).locator(".label")).to_have_text("Executing")
    here.set(JobStatus.FLOATING, -30, Step.DRAINING)  # a clock that never reaches two seconds in this test
    await page.locator("#cell").fill("x")
    await expect(widget(page).locator(".root")).not_to_have_attribute("data-tone", "warn")
    await expect(widget(page).locator(".label")).to_have_text("Executing")


async def test_a_card_that_was_closed_stays_closed_for_this_move(page: Page, here: Stage) -> None:
    here.set(JobStatus.FLOATING, 6, Step.DRAINING)
    await expect(widget(page).locator(".alert")).to_be_visible()
    await widget(page).locator(".toggle").click()
    since = here.listener().since
    here.set(JobStatus.FLOATING, 8, Step.RESTORING, since=since)
    await expect(widget(page).locator(".card")).to_be_hidden()
    await expect(widget(page).locator(".label")).to_have_text("Floating")


async def test_without_the_opcenter_actions_wait(page: Page, here: Stage) -> None:
    await log_in(page)
    here.desk.link(False)
    await expect(widget(page).locator(".card")).to_contain_text("The OpCenter does not answer just now.")
    await expect(widget(page).get_by_role("button", name="Migrate")).to_be_disabled()


async def test_it_moves_by_mouse_by_keys_and_stays_there(page: Page, here: Stage) -> None:
    await expect(widget(page).locator(".label")).to_have_text("Executing")
    grip = widget(page).locator(".grip")
    at = await grip.bounding_box()
    assert at is not None
    await page.mouse.move(at["x"] + 10, at["y"] + 10)
    await page.mouse.down()
    await page.mouse.move(400, 300, steps=8)
    await page.mouse.up()
    moved = await box(page)
    assert abs(moved["x"] - (400 - 10 - 1)) <= 2
    assert abs(moved["y"] - (300 - 10 - 1)) <= 2
    await grip.focus()
    for _ in range(5):
        await page.keyboard.press("ArrowDown")
    await page.wait_for_function(f"document.querySelector('{FRAME}').getBoundingClientRect().y === {moved['y'] + 80}")
    await page.reload()
    await expect(widget(page).locator(".label")).to_have_text("Executing")
    await page.wait_for_function(f"document.querySelector('{FRAME}').getBoundingClientRect().y === {moved['y'] + 80}")
    await widget(page).locator(".grip").press("Home")
    await page.wait_for_function(f"document.querySelector('{FRAME}').getBoundingClientRect().y === 1")


async def test_escape_closes_the_card_and_gives_the_focus_back(page: Page) -> None:
    toggle = widget(page).locator(".toggle")
    await toggle.click()
    await expect(toggle).to_have_attribute("aria-expanded", "true")
    await widget(page).get_by_role("link", name="Log in").focus()
    await page.keyboard.press("Escape")
    await expect(toggle).to_be_focused()
    await expect(toggle).to_have_attribute("aria-expanded", "false")


async def test_it_makes_way_for_the_page_s_own_buttons(browser: Browser, here: Stage) -> None:
    here.html = here.html.replace(
        "Kernel</div>", 'Kernel<button style="position:fixed;right:300px;top:0">X</button></div>'
    )
    async with person(browser) as context:
        page = await context.new_page()
        await page.goto(here.app)
        await expect(widget(page).locator(".label")).to_have_text("Executing")
        await page.wait_for_function(f"document.querySelector('{FRAME}').getBoundingClientRect().y > 200")
        assert (await box(page))["x"] + (await box(page))["width"] == 1280


@pytest.mark.parametrize("width", [1149, 800, 320])
async def test_it_stays_inside_of_every_window(page: Page, here: Stage, width: int) -> None:
    await expect(widget(page).locator(".label")).to_have_text("Executing")
    inside = (
        f"innerWidth === {width} && (() => {{ const b = document.querySelector('{FRAME}').getBoundingClientRect();"
        " return b.left >= 0 && b.top >= 0 && b.right <= innerWidth && b.bottom <= innerHeight; })()"
    )
    await page.set_viewport_size({"width": width, "height": 400})
    await page.wait_for_function(inside)  # else the click goes to where the widget was
    await widget(page).locator(".toggle").click()
    await expect(widget(page).locator(".card")).to_be_visible()
    await page.wait_for_function(inside)


async def test_it_comes_back_when_the_page_is_rebuilt(page: Page) -> None:
    await expect(widget(page).locator(".label")).to_have_text("Executing")
    await page.evaluate("document.documentElement.replaceChildren(document.createElement('body'))")
    await expect(widget(page).locator(".label")).to_have_text("Executing")
    await page.evaluate("document.body.textContent = 'GWT was here'")
    await expect(page.locator(FRAME)).to_have_count(1)


async def test_frames_and_satellites_get_none(browser: Browser, here: Stage) -> None:
    async with person(browser) as context:
        page = await context.new_page()
        await page.goto(here.app)
        await expect(page.locator(FRAME)).to_have_count(1)
        await page.evaluate(
            "document.body.append(Object.assign(document.createElement('iframe'), {src: '/', id: 'inner'}))"
        )
        await expect(page.frame_locator("#inner").locator("#cell")).to_be_visible()
        assert await page.frame_locator("#inner").locator(FRAME).count() == 0
        async with context.expect_page() as opening:
            await page.evaluate("open('/', '_rstudio_satellite_source')")
        satellite = await opening.value
        await expect(satellite.locator("#cell")).to_be_visible()
        assert await satellite.locator(FRAME).count() == 0


async def test_where_the_control_port_is_closed_the_state_is_still_shown(browser: Browser) -> None:
    """C12: a small pill that can do nothing, within five seconds."""
    async with stage(control=False) as here, person(browser) as context:
        page = await context.new_page()
        await page.goto(here.app)
        pill = page.locator('a[title="Job control"]')
        await expect(pill).to_have_text("Executing", timeout=9000)
        here.set(JobStatus.FLOATING, 9)
        await expect(pill).to_have_text(re.compile(r"Floating 0:\d\d"))
        await expect(page.locator(FRAME)).to_be_hidden()


POLICIES = [
    "default-src 'self'; frame-src {control}",
    "script-src 'self'; style-src 'none'; frame-src {control}; connect-src 'none'",
    "require-trusted-types-for 'script'; trusted-types 'none'; script-src 'self'; frame-src {control}",
]


@pytest.mark.parametrize("policy", POLICIES)
async def test_it_runs_under_strict_policies_of_the_page(browser: Browser, here: Stage, policy: str) -> None:
    here.headers = {"Content-Security-Policy": policy.format(control=here.control)}
    async with person(browser) as context:
        page = await context.new_page()
        await page.goto(here.app)
        await expect(widget(page).locator(".label")).to_have_text("Executing")
        assert (await box(page))["height"] == 26


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
@pytest.mark.parametrize("embedder", ["require-corp", "credentialless"])
async def test_it_shows_in_isolated_pages(browser: Browser, here: Stage, embedder: str, host: str) -> None:
    """C5."""
    here.host = host
    here.headers = {"Cross-Origin-Embedder-Policy": embedder, "Cross-Origin-Opener-Policy": "same-origin"}
    async with person(browser) as context:
        page = await context.new_page()
        await page.goto(here.app)
        await expect(widget(page).locator(".label")).to_have_text("Executing")
        await log_in_by_the_window(page)
        await expect(widget(page).locator("header h2")).to_have_text("rstudio")


async def test_a_policy_in_a_meta_element_comes_too_late_to_stop_it(browser: Browser, here: Stage) -> None:
    here.html = here.html.replace(
        "<title>",
        "<meta http-equiv=Content-Security-Policy content=\"default-src 'self'; style-src 'unsafe-inline'\"><title>",
    )
    async with person(browser) as context:
        page = await context.new_page()
        await page.goto(here.app)
        await expect(widget(page).locator(".label")).to_have_text("Executing")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("background", ["#ffffff", "#111111"])
async def test_no_box_of_another_colour_is_painted(browser: Browser, here: Stage, scheme: str, background: str) -> None:
    """The page's background shows in the frame's corners, whatever the system's and the page's colours are."""
    here.look["back"] = background
    async with person(browser, color_scheme=scheme) as context:
        page = await context.new_page()
        await page.goto(here.app)
        await expect(widget(page).locator(".label")).to_have_text("Executing")
        await expect(widget(page).locator(".root")).to_have_class(
            re.compile("light" if background == "#ffffff" else "dark")
        )
        assert (
            await widget(page).locator("html").evaluate("el => getComputedStyle(el).backgroundColor")
            == "rgba(0, 0, 0, 0)"
        )
        assert await page.locator(FRAME).evaluate("el => getComputedStyle(el).colorScheme") == "light dark"
        surface = await widget(page).locator(".root").evaluate("el => getComputedStyle(el).backgroundColor")
        assert surface == ("rgb(255, 255, 255)" if background == "#ffffff" else "rgb(26, 32, 40)")


async def test_it_speaks_german(browser: Browser, here: Stage) -> None:
    async with person(browser, locale="de-DE") as context:
        page = await context.new_page()
        await page.goto(here.app)
        await expect(widget(page).locator(".label")).to_have_text("Läuft")
        await widget(page).locator(".toggle").click()
        await expect(widget(page).get_by_role("link", name="Anmelden")).to_be_visible()


async def test_over_plain_http_from_elsewhere_it_says_why_it_takes_no_password(browser: Browser) -> None:
    """C14."""
    async with stage(host="gw.test") as here, person(browser) as context:
        page = await context.new_page()
        await page.goto(here.app)
        await widget(page).locator(".toggle").click()
        await expect(widget(page).locator(".card")).to_contain_text("This connection is not encrypted")
        await expect(widget(page).get_by_role("link", name="Log in")).to_have_count(0)
        await page.goto(f"{here.control}/login?job={JOB}")
        await expect(page.locator("main")).to_contain_text("This connection is not encrypted")
        assert await page.locator("input").count() == 0
