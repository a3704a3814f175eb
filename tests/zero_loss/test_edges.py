"""What is easily lost, or done twice, at the edges of a move and of a loss."""

from __future__ import annotations

import asyncio

from gateway.config import Timeouts
from gateway.proxy.frames import Opcode, frame
from tests.peers import Conversation, backend, eventually
from tests.proxy.harness import gateway
from tests.proxy.test_relay import CLOSE, accept, dial, text

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


async def test_a_put_that_the_job_works_on_is_not_done_twice() -> None:
    """It may be repeated, but there is time until the drain's deadline, and the job would do it again."""
    done: list[str] = []
    finish = asyncio.Event()

    async def old(peer: Conversation) -> None:
        await peer.answer()
        done.append("old")
        await finish.wait()
        await peer.say(OK)
        await peer.rest()

    async def new(peer: Conversation) -> None:
        await peer.answer()
        done.append("new")
        await peer.say(OK)

    times = Timeouts(drain=5.0, drain_replayable=0.05)
    async with backend(old) as (_, host, port), backend(new) as (_, new_host, new_port):
        async with gateway(host, port, timeouts=times) as gate:
            request = b"PUT /x HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1\r\n\r\nx"
            asking = asyncio.create_task(gate.ask(request))
            await eventually(lambda: bool(done), "the job works on it")
            holding = asyncio.create_task(gate.hold())
            await asyncio.wait({holding}, timeout=10 * times.drain_replayable)
            finish.set()
            await holding
            await gate.open(new_host, new_port)
            assert (await asking)[1] == b"ok"
    assert done == ["old"]


async def test_a_frame_that_died_with_the_host_is_not_dropped_in_silence() -> None:
    """It had left the gateway and was not read: the new server has it, or the browser is told to come back."""
    peers: list[Conversation] = []
    read: list[bytes] = []
    gone = asyncio.Event()

    async def script(peer: Conversation) -> None:
        await peer.head()
        await peer.say(accept())
        peers.append(peer)
        if len(peers) == 1:
            await gone.wait()  # it reads nothing any more
            return
        while True:
            first, payload = await peer.frame()
            if first == CLOSE:
                return
            read.append(payload)
            await peer.say(frame(Opcode.TEXT, b"echo " + payload, masked=False))

    async with backend(script) as (_, host, port), gateway(host, port) as gate:
        client, _ = await dial(gate)
        await eventually(lambda: bool(peers), "connected")
        await client.say(text("one"))
        await eventually(lambda: b"one" in bytes(peers[0].reader._buffer), "it is at the job")  # type: ignore[attr-defined]
        peers[0].reset()
        gone.set()
        hearing = asyncio.create_task(client.frame())
        await eventually(lambda: hearing.done() or len(peers) == 2, "told, or dialled again")
        if not hearing.done():
            await client.say(text("two"))
        first, payload = await hearing
        await client.close()
    told = first == CLOSE and int.from_bytes(payload[:2]) == 1012
    assert told or read[:1] == [b"one"], f"the browser's socket lives on, and the job has read {read}"


async def test_half_a_frame_does_not_go_to_one_server_and_half_to_the_next() -> None:
    """The second half would be read as the head of a frame."""
    peers: list[Conversation] = []
    read: list[bytes] = []
    gone = asyncio.Event()

    async def script(peer: Conversation) -> None:
        await peer.head()
        await peer.say(accept())
        peers.append(peer)
        if len(peers) == 1:
            await gone.wait()
            return
        read.append(await peer.exactly(1))

    async with backend(script) as (_, host, port), gateway(host, port) as gate:
        client, _ = await dial(gate)
        await eventually(lambda: bool(peers), "connected")
        await client.say(text("A" * 100)[:50])
        await eventually(lambda: b"AAA" in bytes(peers[0].reader._buffer), "half is at the job")  # type: ignore[attr-defined]
        peers[0].reset()
        gone.set()
        told = asyncio.create_task(client.frame())
        await eventually(lambda: told.done() or len(peers) == 2, "told, or dialled again")
        if not told.done():
            await client.say(text("A" * 100)[50:])
        await eventually(lambda: told.done() or bool(read), "something comes of it")
        told.cancel()
        await asyncio.gather(told, return_exceptions=True)
        await client.close()
    assert not read, f"the next server got {read}"
    assert told.result()[0] == CLOSE and int.from_bytes(told.result()[1][:2]) == 1012
