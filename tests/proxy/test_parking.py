"""How WebSockets let go of a job: all together, except for the last word, which those of one path say in turn."""

from __future__ import annotations

import asyncio

from gateway.config import Timeouts
from gateway.proxy.frames import Opcode, frame
from tests.peers import Conversation, backend, eventually

from .harness import gateway
from .test_relay import CLOSE, PING, Echo, accept, dial, text

TABS = 6


def tab(number: int) -> str:
    """One of several windows on one kernel."""
    return f"/api/kernels/k/channels?session_id={number}"


async def test_windows_on_one_kernel_do_not_wait_for_each_others_barrier() -> None:
    """A busy server answers nobody before it has heard everybody."""
    asked, everybody = 0, asyncio.Event()

    async def busy(peer: Conversation) -> None:
        nonlocal asked
        await peer.head()
        await peer.say(accept())
        first, payload = await peer.frame()
        assert first == PING
        asked += 1
        if asked == TABS:
            everybody.set()
        await everybody.wait()
        await peer.say(frame(Opcode.PONG, payload, masked=False))
        assert (await peer.frame())[0] == CLOSE

    new = Echo()
    async with backend(busy) as (_, host, port), backend(new) as (_, new_host, new_port):
        async with gateway(host, port, timeouts=Timeouts(barrier=5.0)) as gate:
            clients = [(await dial(gate, tab(number)))[0] for number in range(TABS)]
            await gate.hold()
            await gate.open(new_host, new_port)
            assert gate.reports[-1].websockets == TABS and gate.reports[-1].lost_websockets == 0
            for client in clients:
                await client.say(text("on"))
                assert await client.frame() == (0x81, b"echo on")


async def test_windows_on_one_kernel_close_in_turn_and_come_back_the_other_way_round() -> None:
    closing = most = 0
    closed: list[bytes] = []

    async def old(peer: Conversation) -> None:
        nonlocal closing, most
        target = (await peer.head()).split(b" ")[1]
        await peer.say(accept())
        first, payload = await peer.frame()
        assert first == PING
        await peer.say(frame(Opcode.PONG, payload, masked=False))
        assert (await peer.frame())[0] == CLOSE
        closing, most = closing + 1, max(most, closing + 1)
        await asyncio.sleep(0.02)  # time for others, if they did not wait
        closing -= 1
        closed.append(target)
        await peer.say(frame(Opcode.CLOSE, b"", masked=False))

    new = Echo()
    async with backend(old) as (_, host, port), backend(new) as (_, new_host, new_port):
        async with gateway(host, port) as gate:
            for number in range(TABS):
                await dial(gate, tab(number))
            await gate.hold()
            assert most == 1 and len(closed) == TABS
            await gate.open(new_host, new_port)
            assert [head.split(b" ")[1] for head in new.heads] == closed[::-1]


async def test_a_server_that_does_not_say_close_is_waited_for_once() -> None:
    """Nobody knows then what it said last, nor to whom: all of the path are told to come back."""
    leave = asyncio.Event()

    async def script(peer: Conversation) -> None:
        await peer.head()
        await peer.say(accept())
        first, payload = await peer.frame()
        assert first == PING
        await peer.say(frame(Opcode.PONG, payload, masked=False))
        await leave.wait()

    new = Echo()
    async with backend(script) as (_, host, port), backend(new) as (_, new_host, new_port):
        async with gateway(host, port, timeouts=Timeouts(close=1.0)) as gate:
            clients = [(await dial(gate, tab(number)))[0] for number in range(12)]
            await gate.hold()  # not 12 s: the harness waits for 10
            await gate.open(new_host, new_port)
            for client in clients:
                first, payload = await client.frame()
                assert first == CLOSE and int.from_bytes(payload[:2]) == 1012
            leave.set()
    assert not new.heads


async def test_half_a_frame_is_not_completed_by_a_frame_of_ours() -> None:
    """Neither by the barrier, nor by Close: the job would take it for what the browser said."""
    read: list[bytes] = []

    async def script(peer: Conversation) -> None:
        await peer.head()
        await peer.say(accept())
        read.append(await peer.rest())

    whole = text("A" * 100)
    async with backend(script) as (_, host, port):
        for last in (False, True):
            async with gateway(host, port, timeouts=Timeouts(drain=0.2, barrier=0.2, close=0.2)) as gate:
                client, _ = await dial(gate)
                await client.say(whole[:-5])
                (relay,) = gate.gate.relays
                await eventually(lambda one=relay: not one._up.between_frames, "half of it went on")  # type: ignore[attr-defined,misc]
                if last:
                    await gate.gate.close()
                else:
                    await gate.hold()
                await eventually(lambda at=last: len(read) == 1 + at, "the job's side has ended")  # type: ignore[misc]
    assert read == [whole[:-5]] * 2


async def test_half_a_frame_of_the_jobs_is_not_completed_either() -> None:
    whole = frame(Opcode.TEXT, b"B" * 100, masked=False)

    async def script(peer: Conversation) -> None:
        await peer.head()
        await peer.say(accept() + whole[:-5])
        await peer.exactly(1)
        peer.reset()

    async with backend(script) as (_, host, port), gateway(host, port, timeouts=Timeouts(close=0.2)) as gate:
        client, _ = await dial(gate)
        assert await client.exactly(len(whole) - 5) == whole[:-5]
        await client.say(text("x"))
        assert await client.rest() == b"", "its browser sees a connection that broke, and comes back"
