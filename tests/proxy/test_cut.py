"""Answers that end before they are whole: whoever asked sees it, and nothing is put into what has begun."""

from __future__ import annotations

import asyncio
import struct
from pathlib import Path

import pytest

from gateway.config import Timeouts
from gateway.types import GateState, JobStatus
from tests.peers import Conversation, backend, eventually

from .harness import gateway, values_of

EVENTS = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
OPENED = "Accept: text/html, text/event-stream"  # as a document


def event(text: bytes) -> bytes:
    """One chunk."""
    return b"%x\r\n%b\r\n" % (len(text), text)


async def test_an_event_stream_opened_as_a_document_goes_on_after_a_move() -> None:
    async def old(peer: Conversation) -> None:
        await peer.head()
        await peer.say(EVENTS + event(b"id: 1\ndata: one\n\n"))
        await peer.rest()

    async def new(peer: Conversation) -> None:
        assert values_of(await peer.head(), b"last-event-id") == [b"1"]
        await peer.say(EVENTS + event(b"data: two\n\n") + b"0\r\n\r\n")

    quick = Timeouts(drain_replayable=0.05, ping=0.02)
    async with backend(old) as (_, host, port), gateway(host, port, timeouts=quick) as gate:
        client = await gate.client()
        await client.say(gate.get("/events", OPENED))
        await client.until(b"data: one\n\n\r\n")
        await gate.hold()
        got = await client.until(b": the job moves\n\n\r\n")
        async with backend(new) as (_, new_host, new_port):
            await gate.open(new_host, new_port)
            got += await client.until(b"\r\n0\r\n\r\n")
    assert b"HTTP/1.1" not in got and got.endswith(event(b"data: two\n\n") + b"0\r\n\r\n")


@pytest.mark.parametrize("state", [GateState.SUSPENDED, GateState.ENDED])
async def test_no_page_is_put_into_a_stream(state: GateState) -> None:
    async def script(peer: Conversation) -> None:
        await peer.head()
        await peer.say(EVENTS + event(b"data: one\n\n"))
        await peer.rest()

    async with (
        backend(script) as (_, host, port),
        gateway(host, port, timeouts=Timeouts(drain_replayable=0.05)) as gate,
    ):
        client = await gate.client()
        await client.say(gate.get("/events", OPENED))
        await client.until(b"data: one\n\n\r\n")
        await gate.hold()
        gate.follow(gate=state, status=JobStatus.SUSPENDED)
        if state is not GateState.ENDED:
            await gate.gate.close()
        assert b"HTTP/1.1" not in await client.rest()


async def test_a_stream_whose_job_is_gone_is_cut_without_a_page() -> None:
    async def script(peer: Conversation) -> None:
        await peer.head()
        await peer.say(EVENTS + event(b"data: one\n\n"))
        await peer.rest()

    async with backend(script) as (server, host, port):
        async with gateway(host, port, timeouts=Timeouts(unreachable=0.1)) as gate:
            client = await gate.client()
            await client.say(gate.get("/events", OPENED))
            await client.until(b"data: one\n\n\r\n")
            await server.stop()
            assert await client.rest() == b""


async def test_a_cut_answer_that_only_an_end_would_end_is_reset() -> None:
    """A client of HTTP/1.0 takes whatever came before a quiet end for the whole."""

    async def script(peer: Conversation) -> None:
        await peer.head()
        await peer.say(b"HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\n\r\n" + b"x" * 1000)
        await go.wait()
        peer.reset()

    async with backend(script) as (_, host, port), gateway(host, port) as gate:
        for method in (b"GET", b"POST"):
            go = asyncio.Event()
            client = await gate.client()
            await client.say(method + b" / HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n")
            await client.until(b"\r\n\r\n")
            await client.exactly(1000)
            go.set()
            with pytest.raises(ConnectionResetError):
                await client.rest()


async def test_a_browser_that_takes_nothing_keeps_no_connection() -> None:
    async def script(peer: Conversation) -> None:
        await peer.head()
        await peer.say(b"HTTP/1.1 200 OK\r\nContent-Length: 50000000\r\n\r\n")
        await peer.say(b"x" * 50_000_000)

    async with backend(script) as (_, host, port), gateway(host, port, timeouts=Timeouts(write_idle=0.2)) as gate:
        client = await gate.client()
        client.reader._transport.pause_reading()  # type: ignore[attr-defined]
        await client.say(b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        await eventually(lambda: _established(gate.number) == 1, "it is there")
        await eventually(lambda: _established(gate.number) == 0, "it has ended")


def _established(port: int) -> int:
    """How many connections a port of this machine has (proc_pid_net(5))."""
    lines = [line.split() for line in Path("/proc/net/tcp").read_text("ascii").splitlines()[1:]]
    here = "0100007F" if struct.pack("=H", 1) == b"\1\0" else "7F000001"
    return sum(line[1] == f"{here}:{port:04X}" and line[3] == "01" for line in lines)
