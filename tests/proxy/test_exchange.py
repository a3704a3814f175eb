"""HTTP through one port: fidelity, hold, retry, refusals. Bytes on real sockets."""

from __future__ import annotations

import asyncio

import pytest

from gateway.config import Timeouts
from gateway.proxy import headers
from gateway.types import Rule
from tests.peers import Conversation, backend

from .harness import JOB, NAVIGATION, OK, gateway, keep_answering, values_of


async def test_target_and_headers_pass_as_they_came() -> None:
    seen: list[bytes] = []

    async def script(peer: Conversation) -> None:
        seen.append(await peer.head())
        await peer.say(
            b"HTTP/1.1 299 Odd Reason\r\nSet-Cookie: a=1\r\nx-CaSe: Kept\r\nSet-Cookie: b=2\r\n"
            b"Content-Length: 0\r\n\r\n"
        )

    async with backend(script) as (_, host, port), gateway(host, port) as gate:
        target = "/a%40b//c/%2e%2e?q=%zz&x=1+2"
        head, _ = await gate.ask(gate.get(target, "X-Odd-Name: Value", "ACCEPT: */*", "X-Odd-Name: again"))
    request = seen[0]
    assert request.startswith(b"GET " + target.encode() + b" HTTP/1.1\r\n")
    assert b"X-Odd-Name: Value\r\nACCEPT: */*\r\nX-Odd-Name: again\r\n" in request
    assert values_of(request, b"host") == [b"127.0.0.1:%d" % gate.number]
    assert head.startswith(b"HTTP/1.1 299 Odd Reason\r\nSet-Cookie: a=1\r\nx-CaSe: Kept\r\nSet-Cookie: b=2\r\n")


async def test_forwarded_lines_are_ours_and_cannot_be_stripped() -> None:
    seen: list[bytes] = []

    async def script(peer: Conversation) -> None:
        seen.append(await peer.head())
        await peer.say(OK)

    async with backend(script) as (_, host, port), gateway(host, port) as gate:
        await gate.ask(
            gate.get(
                "/x?y",
                "Connection: close, X-Forwarded-For, X-Secret",
                "X-Forwarded-For: 6.6.6.6",
                "X_Forwarded_For: 6.6.6.6",
                "Forwarded: for=6.6.6.6",
                "X-RStudio-Request: http://evil/",
                "X-Secret: 1",
                "Proxy: evil",
                "Expect: 100-continue",
            )
        )
    assert values_of(seen[0], b"x-forwarded-for") == [b"127.0.0.1"]
    assert values_of(seen[0], b"x-rstudio-request") == [b"http://127.0.0.1:%d/x?y" % gate.number]
    assert b"6.6.6.6" not in seen[0] and b"X-Secret" not in seen[0] and b"evil" not in seen[0]
    assert b"Expect" not in seen[0]


async def test_known_length_stays_known_and_chunks_stay_chunks() -> None:
    seen: list[tuple[bytes, bytes]] = []

    async def script(peer: Conversation) -> None:
        seen.append(await peer.answer())  # reads a request's body just as well
        await peer.say(OK)

    async with backend(script) as (_, host, port), gateway(host, port) as gate:
        known = b"POST /k HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 5\r\n\r\nhello"
        chunked = b"POST /c HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
        assert (await gate.ask(known))[1] == b"ok"
        assert (await gate.ask(chunked))[1] == b"ok"
    assert [body for _, body in seen] == [b"hello", b"hello"]
    assert values_of(seen[0][0], b"content-length") == [b"5"] and not values_of(seen[0][0], b"transfer-encoding")
    assert values_of(seen[1][0], b"transfer-encoding") == [b"chunked"] and not values_of(seen[1][0], b"content-length")


@pytest.mark.parametrize("method", [b"GET", b"POST"])  # the straight path, and the other
async def test_what_follows_a_chunked_body_goes_on(method: bytes) -> None:
    async def script(peer: Conversation) -> None:
        await peer.head()
        await peer.say(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        await peer.say(b"2\r\nab\r\n0\r\nX-Sum: 1\r\nX-Second: 2\r\n\r\n")

    async with backend(script) as (_, host, port), gateway(host, port) as gate:
        client = await gate.client()
        await client.say(method + b" / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        assert b"chunked" in await client.head()
        assert await client.until(b"\r\n\r\n") == b"2\r\nab\r\n0\r\nX-Sum: 1\r\nX-Second: 2\r\n\r\n"


def test_trailers_say_nothing_about_the_message_itself() -> None:
    lines = [(b"X-Sum", b"1"), (b"Set-Cookie", b"a=1"), (b"content-length", b"3"), (b"Connection", b"close")]
    assert headers.trailers(lines) == [(b"X-Sum", b"1")]


async def test_answers_stream_chunk_by_chunk() -> None:
    go_on = asyncio.Event()

    async def script(peer: Conversation) -> None:
        await peer.head()
        await peer.say(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        await peer.say(b"7\r\ndata: 1\r\n")
        await go_on.wait()
        await peer.say(b"7\r\ndata: 2\r\n0\r\n\r\n")

    async with backend(script) as (_, host, port), gateway(host, port) as gate:
        client = await gate.client()
        await client.say(gate.get("/sse"))
        await client.until(b"data: 1")
        go_on.set()
        await client.until(b"data: 2")
        await client.close()


async def test_an_answer_until_close_and_one_without_body() -> None:
    async def script(peer: Conversation) -> None:
        head = await peer.head()
        if head.startswith(b"HEAD"):
            await peer.say(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        elif b"/304" in head:
            await peer.say(b'HTTP/1.1 304 Not Modified\r\nETag: "x"\r\nContent-Length: 1000\r\n\r\n')
        else:
            await peer.say(b"HTTP/1.0 200 OK\r\n\r\nuntil close")
            await peer.close()

    async with backend(script) as (_, host, port), gateway(host, port) as gate:
        client = await gate.client()
        await client.say(gate.get("/"))
        assert (await client.rest()).endswith(b"\r\n\r\nuntil close")
        client = await gate.client()
        await client.say(gate.get("/").replace(b"GET", b"HEAD"))
        assert values_of(await client.head(), b"content-length") == [b"1000"]
        await client.say(gate.get("/304"))
        assert (await client.head()).startswith(b"HTTP/1.1 304")
        await client.say(gate.get("/last", "Connection: close"))
        assert (await client.rest()).endswith(b"until close\r\n0\r\n\r\n")


async def test_large_bodies_pass_both_ways() -> None:
    size = 30 << 20

    async def script(peer: Conversation) -> None:
        head = await peer.head()
        length = int(values_of(head, b"content-length")[0])
        await peer.say(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % length)
        while length:
            data = await peer.reader.read(1 << 18)
            length -= len(data)
            await peer.say(data)

    async with backend(script) as (_, host, port), gateway(host, port) as gate:
        client = await gate.client()
        payload = bytes(range(256)) * (size // 256)
        await client.say(b"PUT /big HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: %d\r\n\r\n" % size)
        sending = asyncio.create_task(client.say(payload))
        _, body = await client.answer()
        await sending
        assert body == payload
        await client.close()


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"GET http://evil/ HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: user@127.0.0.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n", 421),
        (b"CONNECT 127.0.0.1:1 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", 501),
        (b"TRACE / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", 501),
        (b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: a\x00b\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n folded\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0", 400),
        (b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: +1\r\n\r\na", 400),
        (b"G\x01T / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", 400),
    ],
)
async def test_what_is_ambiguous_never_reaches_the_job(request_bytes: bytes, status: int) -> None:
    async def script(peer: Conversation) -> None:
        await peer.head()
        raise AssertionError("the request reached the job")

    async with backend(script) as (_, host, port), gateway(host, port) as gate:
        client = await gate.client()
        await client.say(request_bytes)
        assert (await client.head()).startswith(b"HTTP/1.1 %d " % status)
        await client.close()


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: a\x00b\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 101 Switching\r\nUpgrade: evil\r\nConnection: Upgrade\r\n\r\n",
        b"garbage\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"a" * (1 << 17) + b"\r\n\r\n",
    ],
)
async def test_a_bad_answer_becomes_one_honest_error(answer: bytes) -> None:
    async def script(peer: Conversation) -> None:
        await peer.head()
        await peer.say(answer)
        await peer.rest()

    async with backend(script) as (server, host, port), gateway(host, port) as gate:
        head, body = await gate.ask(gate.get())
        assert head.startswith(b"HTTP/1.1 503 ") and b"BAD_ANSWER" in body
        probes = 1
        assert server.connections == probes + 1, "it was not asked twice"


async def test_security_groups_hold_on_accept() -> None:
    async with backend(keep_answering) as (_, host, port):
        async with gateway(host, port, rules=(Rule(1, 65535, "10.0.0.0/8"),)) as gate:
            client = await gate.client()
            assert await client.rest() == b""


async def test_a_head_that_drips_is_cut_at_its_deadline() -> None:
    async with gateway(timeouts=Timeouts(head=0.2)) as gate:
        client = await gate.client()
        await client.say(b"GET / HTTP/1.1\r\nHost: 127")
        assert await client.rest() == b""


async def test_documents_get_the_tag_once_and_other_answers_do_not() -> None:
    page = b"<!doctype html><html><head><title>x</title></head><body>hi</body></html>"

    async def script(peer: Conversation) -> None:
        while True:
            head = await peer.head()
            assert b"/doc" not in head or values_of(head, b"accept-encoding") == [b"identity"]
            kind = b'Content-Type: text/html\r\nETag: "e"\r\n'
            await peer.say(b"HTTP/1.1 200 OK\r\n%bContent-Length: %d\r\n\r\n%b" % (kind, len(page), page))

    async with backend(script) as (_, host, port), gateway(host, port) as gate:
        head, body = await gate.ask(gate.get("/doc", NAVIGATION, "Accept-Encoding: gzip"))
        tag = body[body.index(b"<script") : body.index(b"</script>") + 9]
        assert body.replace(tag, b"") == page and body.count(b"<script") == 1
        assert values_of(head, b"etag") and values_of(head, b"etag") != [b'"e"']
        path = tag.partition(b'src="')[2].partition(b'"')[0].decode()
        head, script_body = await gate.ask(gate.get(path))
        assert head.startswith(b"HTTP/1.1 200") and b"immutable" in head and script_body
        _, body = await gate.ask(gate.get("/frame", NAVIGATION, "Sec-Fetch-Dest: iframe"))
        assert body == page
        _, body = await gate.ask(gate.get("/xhr", "Accept: */*"))
        assert body == page


async def test_the_public_state_is_public_and_nothing_else_is_there() -> None:
    async with gateway() as gate:
        head, body = await gate.ask(gate.get("/.gw/state"))
        assert head.startswith(b"HTTP/1.1 200") and b'"status": "Starting"' in body and b"token" not in body
        head, _ = await gate.ask(gate.get("/.gw/../../etc/passwd"))
        assert head.startswith(b"HTTP/1.1 404")


async def test_an_event_stream_goes_on_after_a_move() -> None:
    """Whole events, once, in order; the new server is asked for what follows the last one."""
    heads: list[bytes] = []

    def server(first: bytes, *, ends: bool):  # type: ignore[no-untyped-def]
        async def script(peer: Conversation) -> None:
            heads.append(await peer.head())
            await peer.say(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
            await peer.say(b"%x\r\n%b\r\n" % (len(first), first) + b"0\r\n\r\n" * ends)
            await peer.rest()

        return script

    old = server(b"id: 1\ndata: one\n\nid: 2\ndata: two\n\nid: 3\ndata: cut in t", ends=False)
    new = server(b"id: 3\ndata: three\n\n", ends=True)
    quick = Timeouts(drain_replayable=0.05, ping=0.02)
    async with backend(old) as (_, host, port), gateway(host, port, timeouts=quick) as gate:
        client = await gate.client()
        await client.say(gate.get("/events", "Accept: text/event-stream"))
        got = await client.until(b"data: two\n\n")
        await gate.hold()
        got += await client.until(b": the job moves\n\n")
        async with backend(new) as (_, new_host, new_port):
            await gate.open(new_host, new_port)
            got += await client.until(b"\r\n0\r\n\r\n")
    assert b"cut in t" not in got and got.count(b"data: ") == 3
    assert values_of(heads[1], b"last-event-id") == [b"2"] and not values_of(heads[0], b"last-event-id")


async def test_a_304_carries_the_amended_policy_and_our_own_etag() -> None:
    """A browser stores the lines of a 304 in the place of those it has: an unamended policy would block the widget."""
    policy = b"Content-Security-Policy: script-src 'self'; frame-src 'none'\r\n"

    async def script(peer: Conversation) -> None:
        while True:
            head = await peer.head()
            if values_of(head, b"if-none-match") == [b'"v1"']:
                await peer.say(b'HTTP/1.1 304 Not Modified\r\nETag: "v1"\r\n%b\r\n' % policy)
                continue
            assert not values_of(head, b"if-none-match"), "a validator that is not of our form never reaches the job"
            kind = b'Content-Type: text/html\r\nETag: "v1"\r\n' + policy
            await peer.say(b"HTTP/1.1 200 OK\r\n%bContent-Length: 13\r\n\r\n<head></head>" % kind)

    async with backend(script) as (_, host, port), gateway(host, port) as gate:
        head, _ = await gate.ask(gate.get("/", NAVIGATION, 'If-None-Match: "v1"'))
        (etag,) = values_of(head, b"etag")
        first = values_of(head, b"content-security-policy")
        assert b"http://127.0.0.1:10100" in first[0]
        head, _ = await gate.ask(gate.get("/", NAVIGATION, f"If-None-Match: {etag.decode()}"))
        assert head.startswith(b"HTTP/1.1 304") and values_of(head, b"etag") == [etag]
        assert values_of(head, b"content-security-policy") == first


async def test_a_refusal_does_not_name_the_job() -> None:
    """It goes to whoever can connect, and to any page of this host."""

    async def broken(peer: Conversation) -> None:
        await peer.head()
        await peer.say(b"no HTTP\r\n\r\n")

    async with backend(broken) as (_, host, port), gateway(host, port) as gate:
        refused = [
            await gate.ask(b"GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n"),
            await gate.ask(gate.get("/")),
            await gate.ask(gate.get("/", "Keep-Alive: 300")),
            await gate.ask(gate.get("/.gw/nothing")),
        ]
        assert [head.split(b" ")[1] for head, _ in refused] == [b"421", b"503", b"503", b"404"]
        assert not [one for head, body in refused for one in (head, body) if JOB.encode() in one]
