"""A hostile notebook: code in the job's own page tries to read or press the widget. Nothing may come of it.

The page has everything that a page of the job has: its origin, a logged-in user who looks at it, and the frame in it.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, expect

from gateway.types import JobStatus

from .stage import JOB, OTHER, Stage, stage
from .test_browser import FRAME, box, log_in, person, widget

pytestmark = pytest.mark.browser

TRY = """async ([name, control, job]) => {
  const attempts = {
    dom: () => document.querySelector('iframe').contentDocument?.body ?? 'null',
    window: () => document.querySelector('iframe').contentWindow.localStorage,
    storage: () => document.querySelector('iframe').contentWindow.sessionStorage.length,
    location: () => document.querySelector('iframe').contentWindow.location.href,
    custom: () => document.querySelector('iframe').contentWindow.customElements,
    opened: async () => {
      const w = open(control + '/login?job=' + job, 'x');
      while (!w.closed && w.document.URL === 'about:blank') await new Promise((done) => setTimeout(done, 20));
      return w.closed ? null : w.document;
    },
  };
  try { return 'read: ' + String(await attempts[name]()); } catch (error) { return error.name; }
}"""
SEND = """async ([url, init]) => {
  try { const answer = await fetch(url, init); return [answer.type, answer.status, await answer.text()]; }
  catch (error) { return [error.name, 0, '']; }
}"""
FORM = """([url, enctype]) => new Promise((done) => {
  const name = 'sink' + document.querySelectorAll('iframe').length;
  const frame = Object.assign(document.createElement('iframe'), {name});
  const form = Object.assign(document.createElement('form'), {action: url, method: 'POST', target: name, enctype});
  form.append(Object.assign(document.createElement('input'), {
    name: '{"username":"alice","password":"wonderland","x":"', value: '"}'}));
  document.body.append(frame, form);
  frame.onload = () => done();
  form.submit();
})"""
SOCKET = """(url) => new Promise((done) => {
  const socket = new WebSocket(url);
  socket.onopen = () => { socket.send('{"token": null}'); };
  socket.onmessage = ({data}) => done('heard ' + data);
  socket.onclose = () => done('closed');
})"""
UNSAFE = ["/api/login", "/api/logout", "/api/ask", "/api/act"]


@pytest_asyncio.fixture(loop_scope="session")
async def page(browser: Browser, here: Stage) -> AsyncIterator[Page]:
    """The job's page with the widget in it, its owner logged in, and the control port's log empty."""
    async with person(browser) as context:
        opened = await context.new_page()
        await opened.goto(here.app)
        await log_in(opened)
        await expect(widget(opened).locator("header h2")).to_have_text("rstudio")
        here.requests.clear()
        yield opened


@pytest_asyncio.fixture(loop_scope="session", scope="module")
async def calm(browser: Browser) -> AsyncIterator[tuple[Page, Stage]]:
    """The same, once for all the tests that leave the page as it was."""
    async with stage() as here, person(browser) as context:
        opened = await context.new_page()
        await opened.goto(here.app)
        await log_in(opened)
        await expect(widget(opened).locator("header h2")).to_have_text("rstudio")
        yield opened, here


def quiet(calm: tuple[Page, Stage]) -> tuple[Page, Stage]:
    """With nothing in the log."""
    calm[1].requests.clear()
    return calm


def succeeded(here: Stage, *, method: str = "") -> list[tuple[str, str, int, dict[str, str]]]:
    return [one for one in here.requests if one[2] < 300 and (not method or one[0] == method)]


def ported(message: Any) -> str:
    """Script that gives the frame a port as the loader does, and sends something on it."""
    return (
        "async (control) => { const {port1, port2} = new MessageChannel(); const heard = [];"
        " port1.onmessage = ({data}) => heard.push(data);"
        " document.querySelector('iframe').contentWindow.postMessage('floatgate', control, [port2]);"
        f" for (const m of {json.dumps(message)}) port1.postMessage(m);"
        " await new Promise((done) => setTimeout(done, 400)); return JSON.stringify(heard); }"
    )


@pytest.mark.parametrize("attempt", ["dom", "window", "storage", "location", "custom", "opened"])
async def test_the_page_reads_nothing_of_ours(calm: tuple[Page, Stage], attempt: str) -> None:
    page, here = quiet(calm)
    found = await page.evaluate(TRY, [attempt, here.control, JOB])
    assert found in ("SecurityError", "read: null"), found


async def test_document_domain_opens_no_door(page: Page, here: Stage) -> None:
    await page.evaluate("try { document.domain = document.domain } catch {}")
    assert await page.evaluate(TRY, ["window", here.control, JOB]) == "SecurityError"


@pytest.mark.parametrize("path", [*UNSAFE, f"/api/state/{JOB}"])
@pytest.mark.parametrize(
    "init",
    [
        {},
        {"mode": "no-cors"},
        {"mode": "no-cors", "method": "POST", "body": '{"username":"alice","password":"wonderland"}'},
        {"mode": "cors", "method": "POST", "body": "{}", "headers": {"Content-Type": "application/json"}},
        {"mode": "cors", "headers": {"Authorization": "Bearer x"}},
        {"mode": "no-cors", "method": "POST", "credentials": "include", "body": "{}", "keepalive": True},
    ],
    ids=["simple", "no-cors", "no-cors-post", "cors-post", "cors-bearer", "credentials"],
)
async def test_no_fetch_of_the_page_is_answered(calm: tuple[Page, Stage], path: str, init: dict[str, Any]) -> None:
    page, here = quiet(calm)
    kind, status, text = await page.evaluate(SEND, [here.control + path, init])
    assert (status, text) == (0, ""), "the page can read the answer"
    assert kind in ("TypeError", "opaque")
    assert succeeded(here) == []
    assert here.opcenter.acts == []


@pytest.mark.parametrize("enctype", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"])
@pytest.mark.parametrize("path", UNSAFE)
async def test_no_form_of_the_page_is_accepted(calm: tuple[Page, Stage], path: str, enctype: str) -> None:
    page, here = quiet(calm)
    await page.evaluate(FORM, [here.control + path, enctype])
    assert [one[:2] for one in here.requests] == [("POST", path)]
    assert succeeded(here) == []


async def test_no_beacon_and_no_event_stream_is_accepted(calm: tuple[Page, Stage]) -> None:
    page, here = quiet(calm)
    await page.evaluate(
        "async (base) => { navigator.sendBeacon(base + '/api/logout', '{}'); const picture = new Image();"
        " picture.src = base + '/api/state/x'; const source = new EventSource(base + '/api/live/x');"
        " await new Promise((done) => { source.onerror = done; }); }",
        here.control,
    )
    assert succeeded(here) == []


async def test_no_websocket_of_the_page_is_accepted(calm: tuple[Page, Stage]) -> None:
    page, here = quiet(calm)
    url = here.control.replace("http", "ws") + f"/api/live/{JOB}"
    assert await page.evaluate(SOCKET, url) == "closed"
    assert succeeded(here) == []


async def test_a_cookie_that_the_page_throws_at_us_is_nothing(page: Page, here: Stage) -> None:
    """C6, C7: cookies of a host are shared by its ports; we neither read nor set any."""
    await page.evaluate("document.cookie = 'gw.session=evil; path=/'; document.cookie = 'token=evil; path=/api'")
    await page.reload()
    await expect(widget(page).locator(".label")).to_have_text("Executing")
    assert not [one for one in here.requests if "Set-Cookie" in one[3]]
    assert [one["name"] for one in await page.context.cookies()] == ["gw.session"] or not [
        one for one in await page.context.cookies() if one["name"] not in ("gw.session", "token")
    ]


async def test_clearing_the_page_s_site_data_does_not_reach_the_login(page: Page, here: Stage) -> None:
    here.headers = {"Clear-Site-Data": '"cookies", "storage"'}
    await page.reload()
    await widget(page).locator(".toggle").click()
    await expect(widget(page).locator("header h2")).to_have_text("rstudio")


async def test_forged_messages_move_the_frame_and_nothing_else(page: Page, here: Stage) -> None:
    forged = [
        {"act": "migrate"}, {"click": "migrate"}, {"state": {"status": "Executing", "job": {"actions": ["migrate"]}}},
        {"view": [1, 1]}, {"view": ["x"]}, {"theme": ["x"]}, {"free": "x"}, {"dropped": [1e9, "x", 1]}, None, 7,
        "x", [],
    ]  # fmt: skip
    heard = await page.evaluate(ported(forged), here.control)
    assert heard != "[]", "the frame speaks to whoever holds it, of its box"
    assert all(set(one) <= {"box", "ask", "active", "ds", "dm", "de"} for one in json.loads(heard))
    assert not any(word in heard for word in ("alice", "rstudio", "host-2"))
    assert not [one for one in here.requests if one[0] == "POST"]
    assert here.opcenter.acts == []
    await expect(widget(page).locator("header h2")).to_have_text("rstudio")


async def test_window_messages_are_not_heard(page: Page, here: Stage) -> None:
    await page.evaluate(
        "(control) => { const frame = document.querySelector('iframe').contentWindow;"
        " for (const m of ['floatgate', {act: 'migrate'}, {token: 'x'}, {login: 1}]) frame.postMessage(m, control);"
        " window.postMessage('floatgate', '*'); }",
        here.control,
    )
    await expect(widget(page).locator("header h2")).to_have_text("rstudio")
    assert not [one for one in here.requests if one[0] == "POST"]


async def test_synthetic_clicks_stay_in_the_page(page: Page, here: Stage) -> None:
    await page.evaluate(
        "() => { const frame = document.querySelector('iframe'); frame.click(); frame.focus();"
        " for (const type of ['pointerdown', 'mousedown', 'mouseup', 'click'])"
        " frame.dispatchEvent(new MouseEvent(type, {bubbles: true, clientX: 150, clientY: 80})); }"
    )
    await expect(widget(page).locator("header h2")).to_have_text("rstudio")
    assert not [one for one in here.requests if one[0] == "POST"]


@pytest.mark.parametrize("first", [True, False])
async def test_a_covered_button_takes_no_click(page: Page, here: Stage, first: bool) -> None:
    """C9: a real click through a picture that lies over the button, the first one or the second one."""
    button = widget(page).get_by_role("button", name="Migrate")
    sure = widget(page).get_by_role("button", name="Move it to another host now")
    if not first:
        await button.click()
        await expect(sure).not_to_have_attribute("aria-disabled", "true")
    at = await (button if first else sure).bounding_box()
    assert at is not None
    await page.evaluate(
        "() => document.documentElement.append(Object.assign(document.createElement('div'), {style:"
        " 'position:fixed;inset:0;background:#fffd;z-index:2147483647;pointer-events:none'}))"
    )
    await page.mouse.move(at["x"] + 12, at["y"] + 12)
    await page.wait_for_timeout(1000)
    await page.mouse.click(at["x"] + 9, at["y"] + 9)
    await expect(widget(page).get_by_role("alert")).to_contain_text("covers this button")
    await expect(sure).to_be_hidden()
    assert here.opcenter.acts == []


@pytest.mark.parametrize("style", ["opacity:.02", "transform:scale(.2)", "filter:opacity(0)", "clip-path:inset(40%)"])
async def test_a_frame_that_is_made_unseen_takes_no_click(page: Page, here: Stage, style: str) -> None:
    """C9."""
    await widget(page).get_by_role("button", name="Migrate").click()
    sure = widget(page).locator("[data-key=sure]")
    await expect(sure).to_be_visible()
    name, _, value = style.partition(":")
    await page.locator(FRAME).evaluate(
        "(el, [name, value]) => el.style.setProperty(name, value, 'important')", [name, value]
    )
    await expect(sure).not_to_have_attribute("aria-disabled", "true")
    await sure.dispatch_event("click")  # not trusted: the page could not do even this
    await sure.evaluate("(el) => el.focus()")
    await page.keyboard.press("Enter")
    await expect(widget(page).get_by_role("alert")).to_contain_text("covers this button")
    assert here.opcenter.acts == []


async def test_a_double_click_is_one_click(page: Page, here: Stage) -> None:
    """C9."""
    await page.wait_for_timeout(1000)  # seen, so that the first click asks at once
    await widget(page).get_by_role("button", name="Migrate").dblclick()
    sure = widget(page).get_by_role("button", name="Move it to another host now")
    await expect(sure).not_to_have_attribute("aria-disabled", "true")
    assert here.opcenter.acts == []


@pytest.mark.parametrize("path", [f"/w/{OTHER}", f"/login?job={JOB}", f"/confirm?job={JOB}&act=cancel"])
async def test_other_pages_of_ours_cannot_be_framed_here(page: Page, here: Stage, path: str) -> None:
    """C10: neither another job's frame nor a window."""
    async with page.expect_console_message(lambda line: "frame-ancestors" in line.text or "violates" in line.text):
        await page.evaluate(
            "(url) => document.body.append(Object.assign(document.createElement('iframe'), {src: url, id: 'stolen'}))",
            here.control + path,
        )
    assert await page.frame_locator("#stolen").locator("job-control, gateway-window").count() == 0


async def test_another_job_s_page_cannot_hold_this_frame(page: Page, here: Stage) -> None:
    """C10."""
    await page.goto(here.other)
    async with page.expect_console_message(lambda line: "frame-ancestors" in line.text or "violates" in line.text):
        await page.evaluate(
            "(url) => document.body.append(Object.assign(document.createElement('iframe'), {src: url, id: 'stolen'}))",
            f"{here.control}/w/{JOB}",
        )
    assert await page.frame_locator("#stolen").locator("job-control").count() == 0


async def test_a_service_worker_of_the_page_does_not_answer_for_us(page: Page, here: Stage) -> None:
    """It may lie about the page's own port; the frame's origin is not in its scope."""
    await page.route(f"{here.app}/sw.js", lambda route: route.fulfill(
        body="onfetch = (e) => e.respondWith(new Response('<h1>owned</h1>', {headers: {'Content-Type': 'text/html'}}))",
        content_type="text/javascript"))  # fmt: skip
    await page.evaluate("navigator.serviceWorker.register('/sw.js').catch(() => {})")
    await page.evaluate("(url) => { document.querySelector('iframe').src = url; }", f"{here.control}/w/{JOB}")
    await expect(widget(page).locator(".toggle")).to_be_visible()
    await expect(widget(page).locator("h1")).to_have_count(0)


async def test_the_loader_is_bounded_by_the_window_whatever_the_frame_says(page: Page, here: Stage) -> None:
    """The other way round: a frame gone wrong cannot cover the page."""
    frame = page.frame(url=lambda url: "/w/" in url)
    assert frame is not None
    await frame.evaluate("document.querySelector('job-control').place.size(9999, 9999, true)")
    place = await box(page)
    assert place["width"] <= 420
    assert place["height"] <= 560


async def test_no_token_is_in_an_address_or_a_message(page: Page, here: Stage) -> None:
    """C7."""
    frame = page.frame(url=lambda url: "/w/" in url)
    assert frame is not None
    session = json.loads(await frame.evaluate("localStorage.getItem('gw.session')"))
    here.set(JobStatus.SUSPENDED)
    await expect(widget(page).locator(".label")).to_have_text("Suspended")
    for method, path, status, headers in here.requests:
        assert session["token"] not in json.dumps([method, path, status, headers])
    assert session["token"] not in await page.content()
    text = await page.content()
    assert not any(token in text for token in here.opcenter.tokens)


@pytest.mark.parametrize("pause", [120, 700])
async def test_a_frame_that_jumps_under_the_pointer_takes_no_click(page: Page, here: Stage, pause: int) -> None:
    """C9: somebody clicks twice in the page, fast or slowly; for the second click the page puts beneath the pointer a
    question that has stood in plain sight elsewhere for long enough to be answered."""
    await page.evaluate(HOLD_PORT, here.control)  # so that the click in the page does not close the card
    await widget(page).get_by_role("button", name="Migrate").click()
    sure = widget(page).get_by_role("button", name="Move it to another host now")
    at = await sure.bounding_box()
    frame = await box(page)
    assert at is not None
    await page.mouse.move(300, 400)
    await page.wait_for_timeout(1300)
    await expect(sure).not_to_have_attribute("aria-disabled", "true")
    await page.evaluate(
        "([x, y]) => addEventListener('mouseup', () => {"
        "  const style = document.querySelector('iframe').style;"
        "  style.setProperty('inset', 'auto', 'important');"
        "  style.setProperty('left', x + 'px', 'important'); style.setProperty('top', y + 'px', 'important'); })",
        [300 - (at["x"] - frame["x"]) - 20, 400 - (at["y"] - frame["y"]) - 10],
    )
    await page.mouse.click(300, 400)
    await page.wait_for_timeout(pause)
    now = await sure.bounding_box()
    assert now is not None and now["x"] < 300 < now["x"] + now["width"], "it did not jump: this test shows nothing"
    await page.mouse.move(301, 400)
    await page.mouse.click(301, 400)
    await page.wait_for_timeout(400)
    assert here.opcenter.acts == []
    assert not [one for one in here.requests if one[1] == "/api/act"]
    await expect(sure).to_be_visible()


HOLD_PORT = """async (control) => {
  const {port1, port2} = new MessageChannel(); window.held = port1; port1.onmessage = () => {};
  document.querySelector('iframe').contentWindow.postMessage('floatgate', control, [port2]);
  port1.postMessage({view: [1280, 720]}); await new Promise((done) => setTimeout(done, 300)); }"""
NAIVE = """<!DOCTYPE html><html><head><title>naive</title></head><body><button id="migrate">Migrate</button>
<script>
  localStorage.setItem('gw.session', JSON.stringify({token: 'secret'}));
  migrate.onclick = () => fetch('/api/act', {method: 'POST', headers: {'X-Token': 'secret'}});
</script></body></html>"""


async def test_a_naive_build_would_be_caught(browser: Browser, here: Stage) -> None:
    """A panel in the page's own origin, with its token there: the attacks above, on that, succeed."""
    here.html = NAIVE
    async with person(browser) as context:
        page = await context.new_page()
        await page.goto(here.app)
        await page.evaluate("document.body.append(document.createElement('iframe'))")  # what TRY looks into
        assert await page.evaluate(TRY, ["window", here.control, JOB]) != "SecurityError"
        assert "secret" in await page.evaluate("localStorage.getItem('gw.session')")
        async with page.expect_request("**/api/act") as asked:
            await page.evaluate("document.querySelector('#migrate').click()")
        assert (await asked.value).headers["x-token"] == "secret"
