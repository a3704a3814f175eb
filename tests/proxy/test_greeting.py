"""A port that goes to another job: nothing of the last one may be left in the browser, its service worker least."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import pytest
from playwright.async_api import Page, async_playwright

from gateway.proxy import cookies
from gateway.types import JobId
from tests.peers import Conversation, backend

from .harness import JOB, KEY, gateway, values_of

OTHER = JobId("bbbbbbbbbbbbbbbbbbbbb")
HTML = b"<!doctype html><html><head></head><body>"
CLEAR = [b'"cache", "storage"']
DOCUMENT = ("Accept: text/html", "Sec-Fetch-Dest: document")
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
TAKES_OVER = "oninstall = () => skipWaiting(); onactivate = (event) => event.waitUntil(clients.claim());"
# What becomes of navigations: the answer is read and changed; or nothing is asked at all.
READS = """onfetch = (event) => { if (event.request.mode === "navigate") event.respondWith(fetch(event.request).then(
    async (one) => new Response(`${await one.text()} owned`, { headers: { "Content-Type": "text/html" } }))); }"""
INVENTS = """onfetch = (event) => { if (event.request.mode === "navigate") event.respondWith(
    new Response("owned", { headers: { "Content-Type": "text/html" } })); }"""


def job(pages: dict[bytes, tuple[bytes, bytes]]) -> Callable[[Conversation], Coroutine[Any, Any, None]]:
    """Answers with these types and bodies, else 404."""

    async def serve(peer: Conversation) -> None:
        while True:
            path = (await peer.head()).split(b" ")[1].partition(b"?")[0]
            kind, body = pages.get(path, (b"text/plain", b"nothing"))
            status = b"200 OK" if path in pages else b"404 Not Found"
            lines = b"Content-Type: %b\r\nCache-Control: max-age=9999\r\nContent-Length: %d" % (kind, len(body))
            await peer.say(b"HTTP/1.1 %b\r\n%b\r\n\r\n%b" % (status, lines, body))

    return serve


async def test_the_first_document_forgets_what_was_there_and_the_next_do_not() -> None:
    pages = {b"/": (b"text/html", HTML + b"hello")}
    async with backend(job(pages)) as (_, host, port), gateway(host, port) as gate:
        head, body = await gate.ask(gate.get("/", *DOCUMENT))
        assert values_of(head, b"clear-site-data") == CLEAR and b"/.gw/l." in body
        (seen,) = values_of(head, b"set-cookie")
        pair = seen.partition(b";")[0]
        assert pair == cookies.marker(gate.number, JOB, KEY) and b"; HttpOnly" in seen
        for other in ("Keep-Alive: 1", "X-A: b"):  # both paths
            head, body = await gate.ask(gate.get("/", *DOCUMENT, f"Cookie: a=b; {pair.decode()}", other))
            assert not values_of(head, b"clear-site-data") and not values_of(head, b"set-cookie")
            assert b"/.gw/l." in body
            head, _ = await gate.ask(gate.get("/", "Accept: text/html", other))  # no origin for service workers
            assert not values_of(head, b"clear-site-data") and not values_of(head, b"set-cookie")
            head, _ = await gate.ask(gate.get("/", "Sec-Fetch-Dest: empty", other))
            assert not values_of(head, b"clear-site-data") and not values_of(head, b"set-cookie")
        stale = cookies.marker(gate.number, OTHER, KEY).decode()
        head, _ = await gate.ask(gate.get("/", *DOCUMENT, f"Cookie: {stale}"))
        assert values_of(head, b"clear-site-data") == CLEAR


async def test_our_own_page_greets_too() -> None:
    async with gateway() as gate:
        head, _ = await gate.ask(gate.get("/", *DOCUMENT))
        assert head.startswith(b"HTTP/1.1 503 ") and values_of(head, b"clear-site-data") == CLEAR


async def test_the_script_of_a_worker_is_for_who_has_seen_this_job() -> None:
    script = b"onfetch = () => {}"
    async with backend(job({b"/sw.js": (b"text/javascript", script)})) as (_, host, port), gateway(host, port) as gate:
        head, _ = await gate.ask(gate.get("/sw.js", "Service-Worker: script"))
        assert head.startswith(b"HTTP/1.1 404 ") and values_of(head, b"clear-site-data") == CLEAR
        seen = f"Cookie: {cookies.marker(gate.number, JOB, KEY).decode()}"
        head, body = await gate.ask(gate.get("/sw.js", "Service-Worker: script", seen))
        assert head.startswith(b"HTTP/1.1 200 ") and body == script and not values_of(head, b"clear-site-data")


async def test_an_old_workers_navigation_is_sent_on_without_it() -> None:
    lines = ("Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: empty")
    async with backend(job({b"/": (b"text/html", HTML)})) as (_, host, port), gateway(host, port) as gate:
        head, body = await gate.ask(gate.get("/?a", *lines))
        assert head.startswith(b"HTTP/1.1 307 ") and values_of(head, b"clear-site-data") == CLEAR and not body
        seen = f"Cookie: {cookies.marker(gate.number, JOB, KEY).decode()}"
        assert (await gate.ask(gate.get("/?a", *lines, seen)))[0].startswith(b"HTTP/1.1 200 ")


async def test_the_job_is_not_told_of_our_cookie() -> None:
    marker = cookies.marker(10001, JOB, KEY)
    assert cookies.incoming(b"a=b; " + marker, cookies.prefix(10001, JOB, KEY)) == b"a=b"
    assert cookies.outgoing(marker, cookies.prefix(10001, JOB, KEY)).startswith(
        cookies.prefix(10001, JOB, KEY).encode()
    )


@asynccontextmanager
async def _page() -> AsyncIterator[Page]:
    if CHROMIUM is None:
        pytest.skip("no Chromium")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        try:
            yield await browser.new_page()
        finally:
            await browser.close()


REGISTER = HTML + b"<script>navigator.serviceWorker.register('/sw.js')</script>the first job"


def _hostile(worker: str) -> Callable[[Conversation], Coroutine[Any, Any, None]]:
    return job(
        {
            b"/": (b"text/html", REGISTER),
            b"/sw.js": (b"text/javascript", (TAKES_OVER + worker).encode()),
            b"/lib.js": (b"text/javascript", b"document.title = 'owned'"),
        }
    )


@pytest.mark.parametrize(("worker", "tries"), [(READS, 2), (INVENTS, 5)])
async def test_a_worker_of_the_last_job_does_not_survive(worker: str, tries: int) -> None:
    """One that never asks the network is found out by the browser's update check, a second after a navigation."""
    second = job({b"/": (b"text/html", HTML + b"the second job")})
    async with _page() as page:
        async with backend(_hostile(worker)) as (_, host, port), gateway(host, port) as gate:
            number = gate.number
            await page.goto(f"http://127.0.0.1:{number}/")
            await page.wait_for_function("navigator.serviceWorker.controller !== null")
        async with backend(second) as (_, host, port), gateway(host, port, number=number, job=OTHER):
            seen = []
            for _ in range(tries):
                await page.goto(f"http://127.0.0.1:{number}/")
                seen.append(await page.inner_text("body"))
                if seen[-1] == "the second job":
                    break
                assert "second" not in seen[-1]  # it has read nothing of it
                await asyncio.sleep(2)  # the browser's own pause before its update check is one second
            assert seen[-1] == "the second job", seen
            count = "navigator.serviceWorker.getRegistrations().then((all) => all.length)"
            assert await page.evaluate(count) == 0


async def test_a_job_may_have_a_worker_of_its_own() -> None:
    async with _page() as page, backend(_hostile(READS)) as (_, host, port), gateway(host, port) as gate:
        await page.goto(f"http://127.0.0.1:{gate.number}/")
        await page.wait_for_function("navigator.serviceWorker.controller !== null")
        await page.evaluate("navigator.serviceWorker.ready.then((one) => one.update())")
        await page.goto(f"http://127.0.0.1:{gate.number}/")
        assert "owned" in await page.inner_text("body")
