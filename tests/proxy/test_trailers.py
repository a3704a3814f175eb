"""What follows a request's chunked body reaches the job, unless it would say how to read the request, or who asks."""

from __future__ import annotations

import asyncio

import pytest

from gateway.config import Limits
from gateway.proxy import headers
from tests.peers import Conversation, backend

from .harness import OK, gateway

HEAD = b"POST /up HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n"


class Job:
    """Keeps every byte that follows a head with chunks, and answers."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []

    async def __call__(self, peer: Conversation) -> None:
        while True:
            head = await peer.head()
            if b"chunked" in head:
                self.bodies.append(await peer.until(b"0\r\n") + await self.lines(peer))
            await peer.say(OK)

    async def lines(self, peer: Conversation) -> bytes:
        """Up to the empty one."""
        lines = [await peer.until(b"\r\n")]
        while lines[-1] != b"\r\n":
            lines.append(await peer.until(b"\r\n"))
        return b"".join(lines)


async def test_trailers_reach_the_job_request_by_request() -> None:
    job = Job()
    async with backend(job) as (_, host, port), gateway(host, port) as gate:
        client = await gate.client()
        for number in range(3):
            await client.say(HEAD + b"5\r\nhello\r\n")
            await asyncio.sleep(0.01)
            await client.say(b"0\r\nX-Sum: %d\r\nx-second:  b\r\n\r\n" % number)
            assert (await client.answer())[1] == b"ok"
            await client.say(gate.get("/between"))
            assert (await client.answer())[1] == b"ok"
        await client.say(HEAD + b"0\r\n\r\n")
        assert (await client.answer())[1] == b"ok"
    sums = [b"5\r\nhello\r\n0\r\nX-Sum: %d\r\nx-second: b\r\n\r\n" % number for number in range(3)]
    assert job.bodies == [*sums, b"0\r\n\r\n"]


async def test_requests_that_came_together_keep_their_own() -> None:
    """The second waits behind the first; of what shares a read with it nobody knows."""
    job = Job()
    async with backend(job) as (_, host, port), gateway() as gate:
        client = await gate.client()
        for number in range(3):
            await client.say(HEAD + b"1\r\n%d\r\n0\r\nX-Sum: %d\r\n\r\n" % (number, number))
            await asyncio.sleep(0.05)
        await gate.open(host, port)
        for _ in range(3):
            assert (await client.answer())[1] == b"ok"
    assert job.bodies == [b"1\r\n%d\r\n0\r\nX-Sum: %d\r\n\r\n" % (number, number) for number in range(3)]


async def test_they_are_sent_again_with_their_body() -> None:
    """The request waited while the job moved; its first attempt was cut before the job had read all of it."""
    seen: list[bytes] = []
    job = Job()

    async def script(peer: Conversation) -> None:
        if seen:
            await job(peer)
            return
        seen.append(await peer.head())
        peer.reset()

    async with backend(script) as (_, host, port), gateway() as gate:
        client = await gate.client()
        await client.say(HEAD.replace(b"POST", b"PUT") + b"5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n")
        await gate.open(host, port)
        assert (await client.answer())[1] == b"ok"
    assert job.bodies == [b"5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n"]


async def test_too_many_are_refused_and_the_job_never_takes_the_request_for_whole() -> None:
    job = Job()
    async with backend(job) as (_, host, port), gateway(host, port, limits=Limits(head=4096)) as gate:
        lines = b"".join(b"X-%d: %b\r\n" % (number, b"y" * 100) for number in range(60))
        head, _ = await gate.ask(HEAD + b"5\r\nhello\r\n0\r\n" + lines + b"\r\n")
        assert head.startswith(b"HTTP/1.1 431 ")
    assert not job.bodies


@pytest.mark.parametrize(
    "name",
    b"Content-Length Transfer-Encoding Host Cookie Authorization X-Forwarded-For X_Forwarded_For X-RStudio-Request "
    b"Connection Trailer Content-Type Expect Range If-Match X-XSRFToken Content_Length Proxy".split(),
)
def test_what_may_not_stand_behind_a_body(name: bytes) -> None:
    assert headers.request_trailers([(name, b"1"), (b"X-Sum", b"2"), (name.lower(), b"1")]) == b"X-Sum: 2\r\n"
