"""The job is at another address, and nobody has drained the old one: its host was lost, or the news came late."""

from __future__ import annotations

import asyncio
import socket

import pytest

from gateway.config import Timeouts
from gateway.types import Address, GateState, JobStatus
from tests.peers import Conversation, backend, eventually

from .harness import OK, gateway, keep_answering
from .test_relay import CLOSE, Echo, accept, dial

POST = b"POST /rpc HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1\r\n\r\nx"
PATIENT = Timeouts(drain=60.0, barrier=60.0, close=60.0)  # a drain that is never through


class Hung:
    """A server on a host that is lost without a word: it takes everything and says nothing any more."""

    def __init__(self) -> None:
        self.seen: list[bytes] = []
        self.left = 0

    async def __call__(self, peer: Conversation) -> None:
        head = await peer.head()
        self.seen.append(head.split(b" HTTP")[0])
        if b"Upgrade: websocket" in head:
            await peer.say(accept())
        try:
            await peer.rest()
        finally:
            self.left += 1


class New:
    """A server at another address, with what it was asked."""

    def __init__(self) -> None:
        self.seen: list[bytes] = []

    async def __call__(self, peer: Conversation) -> None:
        while True:
            self.seen.append((await peer.answer())[0].split(b" HTTP")[0])
            await peer.say(OK)


@pytest.mark.parametrize("held", [True, False], ids=["held before", "never held"])
async def test_nothing_stays_at_the_old_address(held: bool) -> None:
    """What may be repeated is asked again at the new one; whoever cannot know is told so."""
    old, new = Hung(), New()
    async with backend(old) as (_, host, port), backend(new) as (_, new_host, new_port):
        async with gateway(host, port, timeouts=PATIENT) as gate:
            slow = asyncio.create_task(gate.ask(gate.get("/slow")))
            other = asyncio.create_task(gate.ask(gate.get("/other").replace(b"HTTP/1.1", b"HTTP/1.0", 1)))
            post = asyncio.create_task(gate.ask(POST))
            client, _ = await dial(gate)
            await eventually(lambda: len(old.seen) == 4, "all of them are inside")
            if held:
                gate.follow(gate=GateState.HELD, status=JobStatus.FLOATING, address=None)
                (relay,) = gate.gate.relays
                await eventually(lambda: relay._parking is not None, "it waits for the barrier")  # type: ignore[attr-defined]
            await gate.open(new_host, new_port)
            assert (await slow)[1] == b"ok" and (await other)[1] == b"ok"
            head, body = await post
            assert head.startswith(b"HTTP/1.1 503 ") and b"LOST" in body
            first, payload = await client.frame()
            assert first == CLOSE and int.from_bytes(payload[:2]) == 1012
            await eventually(lambda: old.left == 4, "every connection to the old host has ended")
            assert not gate.gate.relays and gate.reports[-1].lost_websockets == 1
    assert sorted(new.seen) == [b"GET /other", b"GET /slow"], "the POST is not sent twice"


async def test_an_answer_that_was_under_way_does_not_bring_its_connection_into_the_new_pool() -> None:
    """The old server is alive and would answer; but the job is elsewhere, and so are its answers."""
    asked, answer = asyncio.Event(), asyncio.Event()

    async def old(peer: Conversation) -> None:
        while True:
            await peer.head()
            asked.set()
            await answer.wait()
            await peer.say(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nold")

    async with backend(old) as (_, host, port), backend(keep_answering) as (_, new_host, new_port):
        async with gateway(host, port) as gate:
            ask = asyncio.create_task(gate.ask(gate.get("/slow")))
            await asked.wait()
            await gate.open(new_host, new_port)
            answer.set()
            assert (await ask)[1] == b"ok"
            assert {(await gate.ask(gate.get("/now")))[1] for _ in range(5)} == {b"ok"}


async def test_who_still_dials_the_old_address_does_not_call_the_new_one_lost() -> None:
    full = socket.create_server(("127.0.0.1", 0), backlog=0)
    host, port = full.getsockname()
    async with backend(keep_answering) as (_, new_host, new_port):
        # the gate's own probe takes the only place in the backlog: whoever dials afterwards gets no answer at all
        async with gateway(host, port, timeouts=Timeouts(dial=0.5)) as gate:
            post = asyncio.create_task(gate.ask(POST))
            await eventually(lambda: bool(gate.gate.hold.inside), "it dials")
            await gate.open(new_host, new_port)
            assert (await post)[1] == b"ok"
            assert not gate.losses
    full.close()


async def test_a_socket_that_was_revived_elsewhere_is_not_left_there_when_the_job_moves_on() -> None:
    """The second address is superseded before the gate was open at it."""
    old, between, new = Echo(), Hung(), Echo()

    async with backend(old) as (_, host, port), backend(new) as (_, new_host, new_port):
        async with backend(between) as (_, mid_host, mid_port), gateway(host, port, timeouts=PATIENT) as gate:
            here, _ = await dial(gate, "/api/kernels/a/channels")
            await gate.hold()
            gate.follow(gate=GateState.OPEN, status=JobStatus.EXECUTING, address=mid_host, target_port=mid_port)
            (relay,) = gate.gate.relays
            await eventually(lambda: relay.address.port == mid_port, "dialled again")  # type: ignore[union-attr]
            await gate.open(new_host, new_port)
            first, payload = await here.frame()
            assert first == CLOSE and int.from_bytes(payload[:2]) == 1012
            await eventually(lambda: between.left == len(between.seen), "nothing is left between")


async def test_a_live_socket_is_not_taken_for_one_at_the_new_address() -> None:
    """Whatever left it where it was: it is not counted among those that go on."""
    echo = Echo()
    async with backend(echo) as (_, host, port), gateway(host, port) as gate:
        client, _ = await dial(gate)
        (relay,) = gate.gate.relays
        assert await relay.revive(), "it is where the job is"
        gate.gate.pool.aim(Address("127.0.0.2", port))
        assert not await relay.revive()
        first, payload = await client.frame()
        assert first == CLOSE and int.from_bytes(payload[:2]) == 1012
