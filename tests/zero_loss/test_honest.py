"""What takes longer than a drain may: sent again if that is harmless, else one honest error."""

from __future__ import annotations

import asyncio

from gateway.config import Limits, Timeouts
from tests.peers import Conversation, backend, eventually
from tests.proxy.harness import gateway

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


async def test_an_upload_that_outlasts_the_drain_is_refused_once() -> None:
    """Its body is too large to be kept, so nobody can send it again."""
    heads: list[bytes] = []
    bodies: list[bytes] = []

    async def script(peer: Conversation) -> None:
        while True:
            heads.append((await peer.head()).split(b"\r\n")[0])
            if b"POST" in heads[-1]:
                bodies.append(await peer.rest())
                return
            await peer.say(OK)

    times, limits = Timeouts(drain=0.5, drain_replayable=0.1), Limits(spool_memory=1000)
    async with backend(script) as (_, host, port), backend(script) as (_, new_host, new_port):
        async with gateway(host, port, timeouts=times, limits=limits) as gate:
            client = await gate.client()
            head = b"POST /slow HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 10000\r\n\r\n"
            await client.say(head + b"x" * 5000)
            await eventually(lambda: bool(heads), "it is inside")
            holding = asyncio.create_task(gate.hold())
            answer, body = await client.answer()
            assert answer.startswith(b"HTTP/1.1 503 ") and b'"LOST"' in body and b"not sent again" in body
            assert b"X-Floatgate-Outcome: LOST" in answer
            assert b"Connection: close" in answer
            await client.say(b"x" * 5000)
            assert await client.rest() == b"", "one error, and the connection ends: the rest of the body is nobody's"
            await holding
            await gate.open(new_host, new_port)
            assert (await gate.ask(gate.get("/next")))[1] == b"ok"
    assert heads == [b"POST /slow HTTP/1.1", b"GET /next HTTP/1.1"], "it was not sent again"


async def test_an_upload_that_outlasts_the_drain_and_may_be_sent_again_is_done_once() -> None:
    """Half of it goes to the old host, then all of it to the new one: only that has the whole."""
    halves: list[bytes] = []
    whole: list[bytes] = []

    async def old(peer: Conversation) -> None:
        if b"PUT" in await peer.head():
            halves.append(await peer.exactly(5000))
            await peer.rest()

    async def new(peer: Conversation) -> None:
        whole.append((await peer.answer())[1])
        await peer.say(OK)

    times = Timeouts(drain=0.5, drain_replayable=0.1)
    async with backend(old) as (_, host, port), backend(new) as (_, new_host, new_port):
        async with gateway(host, port, timeouts=times) as gate:
            client = await gate.client()
            await client.say(b"PUT /x HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 10000\r\n\r\n" + b"x" * 5000)
            await eventually(lambda: bool(halves), "half of it is inside")
            await gate.hold()
            await gate.open(new_host, new_port)
            await client.say(b"y" * 5000)
            assert (await client.answer())[1] == b"ok"
            await client.close()
    assert whole == [b"x" * 5000 + b"y" * 5000]
