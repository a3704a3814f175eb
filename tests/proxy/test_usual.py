"""usual.py: what is remembered of a head makes no difference but the time that it takes."""

from __future__ import annotations

from dataclasses import replace

import httptools
from hypothesis import given
from hypothesis import strategies as st

from gateway.config import Limits
from gateway.proxy.documents import Documents
from gateway.proxy.headers import Visit
from gateway.proxy.heads import BadHead, StraightAnswer, read_answer
from gateway.proxy.usual import Usual
from gateway.proxy.weave import Weave
from gateway.types import JobId
from tests.peers import Conversation, backend

from .harness import gateway

VISIT = Visit("10.1.2.3", "http", b"gw:10000", "gw10000-0123456789.")
LINES = st.lists(
    st.sampled_from(
        [
            *(b"Content-Length: 3", b"content-length:3", b"Content-Length: 4", b"Transfer-Encoding: chunked"),
            *(b"Connection: keep-alive", b"connection: close", b"Connection: X-Other", b"Keep-Alive: 5", b"Upgrade: x"),
            *(
                b"Set-Cookie: a=1",
                b"X: \x00",
                b"X: a\r\n folded",
                b"Date: now",
                b"Content-Type: text/html",
                b"Trailer: x",
            ),
        ]
    ),
    max_size=5,
)
FIRST = st.sampled_from(
    [
        b"HTTP/1.1 200 OK",
        b"HTTP/1.0 200 OK",
        b"HTTP/1.1 204 No",
        b"HTTP/1.1 101 Up",
        b"HTTP/1.1 100 Go",
        b"HTTP/2 200 x",
    ]
)
PIECES = st.lists(
    st.sampled_from(
        [b"<!doctype html>", b"<html>", b"<html lang='x'>", b"<head>", b"<p>", b" ", b"{", b"<!-- ", b"-->"]
    )
)


def read(head: bytes) -> StraightAnswer | None:
    """What heads.py says of it when it is new."""
    try:
        return read_answer(head, b"GET", VISIT, httptools.HttpResponseParser(object()))
    except BadHead:
        return None


@given(FIRST, LINES, st.sampled_from([b"", b"abc", b"abcd"]))
def test_an_answer_is_what_it_was_the_first_time(first: bytes, lines: list[bytes], body: bytes) -> None:
    head = b"".join(line + b"\r\n" for line in [first, *lines, b""])
    usual = Usual(Limits())
    found = [usual.answer(head + body) for _ in range(2)]
    assert found[0] == found[1]
    if found[0] is not None:
        whole, out = found[0]
        answer = read(head)
        assert answer is not None and answer.length == len(body) and not answer.chunked
        assert out == answer.head + body
        assert (whole.status, whole.size, whole.keep) == (answer.status, len(body), answer.keep)


def test_the_body_is_measured_each_time() -> None:
    usual, head = Usual(Limits()), b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n"
    assert usual.answer(head + b"abc") is not None
    assert [usual.answer(head + body) for body in (b"", b"ab", b"abcd", head + b"abc")] == [None] * 4


def test_a_head_without_an_end_is_nothing_usual() -> None:
    usual = Usual(Limits())
    assert usual.answer(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n") is None
    assert usual.answer(b"") is None and usual.page(b"", VISIT) is None


@given(PIECES.map(lambda pieces: b"".join(pieces) + b"!"))
def test_a_document_is_woven_as_it_was_the_first_time(page: bytes) -> None:
    head = b'HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nETag: "a"\r\nContent-Length: %d\r\n\r\n' % len(page)
    answer = read(head)
    assert answer is not None
    written = Documents(JobId("j1"), 10100).written(200, head, VISIT, body=True)
    usual = Usual(Limits())
    assert usual.page(head + page, VISIT) is None
    usual.learn(head, answer, written, VISIT)
    found = usual.page(head + page, VISIT)
    if found is not None:
        assert found[1] == Weave(written, len(page), Limits().inject_scan).feed(page, last=True)
        assert found[0].status == 200 and found[0].keep
    else:
        assert not page.lower().startswith((b"<!doctype html><head>", b"<!doctype html><html><head>"))


def test_a_document_for_another_host_is_another_one() -> None:
    """The policy that lets the script in names the host."""
    policy = b"Content-Security-Policy: script-src 'self'"
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n%b\r\nContent-Length: 22\r\n\r\n" % policy
    page = b"<!doctype html><head>x"
    answer = read(head)
    assert answer is not None
    usual = Usual(Limits())
    usual.learn(head, answer, Documents(JobId("j1"), 10100).written(200, head, VISIT, body=True), VISIT)
    assert usual.page(head + page, VISIT) is not None
    assert usual.page(head + page, replace(VISIT, client="10.9.9.9")) is not None
    assert usual.page(head + page, replace(VISIT, host=b"other:10000")) is None
    assert usual.page(head + page, replace(VISIT, scheme="https")) is None


def test_heads_that_never_come_again_take_no_memory_for_good() -> None:
    usual, documents = Usual(Limits()), Documents(JobId("j1"), 10100)
    for number in range(1000):
        head = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nX-Id: %d\r\nContent-Length: 0\r\n\r\n" % number
        usual.answer(head)
        answer = read(head)
        assert answer is not None
        usual.learn(head, answer, documents.written(200, head, VISIT, body=True), VISIT)
    assert 0 < len(usual._answers) <= 256 and 0 < len(usual._pages) <= 256
    long = b"HTTP/1.1 200 OK\r\nX: %b\r\nContent-Length: 0\r\n\r\n" % (b"x" * 5000)
    assert usual.answer(long) is not None and long not in usual._answers


async def test_a_page_that_is_asked_for_again_comes_again() -> None:
    """On sockets, with a job that changes its page, and its policy, between two answers."""
    page = b"<!doctype html>\n<html>\n<head>\n<title>%d</title></head><body></body></html>"
    policies = [b"", b"", b"", b"Content-Security-Policy: script-src 'strict-dynamic' 'sha256-x'\r\n", b"", b""]

    async def script(peer: Conversation) -> None:
        for number, policy in enumerate(policies):
            await peer.head()
            body = page % (number // 2)
            head = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n%bContent-Length: %d\r\n\r\n" % (policy, len(body))
            await peer.say(head + body)

    async with backend(script) as (_, host, port), gateway(host, port) as gate:
        client = await gate.client()
        bodies = []
        for _ in policies:
            await client.say(gate.get("/doc", "Accept: text/html,*/*"))
            head, body = await client.answer()
            assert head.startswith(b"HTTP/1.1 200 OK\r\nContent-Type: text/html")
            tag = body[body.index(b"<script") : body.index(b"</script>") + 9]
            bodies.append(body.replace(tag, b"") + b"!" * (b"nonce" in tag))
    assert bodies == [page % (number // 2) + b"!" * (number == 3) for number in range(len(policies))]
