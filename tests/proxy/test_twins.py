"""Equal requests that wait before a job: who may have another's answer, and who asks by itself."""

from __future__ import annotations

import asyncio

import pytest

from gateway.config import Limits, Timeouts
from gateway.types import GateState, JobStatus
from tests.peers import Conversation, backend, eventually

from .harness import NAVIGATION, OK, Port, gateway, values_of

PRIVATE = "Cache-Control: max-age=0, Private"
NO_STORE = "Cache-Control: private, no-store"
LOGIN, TOKEN = "Cookie: login=me", "Authorization: token x"


async def line_up(gate: Port, *requests: bytes) -> list[asyncio.Task[tuple[bytes, bytes]]]:
    """Ask all of this before a held gate, one after the other; all but the first of a kind wait for its answer."""
    asks = []
    for count, request in enumerate(requests, 1):
        asks.append(asyncio.create_task(gate.ask(request)))
        await eventually(lambda n=count: gate.gate.waiting + gate.gate.counts["shared"] == n, "it waits")  # type: ignore[misc]
    return asks


@pytest.mark.parametrize(
    ("asked", "answered", "shared"),
    [
        ((), "Set-Cookie: session=%d; HttpOnly", False),
        ((LOGIN,), "Set-Cookie: session=%d; HttpOnly", False),
        ((), PRIVATE, False),
        ((), NO_STORE, False),
        ((), "Vary: Accept, *", False),
        ((LOGIN,), "Vary: *", False),
        ((LOGIN,), NO_STORE, True),
        ((TOKEN,), PRIVATE, True),
        ((), "Cache-Control: no-cache", True),
        ((NAVIGATION, LOGIN), "X-Page: 1", False),
    ],
)
async def test_an_answer_is_shared_only_with_the_same_person(
    asked: tuple[str, ...], answered: str, shared: bool
) -> None:
    count = 0

    async def script(peer: Conversation) -> None:
        nonlocal count
        while True:
            await peer.head()
            count += 1
            line = (answered % count if "%" in answered else answered).encode()
            await peer.say(b"HTTP/1.1 200 OK\r\n%b\r\nX-Count: %d\r\nContent-Length: 2\r\n\r\nok" % (line, count))

    async with gateway() as gate, backend(script) as (_, host, port):
        if NAVIGATION in asked:  # it gets a page at once while the control plane says that the gate is held
            gate.follow(gate=GateState.OPEN, status=JobStatus.EXECUTING, address="127.0.0.1", target_port=1)
            asks = [asyncio.create_task(gate.ask(gate.get("/lab", *asked))) for _ in range(3)]
            await eventually(lambda: gate.gate.waiting + gate.gate.counts["shared"] == 3, "they wait")
        else:
            asks = await line_up(gate, *[gate.get("/api/me", *asked)] * 3)
        await gate.open(host, port)
        heads = [head for head, _ in await asyncio.gather(*asks)]
    assert len({values_of(head, b"x-count")[0] for head in heads}) == count == (1 if shared else 3)


async def test_cookies_of_other_jobs_are_no_login() -> None:
    count = 0

    async def script(peer: Conversation) -> None:
        nonlocal count
        while True:
            assert not values_of(await peer.head(), b"cookie")
            count += 1
            await peer.say(b"HTTP/1.1 200 OK\r\nCache-Control: private\r\nContent-Length: 2\r\n\r\nok")

    async with gateway() as gate, backend(script) as (_, host, port):
        jars = [f"Cookie: gw10001-0123456789.login={who}" for who in ("one", "other")]
        asks = await line_up(gate, *[gate.get("/api/me", jar) for jar in jars])
        await gate.open(host, port)
        await asyncio.gather(*asks)
    assert count == 2


@pytest.mark.parametrize("framing", ["length", "chunks", "close", "cut"])
async def test_who_cannot_have_anothers_answer_does_not_wait_for_the_next_ones(framing: str) -> None:
    """The others are answered when all of them have asked: they would wait for ever if one waited for another."""
    count, all_here = 0, asyncio.Event()
    body = b"x" * 1000
    head = {"length": b"Content-Length: 1000", "chunks": b"Transfer-Encoding: chunked", "cut": b"Content-Length: 10"}

    async def script(peer: Conversation) -> None:
        nonlocal count
        await peer.head()
        count += 1
        if count == 6:
            all_here.set()
        if count > 1:
            await all_here.wait()
            await peer.say(OK)
            return
        await peer.say(b"HTTP/1.1 200 OK\r\n%b\r\n\r\n" % head.get(framing, b"X-Until: close"))
        if framing == "cut":
            await peer.say(b"x")
            await all_here.wait()  # the others do not wait for its end: its length tells
        else:
            await peer.say(b"3e8\r\n%b\r\n0\r\n\r\n" % body if framing == "chunks" else body)

    times = Timeouts(sharing=0.05 if framing == "cut" else 60.0)
    async with gateway(limits=Limits(shared_answer=500), timeouts=times) as gate, backend(script) as (_, host, port):
        first, *others = await line_up(gate, *[gate.get("/poll", LOGIN)] * 6)
        await gate.open(host, port)
        assert {text for _, text in await asyncio.gather(*others)} == {b"ok"}
        await asyncio.gather(first, return_exceptions=True)


async def test_nobody_waits_for_a_poll_that_does_not_end() -> None:
    count, end = 0, asyncio.Event()

    async def script(peer: Conversation) -> None:
        nonlocal count
        await peer.head()
        count += 1
        if count == 1:
            await end.wait()
        await peer.say(OK)

    async with gateway(timeouts=Timeouts(sharing=0.05)) as gate, backend(script) as (_, host, port):
        first, *others = await line_up(gate, *[gate.get("/poll", LOGIN)] * 4)
        await gate.open(host, port)
        assert {body for _, body in await asyncio.gather(*others)} == {b"ok"}
        assert not first.done() and count == 4
        end.set()
        assert (await first)[1] == b"ok"


async def test_a_second_move_makes_them_wait_for_one_again() -> None:
    begun, count = asyncio.Event(), 0

    async def stuck(peer: Conversation) -> None:
        await peer.head()
        begun.set()
        await peer.rest()

    async def alive(peer: Conversation) -> None:
        nonlocal count
        await peer.head()
        count += 1
        await peer.say(OK)

    async with gateway(timeouts=Timeouts(drain_replayable=0.02)) as gate, backend(stuck) as (_, host, port):
        asks = await line_up(gate, *[gate.get("/poll", LOGIN)] * 4)
        await gate.open(host, port)
        await begun.wait()
        await gate.hold()
        await eventually(lambda: gate.gate.waiting == 1, "one is in line")
        async with backend(alive) as (_, host, port):
            await gate.open(host, port)
            assert {body for _, body in await asyncio.gather(*asks)} == {b"ok"}
    assert count == 1


async def test_they_go_on_at_the_pace_of_the_line() -> None:
    now, most, first = 0, 0, True

    async def script(peer: Conversation) -> None:
        nonlocal now, most, first
        while True:
            await peer.head()
            size, first = (1000 if first else 2), False
            now, most = now + 1, max(most, now + 1)
            await asyncio.sleep(0.01)
            now -= 1
            await peer.say(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size + b"x" * size)

    limits, times = Limits(release_width=3, shared_answer=500), Timeouts(release=60.0)
    async with gateway(limits=limits, timeouts=times) as gate, backend(script) as (_, host, port):
        asks = await line_up(gate, *[gate.get("/poll", LOGIN)] * 20)
        await gate.open(host, port)
        await asyncio.wait_for(asyncio.gather(*asks), 10)
    assert most <= 3
