"""A WebSocket whose server is lost while the gate is open: it is dialled again, for so long and no longer."""

from __future__ import annotations

import asyncio

import pytest

from gateway.config import Timeouts
from tests.peers import Conversation, backend, eventually

from .harness import Port, gateway
from .test_relay import CLOSE, Echo, accept, dial, text


async def test_a_socket_that_is_lost_again_while_others_come_back_is_dialled_once_the_gate_is_open() -> None:
    old, echo = Echo(), Echo()
    heads: list[bytes] = []
    second, go = asyncio.Event(), asyncio.Event()

    async def flaky(peer: Conversation) -> None:
        heads.append(b"")
        match len(heads):
            case 1:  # the gate's probe
                await peer.rest()
            case 2:
                await peer.head()
                await peer.say(accept())
                await second.wait()
                peer.reset()
            case 3:
                second.set()
                await go.wait()
                await echo(peer)
            case _:
                await echo(peer)

    async with backend(old) as (_, host, port), backend(flaky) as (_, new_host, new_port):
        async with gateway(host, port) as gate:
            clients = [(await dial(gate, f"/api/kernels/k/channels?session_id={one}"))[0] for one in "ab"]
            await gate.hold()
            closed = max(one.parked_at for one in gate.gate.relays)
            opening = asyncio.create_task(gate.open(new_host, new_port))
            await eventually(lambda: any(one.parked_at > closed for one in gate.gate.relays), "lost once more")
            go.set()
            await opening
            await eventually(lambda: len(echo.peers) == 2, "both are back")
            for client in clients:
                await client.say(text("on"))
                assert await client.frame() == (0x81, b"echo on")


async def _recovering(gate: Port, peers: list[Conversation]) -> Conversation:
    client, _ = await dial(gate)
    await eventually(lambda: len(peers) == 1, "connected")
    peers[0].reset()
    await eventually(lambda: len(peers) == 2, "the next handshake is at the job")
    return client


@pytest.mark.parametrize("then", ["held", "given up", "browser gone"])
async def test_a_handshake_that_is_never_answered_ends(then: str) -> None:
    """With the gate's drain, with its deadline, or with its browser, whatever comes first."""
    peers: list[Conversation] = []
    left = asyncio.Event()

    async def script(peer: Conversation) -> None:
        await peer.head()
        peers.append(peer)
        if len(peers) == 1:
            await peer.say(accept())
            await peer.rest()
        else:
            await peer.rest()
            left.set()

    redial = 0.3 if then == "given up" else 60.0
    async with backend(script) as (_, host, port), gateway(host, port, timeouts=Timeouts(redial=redial)) as gate:
        client = await _recovering(gate, peers)
        if then == "held":
            await gate.hold()
            assert len(gate.gate.relays) == 1, "its browser's side is kept"
        elif then == "browser gone":
            await client.close()
        else:
            first, payload = await client.frame()
            assert first == CLOSE and int.from_bytes(payload[:2]) == 1012
        await asyncio.wait_for(left.wait(), 10)
        if then != "held":
            await eventually(lambda: not gate.gate.relays, "the relay has ended")
