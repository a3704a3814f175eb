"""Documents on both paths: the same request for the job, the same page for the browser, whatever the framing."""

from __future__ import annotations

import asyncio
import gzip
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.proxy import headers
from gateway.proxy.documents import Documents, Written
from gateway.proxy.headers import RawHeaders, Visit, fields_of
from gateway.proxy.inject import Injector
from gateway.proxy.weave import Weave
from gateway.types import JobId
from tests.peers import Conversation, backend

from .harness import Port, gateway

VISIT = Visit("10.1.2.3", "http", b"gw:10000", "gw10000-0123456789.")
TAG = b'<script src="/.gw/l.js"></script>'
PAGE = b"<!doctype html>\n<html lang='en'>\n<head>\n<title>t</title></head><body>" + b"x" * 3000 + b"</body></html>"
NAVIGATION = "Accept: text/html,*/*;q=0.8"
OTHER_PATH = "Keep-Alive: timeout=5"  # a line that the straight path leaves to the other, which drops it


def documents() -> Documents:
    return Documents(JobId("j1"), 10100)


def answer_head(lines: list[bytes], status: bytes = b"200 OK") -> bytes:
    return b"HTTP/1.1 " + status + b"\r\n" + b"".join(line + b"\r\n" for line in lines) + b"\r\n"


lines = st.lists(
    st.sampled_from(
        [
            *(
                b"Server: Tornado/6",
                b"Date: Sat, 21 Nov 2026 20:00:00 GMT",
                b"date:now",
                b'ETag: "abc%d"',
                b"ETag: odd",
            ),
            *(
                b'etag: W/"weak"',
                b"Last-Modified: then",
                b"Content-Length: 12",
                b"Set-Cookie: a=1; Path=/",
                b"Vary: Accept",
            ),
            *(b"Content-Security-Policy: default-src 'self'", b"Content-Security-Policy: script-src 'strict-dynamic'"),
            *(b"X-100%: %b", b"Content-Encoding: gzip", b"Content-Disposition: attachment", b"Cache-Control: no-cache"),
        ]
    ),
    max_size=6,
    unique_by=lambda line: line.partition(b":")[0].lower(),
)


@given(lines, st.sampled_from([200, 302, 304, 404]), st.booleans())
def test_a_head_as_bytes_becomes_what_its_lines_become(some: list[bytes], status: int, html: bool) -> None:
    kind = b"Content-Type: text/html; charset=utf-8" if html else b"Content-Type: application/json"
    made = documents()
    head = answer_head([kind, *some], b"%d Some" % status)
    written = made.written(status, head, VISIT, body=status != 304)
    first, _, rest = written.head.partition(b"\r\n")
    page = made.answered(status, fields_of(b"\r\n" + head.partition(b"\r\n")[2]), VISIT, body=status != 304)
    assert first == b"HTTP/1.1 %d Some" % status and written.coded == page.coded
    assert bool(written.tag) == bool(page.tag)
    if b" nonce=" not in page.tag:
        assert fields_of(b"\r\n" + rest + b"\r\n") == page.lines and written.tag == page.tag


def test_a_nonce_serves_one_answer() -> None:
    made = documents()
    head = answer_head([b"Content-Type: text/html", b"Content-Security-Policy: script-src 'strict-dynamic' 'sha256-x'"])
    tags = {made.written(200, head, VISIT, body=True).tag for _ in range(3)}
    assert len(tags) == 3 and all(b" nonce=" in tag for tag in tags)


def unframed(data: bytes) -> tuple[dict[bytes, bytes], bytes]:
    """Lines of framing, and the body that they frame."""
    head, _, body = data.partition(b"\r\n\r\n")
    found = dict(fields_of(b"\r\n" + head.partition(b"\r\n")[2] + b"\r\n\r\n"))
    if b"Content-Length" in found:
        assert len(body) == int(found[b"Content-Length"])
        return found, body
    out = b""
    while size := int(body.partition(b"\r\n")[0], 16):
        start = body.index(b"\r\n") + 2
        out += body[start : start + size]
        assert body[start + size : start + size + 2] == b"\r\n"
        body = body[start + size + 2 :]
    assert body == b"0\r\n\r\n"
    return found, out


pieces = st.lists(
    st.sampled_from([b"<!doctype html>", b"<html>", b"<head>", b"<p>", b" ", b"{", b"<!-- ", b"-->", b"<"])
)


@given(pieces.map(b"".join), st.lists(st.integers(1, 9)), st.booleans())
def test_any_document_in_any_chunks_is_framed_right(page: bytes, cuts: list[int], length_known: bool) -> None:
    weave = Weave(Written(b"HTTP/1.1 200 OK\r\n", TAG, False), len(page) if length_known else None, 4096)
    out, at = b"", 0
    for cut in cuts:
        if at + cut < len(page):
            out += weave.feed(page[at : at + cut], last=False)
            at += cut
    out += weave.feed(page[at:], last=True)
    injector = Injector(TAG, 4096)
    assert unframed(out)[1] == injector.feed(page) + injector.finish()


def test_a_document_whose_length_is_known_keeps_one() -> None:
    weave = Weave(Written(b"HTTP/1.1 200 OK\r\n", TAG, False), len(PAGE), 4096)
    found, body = unframed(weave.feed(PAGE[:200], last=False) + weave.feed(PAGE[200:], last=True))
    assert int(found[b"Content-Length"]) == len(PAGE) + len(TAG) == len(body)


async def ask_both_ways(gate: Port, *more: str) -> list[tuple[bytes, bytes]]:
    return [await gate.ask(gate.get("/doc", NAVIGATION, *way, *more)) for way in ((), (OTHER_PATH,))]


def sorted_lines(head: bytes) -> RawHeaders:
    framing = (b"transfer-encoding", b"content-length", b"date")
    return sorted(headers.without(fields_of(b"\r\n" + head.partition(b"\r\n")[2]), *framing))


@pytest.mark.parametrize("framing", ["length", "chunked", "one byte a chunk", "close", "late"])
async def test_both_paths_give_the_same_page(framing: str) -> None:
    asked: list[bytes] = []

    async def script(peer: Conversation) -> None:
        asked.append(await peer.head())
        kind = b'HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nETag: "v1"\r\nSet-Cookie: s=1\r\n'
        match framing:
            case "length":
                await peer.say(kind + b"Content-Length: %d\r\n\r\n" % len(PAGE) + PAGE)
            case "late":
                await peer.say(kind + b"Content-Length: %d\r\n\r\n" % len(PAGE))
                for at in range(0, len(PAGE), 1000):
                    await asyncio.sleep(0.01)
                    await peer.say(PAGE[at : at + 1000])
            case "close":
                await peer.say(kind + b"\r\n" + PAGE)
            case _:
                size = 1 if framing == "one byte a chunk" else 500
                parts = [PAGE[at : at + size] for at in range(0, len(PAGE), size)]
                body = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts)
                await peer.say(kind + b"Transfer-Encoding: chunked\r\n\r\n" + body + b"0\r\n\r\n")

    async with backend(script) as (_, host, port), gateway(host, port) as gate:
        (head, body), (other_head, other_body) = await ask_both_ways(gate, "Cookie: a=1", 'If-None-Match: "x"')
        assert body == other_body and body.count(b"<script") == 1
        assert sorted_lines(head) == sorted_lines(other_head)
        assert asked[0] == asked[1], "the job was asked the same"


async def test_a_document_comes_as_it_is_made() -> None:
    more = asyncio.Event()

    async def script(peer: Conversation) -> None:
        await peer.head()
        await peer.say(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nTransfer-Encoding: chunked\r\n\r\n")
        await peer.say(b"a\r\n<head>one \r\n")
        await more.wait()
        await peer.say(b"3\r\ntwo\r\n0\r\n\r\n")

    async with backend(script) as (_, host, port), gateway(host, port) as gate:
        client = await gate.client()
        await client.say(gate.get("/", NAVIGATION))
        assert b"chunked" in await client.head()
        assert (await client.until(b"one ")).endswith(b"</script>one ")
        more.set()
        assert (await client.until(b"0\r\n\r\n")).endswith(b"3\r\ntwo\r\n0\r\n\r\n")


async def test_a_coded_document_finds_the_other_path_and_is_not_asked_for_twice_again() -> None:
    asked: list[bytes] = []

    async def script(peer: Conversation) -> None:
        while True:
            asked.append(await peer.head())
            body = gzip.compress(PAGE)
            coded = b"Content-Type: text/html\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(body)
            await peer.say(b"HTTP/1.1 200 OK\r\n" + coded + body)

    async with backend(script) as (_, host, port), gateway(host, port) as gate:
        for _ in range(3):
            head, body = await gate.ask(gate.get("/doc", NAVIGATION))
            tag = body[body.index(b"<script") : body.index(b"</script>") + 9]
            assert body.replace(tag, b"") == PAGE and b"gzip" not in head
    assert len(asked) == 4 and all(b"Accept-Encoding: identity" in one for one in asked)


@pytest.mark.parametrize("way", [(), (OTHER_PATH,)])
async def test_a_document_that_is_cut_is_not_taken_for_whole(way: tuple[str, ...]) -> None:
    async def script(peer: Conversation) -> None:
        await peer.head()
        await peer.say(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nConnection: close\r\n\r\n" + PAGE)
        await asyncio.sleep(0.05)
        peer.reset()

    async with backend(script) as (_, host, port), gateway(host, port) as gate:
        with pytest.raises(asyncio.IncompleteReadError):
            await gate.ask(gate.get("/", NAVIGATION, *way))


def test_another_scheme_is_another_head() -> None:
    made = documents()
    head = answer_head([b"Content-Type: text/html", b"Content-Security-Policy: script-src https://cdn.example"])
    plain, safe = (made.written(200, head, replace(VISIT, scheme=one), body=True).head for one in ("http", "https"))
    assert b"http://gw:10000/.gw/" in plain and b"https://gw:10000/.gw/" in safe
