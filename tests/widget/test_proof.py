"""Checks of the whole: the page with hung requests, without a loader, without a net, in every policy."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest
from playwright.async_api import Browser, expect

from gateway.proxy.csp import Amended, amend
from gateway.types import JobStatus
from widget.assets import loader

from .stage import JOB, Stage
from .test_browser import FRAME, log_in, person, widget

pytestmark = pytest.mark.browser


async def test_the_state_comes_at_once_while_the_page_s_own_requests_hang(browser: Browser, here: Stage) -> None:
    """C11: a browser opens six connections to a port; all of the job's are in use."""
    async with person(browser) as context:
        page = await context.new_page()
        await page.goto(here.app)
        await expect(widget(page).locator(".label")).to_have_text("Executing")
        frame = page.frame(url=lambda url: "/w/" in url)
        assert frame is not None
        await page.evaluate("() => { for (let i = 0; i < 8; i++) fetch('/hang?' + i).catch(() => {}); }")
        await asyncio.wait_for(here.hung.wait(), 10)
        took = await frame.evaluate(
            "async (job) => { const from = performance.now(); await (await fetch('/api/state/' + job)).json();"
            " return performance.now() - from; }",
            JOB,
        )
        assert took <= 300
        told = asyncio.create_task(widget(page).locator(".label", has_text="Suspended").wait_for())
        await asyncio.sleep(0)
        from_ = time.monotonic()
        here.set(JobStatus.SUSPENDED)
        await told
        assert time.monotonic() - from_ <= 1.0, "and it is on the screen, however busy this machine is"


@pytest.mark.parametrize("how", ["404", "throws", "hangs"])
async def test_the_app_works_when_the_loader_does_not(browser: Browser, here: Stage, how: str) -> None:
    """C16."""
    path = loader(JOB, here.control_port).path

    async def answer(route: Any) -> None:
        match how:
            case "404":
                await route.fulfill(status=404, body="")
            case "throws":
                await route.fulfill(body="throw new Error('broken')", content_type="text/javascript")
            case "hangs":
                await asyncio.sleep(1)
                await route.abort()

    async with person(browser) as context:
        page = await context.new_page()
        await page.route(f"**{path}", answer)
        await page.goto(here.app)
        await page.locator("#cell").fill("2 + 2")
        await expect(page.locator("#cell")).to_have_value("2 + 2")
        await expect(page.locator(FRAME)).to_have_count(0)


async def test_no_other_host_is_asked_for_anything(browser: Browser, here: Stage) -> None:
    """C17: through everything that the widget, its windows and the pages can show."""
    asked = set()
    async with person(browser) as context:
        context.on("request", lambda request: asked.add(request.url.split("/")[2]))
        page = await context.new_page()
        await page.goto(here.app)
        await log_in(page)
        async with context.expect_page() as opening:
            await widget(page).get_by_role("link", name="Suspend…").click()
        await expect((await opening.value).locator("dl")).to_be_visible()
        here.set(JobStatus.FLOATING, 9)
        await expect(widget(page).locator(".alert")).to_be_visible()
        for status in (JobStatus.STARTING, JobStatus.SUSPENDED, JobStatus.COMPLETED):
            here.set(status)
            other = await context.new_page()
            await other.goto(here.app)
            await expect(widget(other).locator(".label")).not_to_be_empty()
            await other.close()
    assert asked == {f"127.0.0.1:{here.app_port}", f"127.0.0.1:{here.control_port}"}


@pytest.mark.parametrize("policy", [
    "default-src 'none'; script-src 'nonce-app'; style-src 'nonce-app'",
    "default-src 'self'; script-src 'self' 'nonce-app'; frame-src 'none'",
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'",
    "script-src 'strict-dynamic' 'nonce-app' https:; object-src 'none'; base-uri 'none'",
    "default-src 'nonce-app' 'self'; child-src 'none'; require-trusted-types-for 'script'; trusted-types 'none'",
    "default-src 'nonce-app' 'self', script-src 'nonce-app' 'unsafe-inline'",
])  # fmt: skip
async def test_it_runs_in_every_policy_and_the_app_s_own_script_too(browser: Browser, here: Stage, policy: str) -> None:
    """C4, with the amendment that the proxy makes. An app's script that ran before runs afterwards."""
    asset = loader(JOB, here.control_port)
    made = amend(
        [(b"Content-Security-Policy", policy.encode())],
        loader_url=here.app + asset.path,
        control_origin=here.control,
        app_origin=here.app,
        fresh_nonce=b"fresh",
    )
    assert isinstance(made, Amended)
    here.headers = {name.decode(): value.decode() for name, value in made.headers}
    if made.nonce:
        nonce = made.nonce.decode()
        here.html = here.html.replace("{tag}", f'<script nonce="{nonce}" src="{asset.path}"></script>')
    here.html = here.html.replace("</body>", '<script nonce="app">document.title = "ran"</script></body>')
    async with person(browser) as context:
        page = await context.new_page()
        await page.goto(here.app)
        await expect(page).to_have_title("ran")
        await expect(widget(page).locator(".label")).to_have_text("Executing")
        await expect(page.locator(FRAME)).to_be_visible()
