"""What is not HTTP never reaches the job, and what is odd reaches it clean; the same for what a job answers."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any

import pytest

from gateway.config import Timeouts
from tests.peers import Conversation, backend, eventually

from .corpus import answers, requests, starts
from .corpus.answers import EVIL, Bad, Good
from .corpus.case import SMUGGLED, Case, Reach, get, post
from .corpus.strict import StrictJob
from .harness import Port
from .harness import gateway as open_gateway

REQUESTS = [
    *requests.LENGTH, *requests.CODINGS, *requests.CHUNKS, *requests.LINES,
    *starts.FIRST_LINES, *starts.TARGETS, *starts.FORMS, *starts.HOSTS, *starts.UPGRADES, *starts.SIZES,
]  # fmt: skip
BAD = answers.BAD
GOOD = answers.GOOD
QUICK = Timeouts(head=2.0, body_idle=2.0)  # what the gateway waits for in vain is over soon


@contextmanager
def no_spinning() -> Iterator[None]:
    """Something that burns a processor for seconds is stopped by an exception, so that the test can fail."""

    def stop(*_: object) -> None:
        raise RuntimeError("the gateway spins")

    before = signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, 3.0)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


@asynccontextmanager
async def gateway(*where: Any, **more: Any) -> AsyncIterator[Port]:
    """A gateway's port; its clients leave first, also when the test has failed."""
    with no_spinning():
        async with open_gateway(*where, **more) as gate:
            try:
                yield gate
            finally:
                for client in gate.clients:
                    await client.close()


async def send(client: Conversation, data: bytes) -> None:
    """Send it, although the other side may have heard enough."""
    with suppress(ConnectionError):
        await client.say(data)


async def listen(client: Conversation) -> tuple[int, bytes, bytes]:
    """Status, head and body of the next answer; status 0 when the connection was closed without one."""
    try:
        head, body = await client.answer()
        return int(head.split(b" ")[1]), head, body
    except (asyncio.IncompleteReadError, ConnectionError):
        return 0, b"", b""


async def hear(client: Conversation) -> bytes:
    """All until the connection ends, however it ends."""
    with suppress(ConnectionError):
        return await client.rest()
    return b""


async def check_request(case: Case) -> None:
    """Send the case, then see what came back and what the job saw."""
    job = StrictJob()
    async with backend(job) as (_, host, port), gateway(host, port, timeouts=QUICK) as gate:
        client = await gate.client()
        sending = asyncio.create_task(send(client, case.wire))
        status, head, _ = await listen(client)
        assert status in case.statuses, f"answered {status}, which is not one of {sorted(case.statuses)}"
        if case.then_smuggled:
            assert not (more := await hear(client)), f"somebody answered the second request: {more[:200]!r}"
        await sending
    assert not job.wrong, job.wrong
    if case.reach is Reach.CLEAN and status == 200:
        (seen,) = job.requests
        assert (seen.target, seen.body) == (case.target, case.body)
    else:
        assert not job.requests, "it reached the job"
    if status == 200 and case.reach is Reach.NEVER:
        assert b"X-Floatgate" in head, "the gateway's own answer"


@pytest.mark.parametrize("case", REQUESTS, ids=lambda case: case.name)
async def test_a_request_that_is_not_http(case: Case) -> None:
    await check_request(case)


# The same request by both ways through the gateway; the second has a line that the straight path does not take.
WAYS = {"straight": (), "handler": ("Keep-Alive: 300",)}
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nnext"


class Liar:
    """A job whose first answer is `raw`; the next ones are right."""

    def __init__(self, raw: bytes, *, leaves: bool) -> None:
        self.asked = 0
        self._raw, self._leaves = raw, leaves

    async def __call__(self, peer: Conversation) -> None:
        while True:
            await peer.answer()
            self.asked += 1
            if self.asked > 1:
                await peer.say(OK)
                continue
            await send(peer, self._raw)
            if self._leaves:
                return


async def ask(gate: Port, client: Conversation, method: bytes, *lines: str) -> tuple[bytes, bytes]:
    """Head and body of the final answer to a request without a body; interim answers are passed over."""
    length = ("Content-Length: 0",) if method == b"POST" else ()
    await client.say(gate.get("/x", *lines, *length).replace(b"GET", method, 1))
    head = await client.head()
    for _ in range(20_000):
        if not head.startswith(b"HTTP/1.1 1"):
            break
        head = await client.head()
    if method == b"HEAD" or status_of(head) in (204, 304):
        return head, b""
    return head, await _body(client, head)


def status_of(head: bytes) -> int:
    """Of an answer."""
    return int(head.split(b"\r\n")[0].split(b" ")[1])


async def _body(client: Conversation, head: bytes) -> bytes:
    if b"chunked" not in head.lower():
        return await client.exactly(int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]))
    body = b""
    while size := int((await client.until(b"\r\n")).partition(b";")[0], 16):
        body += await client.exactly(size)
        assert await client.exactly(2) == b"\r\n"
    while await client.until(b"\r\n") != b"\r\n":
        pass  # trailers
    return body


async def ask_next(gate: Port, client: Conversation) -> bytes:
    """What the next request of this browser gets, on the same connection if that was kept."""
    try:
        return (await ask(gate, client, b"GET"))[1]
    except (asyncio.IncompleteReadError, ConnectionError):
        return (await ask(gate, await gate.client(), b"GET"))[1]


async def check_bad_answer(bad: Bad, way: str) -> None:
    """It becomes one error of ours, nothing of it is passed on, and its connection is never used again."""
    job = Liar(bad.raw, leaves=not bad.raw.endswith(b"\r\n\r\n"))
    async with backend(job) as (server, host, port), gateway(host, port, timeouts=QUICK) as gate:
        client = await gate.client()
        head, body = await ask(gate, client, bad.method, *WAYS[way])
        assert status_of(head) == 503, f"{head[:300]!r}"
        assert b"BAD_ANSWER" in body and b"X-Floatgate-Outcome: BAD_ANSWER" in head, f"{head!r} {body[:300]!r}"
        before = server.connections
        assert await ask_next(gate, client) == b"next"
        assert job.asked == 2, "no request was made twice"
        assert server.connections == before + 1, "the connection was not used again"


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("bad", BAD, ids=lambda bad: bad.name)
async def test_an_answer_that_is_not_http(bad: Bad, way: str) -> None:
    await check_bad_answer(bad, way)


async def check_good_answer(good: Good, way: str) -> None:
    """It passes, as long as it lasts, and the next request gets its own answer."""
    job = Liar(good.raw, leaves=bool(good.cut))
    async with backend(job) as (server, host, port), gateway(host, port, timeouts=QUICK) as gate:
        client = await gate.client()
        try:
            head, body = await ask(gate, client, good.method, *WAYS[way])
            assert good.cut is not True, f"this was not all: {body!r}"
            assert (status_of(head), body) == (good.status, good.body)
            assert head.startswith(b"HTTP/1.1 "), "a proxy says its own version"
        except (asyncio.IncompleteReadError, ConnectionError) as error:
            assert good.cut is not False, f"cut short: {error}"
            assert b"evil" not in (error.partial if isinstance(error, asyncio.IncompleteReadError) else b"")
        before = server.connections
        assert await ask_next(gate, client) == b"next", "the next request got its own answer"
        assert job.asked == 2, "no request was made twice"
        assert server.connections == before + (not good.reusable), "the connection to the job"


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("good", GOOD, ids=lambda good: good.name)
async def test_an_odd_answer_passes(good: Good, way: str) -> None:
    await check_good_answer(good, way)


@pytest.mark.parametrize("kind", ["answer", "garbage", "one byte"])
async def test_bytes_that_nobody_asked_for_answer_nobody(kind: str) -> None:
    """Response queue poisoning: they lie on an idle connection when the next request comes."""
    early = {"answer": EVIL, "garbage": b"\x00\x01\x02\r\n\r\n", "one byte": b"H"}[kind]
    peers: list[Conversation] = []

    async def script(peer: Conversation) -> None:
        peers.append(peer)
        while True:
            await peer.head()
            await peer.say(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    async with backend(script) as (server, host, port), gateway(host, port) as gate:
        client = await gate.client()
        await client.say(gate.get())
        assert (await client.answer())[1] == b"ok"
        before = server.connections
        await peers[-1].say(early)
        await eventually(lambda: peers[-1].reader.at_eof() or server.connections > before, "it is closed")
        await client.say(gate.get())
        assert (await client.answer())[1] == b"ok"
        assert server.connections == before + 1


async def test_pipelined_requests_are_answered_in_their_order() -> None:
    job = StrictJob()
    order: list[bytes] = []

    async def script(peer: Conversation) -> None:
        while True:
            head = await peer.head()
            target = head.split(b" ")[1]
            order.append(target)
            await peer.say(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(target), target))

    async with backend(script) as (_, host, port), gateway(host, port) as gate:
        client = await gate.client()
        targets = [b"/%d" % number for number in range(200)]
        sending = asyncio.create_task(client.say(b"".join(gate.get(one.decode()) for one in targets)))
        assert [(await client.answer())[1] for _ in targets] == targets
        assert order == targets
        await sending
    assert not job.wrong


async def test_what_comes_after_a_refusal_is_not_read() -> None:
    """Pipelined: a good request, a bad one, a good one: the last must not be run."""
    job = StrictJob()
    async with backend(job) as (_, host, port), gateway(host, port) as gate:
        client = await gate.client()
        await client.say(gate.get("/first"))
        assert (await listen(client))[0] == 200
        await client.say(get(b"A : b") + SMUGGLED)
        assert (await listen(client))[0] == 400
        assert await hear(client) == b""
    assert [one.target for one in job.requests] == [b"/first"] and not job.wrong


async def test_a_head_that_drips_is_not_waited_for() -> None:
    """Whatever the drip: each byte comes in time, the head does not."""
    job = StrictJob()
    async with backend(job) as (_, host, port), gateway(host, port, timeouts=Timeouts(head=0.5)) as gate:
        client = await gate.client()
        await client.say(b"GET /x HTTP/1.1\r\nHost: 127.0.0.1\r\nA: ")
        async with asyncio.timeout(5):
            while not client.reader.at_eof() and client.reader.exception() is None:
                await send(client, b"b")
                with suppress(TimeoutError):
                    async with asyncio.timeout(0.02):
                        await _closed(client)
    assert not job.requests


async def _closed(client: Conversation) -> None:
    with suppress(ConnectionError, RuntimeError):
        await client.reader.read()


async def test_a_body_that_stops_is_not_waited_for() -> None:
    seen = asyncio.Event()

    async def script(peer: Conversation) -> None:
        await peer.head()
        seen.set()
        await peer.rest()

    async with backend(script) as (_, host, port), gateway(host, port, timeouts=Timeouts(body_idle=0.3)) as gate:
        client = await gate.client()
        await client.say(post(b"Content-Length: 10", body=b"half"))
        await seen.wait()
        status, _, body = await listen(client)
        assert status == 408 and b"BODY_TIMEOUT" in body


async def test_a_body_is_never_unpacked() -> None:
    job = StrictJob()
    packed = bytes.fromhex("1f8b0800000000000003") + bytes(range(256))
    async with backend(job) as (_, host, port), gateway(host, port) as gate:
        client = await gate.client()
        await client.say(post(b"Content-Encoding: gzip", b"Content-Length: %d" % len(packed), body=packed))
        assert (await listen(client))[0] == 200
    assert job.requests[0].body == packed and job.requests[0].values(b"content-encoding") == [b"gzip"]


async def test_a_client_cannot_strip_or_forge_what_we_add() -> None:
    job = StrictJob()
    lines = (
        b"Connection: close, X-Forwarded-For, X-Forwarded-Host, Host, Content-Length, Cookie, X-RStudio-Request",
        b"X-Forwarded-For: 6.6.6.6", b"X_Forwarded_For: 6.6.6.6", b"X-Forwarded_For: 6.6.6.6",
        b"x-forwarded-host: evil.example", b"Forwarded: for=6.6.6.6", b"X-Real-IP: 6.6.6.6", b"Proxy: evil.example",
        b"Cookie: a=b", b"Content-Length: 2",
    )  # fmt: skip
    async with backend(job) as (_, host, port), gateway(host, port) as gate:
        client = await gate.client()
        await client.say(post(*lines, body=b"hi"))
        assert (await listen(client))[0] == 200
    (seen,) = job.requests
    assert seen.values(b"x-forwarded-for") == [b"127.0.0.1"] and seen.values(b"x-forwarded-host") == [b"127.0.0.1"]
    assert seen.values(b"cookie") == [b"a=b"] and seen.body == b"hi"
    assert not [pair for pair in seen.fields if b"evil" in pair[1] or b"6.6.6.6" in pair[1]]


async def test_one_clients_cookies_are_not_anothers() -> None:
    heads: list[bytes] = []

    async def script(peer: Conversation) -> None:
        while True:
            heads.append(await peer.head())
            await peer.say(b"HTTP/1.1 200 OK\r\nSet-Cookie: secret=1; Path=/\r\nContent-Length: 2\r\n\r\nok")

    async with backend(script) as (_, _host, port), gateway("localhost", port) as gate:
        for _ in range(2):
            await gate.ask(gate.get())
        assert len(heads) == 2 and b"secret" not in b"".join(heads)


@pytest.mark.parametrize("where", ["target", "host"])
async def test_pages_of_ours_quote_what_they_are_told(where: str) -> None:
    async with gateway() as gate:
        target = b"/<script>alert(1)</script>?<script>alert(2)</script>" if where == "target" else b"/x"
        name = b"127.0.0.1" if where == "target" else b"<script>alert(3)</script>"
        client = await gate.client()
        await client.say(b"GET %b HTTP/1.1\r\nHost: %b\r\nAccept: text/html\r\n\r\n" % (target, name))
        _, head, body = await listen(client)
        assert b"<script>alert" not in body and b"<script>alert" not in head


@pytest.mark.parametrize("path", ["/.gw/..%2f..%2fetc/passwd", "/.gw/%5c..%5cx", "/.gw//etc/passwd", "/.gw/l.js%00"])
async def test_our_own_addresses_lead_nowhere_else(path: str) -> None:
    async with gateway() as gate:
        head, body = await gate.ask(gate.get(path))
        assert head.startswith(b"HTTP/1.1 404") and b"root:" not in body
