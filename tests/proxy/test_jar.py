"""A host's cookies that are more than a request may carry: programs get 431, a person gets a way out of it."""

from __future__ import annotations

import asyncio
import json
import shutil
from dataclasses import replace

import pytest
from playwright.async_api import async_playwright

from gateway.config import Limits
from gateway.proxy.cookies import expiring
from tests.peers import DEADLINE, Conversation, backend

from .harness import NAVIGATION, Port, gateway, keep_answering, values_of

LOGIN = "gw18888-6e4969a960.username=VERYSECRET"
BOMBS = "; ".join(f"bomb{one}=" + "x" * 4000 for one in range(20))
JAR = f"Cookie: {LOGIN}; {BOMBS}; _xsrf=1"


async def _clear(gate: Port, what: str, *lines: str) -> tuple[bytes, bytes]:
    body = f"cookies={what}"
    extra = "".join(f"{line}\r\n" for line in (JAR, *lines))
    head = f"POST /lab/tree?a=b HTTP/1.1\r\nHost: 127.0.0.1:{gate.number}\r\n{extra}Content-Length: {len(body)}\r\n\r\n"
    return await gate.ask((head + body).encode())


async def test_programs_get_431_and_persons_a_page() -> None:
    async with backend(keep_answering) as (_, host, port), gateway(host, port) as gate:
        head, body = await gate.ask(gate.get("/api", JAR))
        assert head.startswith(b"HTTP/1.1 431 ")
        assert json.loads(body)["reason"] == "COOKIES_TOO_LARGE"
        head, body = await gate.ask(gate.get("/lab", JAR, NAVIGATION))
        assert head.startswith(b"HTTP/1.1 431 ")
        assert b"form-action 'self'" in head and b"logs you out of all sessions" in body
        assert b"SECRET" not in head + body
        head, _ = await gate.ask(gate.get("/.gw/state", JAR))
        assert head.startswith(b"HTTP/1.1 200 ")  # our own addresses need no cookie
        head, _ = await gate.ask(gate.get("/lab", "X: " + "x" * 70_000, NAVIGATION))
        assert head.startswith(b"HTTP/1.1 431 ") and values_of(head, b"content-type") == [b"application/json"]


async def test_a_click_deletes_the_cookies_of_no_session() -> None:
    async with backend(keep_answering) as (_, host, port), gateway(host, port) as gate:
        origin = f"Origin: http://127.0.0.1:{gate.number}"
        head, _ = await _clear(gate, "others", origin)
        assert head.startswith(b"HTTP/1.1 303 ")
        assert values_of(head, b"location") == [f"http://127.0.0.1:{gate.number}/lab/tree?a=b".encode()]
        assert b"bomb19=; Max-Age=0; Path=/" in values_of(head, b"set-cookie")
        assert b"bomb19=; Max-Age=0; Path=/lab" in values_of(head, b"set-cookie")
        assert b"gw18888" not in head and b"Clear-Site-Data" not in head and b"SECRET" not in head
        head, _ = await _clear(gate, "all", origin)
        assert b"gw18888-6e4969a960.username=; Max-Age=0; Path=/" in values_of(head, b"set-cookie")
        assert values_of(head, b"clear-site-data") == [b'"cookies"']


@pytest.mark.parametrize("lines", [(), ("Origin: http://127.0.0.1:1",), ("Origin: null",)])
async def test_only_our_own_page_deletes(lines: tuple[str, ...]) -> None:
    async with backend(keep_answering) as (_, host, port), gateway(host, port) as gate:
        head, _ = await _clear(gate, "all", *lines)
        assert head.startswith(b"HTTP/1.1 431 ") and b"Set-Cookie" not in head


async def test_large_heads_are_counted() -> None:
    limits = replace(Limits(), large_heads=1)
    async with backend(keep_answering) as (_, host, port), gateway(host, port, limits=limits) as gate:
        begun = f"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n{JAR}".encode()

        async def begin() -> Conversation:
            client = await gate.client()
            await client.say(begun)
            return client

        first = await begin()
        head, _ = await (await begin()).answer()
        assert b"HEADERS_TOO_LARGE" in head
        await first.say(b"\r\n\r\n")
        assert b"COOKIES_TOO_LARGE" in (await first.answer())[0]
        second = await begin()
        await second.close()

        async with asyncio.timeout(DEADLINE):
            while b"COOKIES_TOO_LARGE" not in (await gate.ask(begun + b"\r\n\r\n"))[0]:
                pass  # until its end is noticed


def test_what_is_deleted_where() -> None:
    lines = expiring(b"a=1; gw1-0123456789.b=2; =c; d; __Host-e=3", b"/x/y?z", "n.example.com", every=False, room=9999)
    assert b"a=; Max-Age=0; Path=/; Domain=example.com" in lines and b"a=; Max-Age=0; Path=/x/" in lines
    assert b"=x; Max-Age=0; Path=/x/y" in lines and not [one for one in lines if b"gw1-" in one or b"z" in one]
    assert b"__Host-e=; Max-Age=0; Secure; HttpOnly; Path=/" in lines
    few = expiring(b"small=1; large=" + b"x" * 99, b"/", "127.0.0.1", every=True, room=60)
    assert few == [b"large=; Max-Age=0; Path=/"]


async def test_a_browser_gets_out() -> None:
    """A page of another port has filled the jar; one click, and the session is there again, still logged in."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("no Chromium")

    async def job(peer: Conversation) -> None:
        while True:
            await peer.head()
            body = b"<!doctype html><html><head></head><body>the job"
            lines = b"Content-Type: text/html\r\nSet-Cookie: username=me; HttpOnly\r\nContent-Length: %d" % len(body)
            await peer.say(b"HTTP/1.1 200 OK\r\n%b\r\n\r\n%b" % (lines, body))

    bombs = "for (let i = 0; i < 30; i++) document.cookie = `bomb${i}=${'x'.repeat(4000)}; path=/${i % 2 ? 'lab' : ''}`"
    async with async_playwright() as playwright, backend(job) as (_, host, port), gateway(host, port) as gate:
        browser = await playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        try:
            page = await browser.new_page()
            url = f"http://127.0.0.1:{gate.number}/lab/tree?a=b"
            await page.goto(url)
            await page.evaluate(bombs)
            assert await page.evaluate("document.cookie.length") > 120_000  # reading waits until they are written
            answer = await page.goto(url)
            assert answer is not None and answer.status == 431
            await page.get_by_role("button", name="Delete the other cookies").click()
            await page.get_by_text("the job").wait_for()
            assert page.url == url
            names = {one["name"] for one in await page.context.cookies()}
            assert sorted(name.rpartition(".")[2] for name in names) == ["seen", "username"]
        finally:
            await browser.close()
