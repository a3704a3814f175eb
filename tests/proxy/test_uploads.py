"""Held uploads: whatever happens to them meanwhile, the job gets the bytes that the browser sent, or the truth."""

from __future__ import annotations

import asyncio
import os
import resource
import stat
import struct
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path

import pytest
from aiohttp import web

from gateway.config import Limits, Timeouts
from gateway.proxy.body import Body, WrongLength
from gateway.proxy.frames import Opcode, frame
from gateway.proxy.pool import dial
from gateway.proxy.spool import Spool
from gateway.proxy.upstream import Lost
from gateway.types import Address, GateState, JobStatus
from tests.peers import Conversation, backend, connect, eventually

from .harness import OK, Port, gateway

MIB = 1 << 20
WEBSOCKET = ("Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13")
SWITCHING = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"


def numbered(size: int) -> bytes:
    """So many bytes, no eight of them the same."""
    return b"".join(struct.pack(">Q", number) for number in range(size // 8))


@contextmanager
def disk_of(size: int) -> Iterator[None]:
    """Writes to any file fail behind so many bytes, the first of them in the middle, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


async def keep_frames(peer: Conversation) -> None:
    """A server's side of a WebSocket: answers pings, and a close."""
    await peer.head()
    await peer.say(SWITCHING)
    while True:
        first, data = await peer.frame()
        if first == 0x89:
            await peer.say(frame(Opcode.PONG, data, masked=False))
        elif first == 0x88:
            await peer.say(frame(Opcode.CLOSE, data, masked=False))
            return


# The spool


def test_a_spools_start_may_be_looked_at_while_it_is_read() -> None:
    data, spool = numbered(2 * MIB), Spool(memory=1000)
    for at in range(0, len(data), 100_000):
        spool.append(data[at : at + 100_000])
    got = b""
    for piece in spool.chunks():
        got += piece
        assert spool.start(16) == data[:16]
    assert got == data
    assert spool.start(4 * MIB) == data
    spool.close()


@pytest.mark.parametrize("size", [500, 1500, 2500])  # the first write to disk, of what was in memory; later ones
def test_what_a_full_disk_did_not_take_is_not_in_the_spool(size: int) -> None:
    data, spool, kept = numbered(10_000), Spool(memory=1000), b""
    with disk_of(size):
        for at in range(0, len(data), 400):
            chunk = data[at : at + 400]
            try:
                spool.append(chunk)
            except OSError:
                break
            kept += chunk
    assert 0 < len(kept) < len(data)
    assert (spool.size, spool.start(10_000), b"".join(spool.chunks())) == (len(kept), kept, kept)
    spool.append(b"more")  # there is room again
    assert b"".join(spool.chunks()) == kept + b"more" == spool.start(10_000)
    spool.close()


# On its way


async def test_a_second_move_does_not_shorten_what_is_being_sent() -> None:
    payload, got, seen = numbered(24 * MIB), bytearray(), asyncio.Event()

    async def script(peer: Conversation) -> None:
        head = await peer.head()
        if head.startswith(b"GET"):
            await peer.rest()  # cut by the drain, which has looked at all who are inside by then
            seen.set()
            return
        await seen.wait()
        while size := int(await peer.until(b"\r\n"), 16):
            got.extend(await peer.exactly(size))
            await peer.exactly(2)
        await peer.say(b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n")

    async with gateway(timeouts=Timeouts(drain_replayable=0.05)) as gate, backend(script) as (server, host, port):
        client, poll = await gate.client(), await gate.client()
        await client.say(b"POST /upload HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n")
        for at in range(0, len(payload), MIB):
            await client.say(b"%x\r\n%b\r\n" % (MIB, payload[at : at + MIB]))
        await client.say(b"0\r\n\r\n")
        await poll.say(gate.get("/poll"))
        await eventually(lambda: gate.gate._held_bytes >= len(payload) and gate.gate.waiting == 2, "on disk")
        await gate.open(host, port)
        await eventually(lambda: server.connections == 3, "both are at the job, besides the probe")
        gate.follow(gate=GateState.HELD, status=JobStatus.FLOATING)
        assert (await client.answer())[0].startswith(b"HTTP/1.1 201 ")
    assert bytes(got) == payload


@pytest.mark.parametrize("disk", [500_000, 3_000_000])
async def test_a_full_disk_spoils_nothing(disk: int) -> None:
    payload, got, behind = numbered(6 * MIB), bytearray(), []

    async def script(peer: Conversation) -> None:
        await peer.head()
        got.extend(await peer.exactly(len(payload)))
        await peer.say(OK)
        behind.append(await peer.reader.read(1))

    with disk_of(disk):
        async with gateway() as gate, backend(script) as (_, host, port):
            client = await gate.client()
            await client.say(b"POST /file HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: %d\r\n\r\n" % len(payload))
            sending = asyncio.create_task(client.say(payload))
            await _full(gate, disk)
            await gate.open(host, port)
            assert (await client.answer())[1] == b"ok"
            await sending
            await client.close()
            gate.gate.pool.close()
            await eventually(lambda: bool(behind), "the job's connection ends")
            assert gate.gate._held_bytes == 0
    assert bytes(got) == payload and behind == [b""]


async def test_what_did_not_fit_stays_the_last_when_there_is_room_again() -> None:
    """The disk is full, then the server goes before the upload has begun, and the job moves again."""
    payload, got = numbered(6 * MIB), bytearray()

    async def alive(peer: Conversation) -> None:
        if (await peer.reader.readexactly(3)) == b"GET":
            await keep_frames(peer)
            return
        await peer.head()
        got.extend(await peer.exactly(len(payload)))
        await peer.say(OK)

    async with backend(keep_frames) as (_, host, port), gateway(host, port) as gate, _goes() as (going, at):
        tab = await gate.client()
        await tab.say(gate.get("/api/kernels/k/channels", *WEBSOCKET, "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="))
        await tab.head()
        await gate.hold()
        client = await gate.client()
        with disk_of(3_000_000):
            await client.say(b"POST /file HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: %d\r\n\r\n" % len(payload))
            sending = asyncio.create_task(client.say(payload))
            await _full(gate, 3_000_000)
        gate.follow(gate=GateState.OPEN, status=JobStatus.EXECUTING, address="127.0.0.1", target_port=at)
        await eventually(lambda: bool(gate.losses), "refused")
        await going.wait()
        await gate.hold()
        await eventually(lambda: gate.gate.waiting == 1, "in line again")
        async with backend(alive) as (_, host, port):
            await gate.open(host, port)
            assert (await client.answer())[1] == b"ok"
            await sending
    assert bytes(got) == payload


def _nameless(size: int) -> list[Path]:
    """Open files of this size that have been deleted."""
    found = []
    for one in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):
            about = one.stat()
            if stat.S_ISREG(about.st_mode) and (about.st_nlink, about.st_size) == (0, size):
                found.append(one)
    return found


async def _full(gate: Port, disk: int) -> None:
    """Wait until the disk has taken what it can, or memory has if that is more."""
    before = -1

    def settled() -> bool:
        nonlocal before
        last, before = before, gate.gate._held_bytes
        return last == before and before >= min(disk, MIB) - (256 << 10)

    await eventually(settled, "the disk is full")


@asynccontextmanager
async def _goes() -> AsyncIterator[tuple[asyncio.Event, int]]:
    """A server that takes up a WebSocket and listens no more from then on."""
    gone = asyncio.Event()

    async def script(peer: Conversation) -> None:
        begin = await peer.exactly(1)
        assert begin and server._server is not None
        server._server.close()
        gone.set()
        await keep_frames(peer)

    async with backend(script) as (server, _, port):
        yield gone, port


async def test_a_spool_that_has_lost_bytes_ends_the_request_and_its_connection() -> None:
    payload, got = numbered(3 * MIB), []

    async def script(peer: Conversation) -> None:
        await peer.head()
        got.append(await peer.rest())

    async with gateway() as gate, backend(script) as (_, host, port):
        client = await gate.client()
        await client.say(b"PUT /file HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: %d\r\n\r\n" % len(payload))
        await client.say(payload)
        await eventually(lambda: bool(_nameless(len(payload))), "on disk")
        (file,) = _nameless(len(payload))
        os.truncate(file, MIB)
        await gate.open(host, port)
        assert b"UNEXPECTED" in (await client.answer())[1]
        await eventually(lambda: bool(got), "the job's connection ends")
    assert len(got[0]) <= MIB and payload.startswith(got[0])


@pytest.mark.parametrize("declared", [3, 8])
async def test_no_body_goes_out_that_is_not_as_long_as_its_head_says(declared: int) -> None:
    """Whatever fault of ours it is: behind the declared length the job would read a request of its own."""
    got: list[bytes] = []

    async def script(peer: Conversation) -> None:
        got.append(await peer.rest())

    async def handle(request: web.BaseRequest) -> web.Response:
        async with gateway() as gate, backend(script) as (_, host, port):
            body = Body(request, gate.gate, Timeouts(), Limits(), keep=False)
            body.length = declared
            connection = await dial(Address(host, port), Timeouts(), Limits())
            connection.begin(b"PUT")
            with pytest.raises(WrongLength):
                await body.send(connection)
            with pytest.raises(Lost):
                await connection.head()
            await eventually(lambda: bool(got), "the job's connection ends")
        return web.Response()

    runner = web.ServerRunner(web.Server(handle))
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        client = await connect("127.0.0.1", runner.addresses[0][1])
        await client.say(b"PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello")
        assert (await client.head()).startswith(b"HTTP/1.1 200 ")
        await client.close()
    finally:
        await runner.cleanup()
    assert len(got[0]) <= declared
