"""transport.py and reactor.py on real sockets: every byte in its order, once, whoever is slow, leaves or fails."""

from __future__ import annotations

import asyncio
import os
import random
import select
import socket
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import cast

import pytest
import structlog.testing
import uvloop
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.proxy.reactor import SMALL, Reactor, _reactors, reactor
from gateway.proxy.transport import SocketTransport
from tests.peers import DEADLINE, eventually

HIGH = 64 << 10


def pair(room: int = 0) -> tuple[socket.socket, socket.socket]:
    """Two ends of a TCP connection on loopback, neither blocks; `room`: bytes of their kernel buffers, about."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        if room:
            server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, room)
        ours = socket.socket()
        if room:
            ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, room)
        ours.connect(server.getsockname())
        theirs, _ = server.accept()
    ours.setblocking(False)
    theirs.setblocking(False)
    return ours, theirs


class Heard(asyncio.Protocol):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.reads: list[int] = []
        self.flow: list[str] = []
        self.ends: list[Exception | None] = []

    def data_received(self, data: bytes) -> None:
        self.data += data
        self.reads.append(len(data))

    def pause_writing(self) -> None:
        self.flow.append("pause")

    def resume_writing(self) -> None:
        self.flow.append("resume")

    def connection_lost(self, exc: Exception | None) -> None:
        self.ends.append(exc)


class Side:
    """A transport, what it told its protocol, and the peer's socket."""

    def __init__(self, room: int = 0) -> None:
        ours, self.peer = pair(room)
        self.heard = Heard()
        self.transport = SocketTransport(ours, HIGH)
        self.transport.set_protocol(self.heard)

    async def read(self, count: int) -> bytes:
        """So many bytes at the peer."""
        loop, data = asyncio.get_running_loop(), bytearray()
        async with asyncio.timeout(DEADLINE):
            while len(data) < count:
                piece = await loop.sock_recv(self.peer, count - len(data))
                assert piece, "the connection has ended"
                data += piece
        return bytes(data)

    async def rest(self) -> bytes:
        """Everything until the end, at the peer."""
        loop, data = asyncio.get_running_loop(), bytearray()
        async with asyncio.timeout(DEADLINE):
            while piece := await loop.sock_recv(self.peer, 1 << 20):
                data += piece
        return bytes(data)

    def reset(self) -> None:
        """The peer ends with a TCP reset."""
        self.peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.peer.close()

    async def ended(self) -> None:
        await eventually(lambda: bool(self.heard.ends), "connection_lost")
        assert len(self.heard.ends) == 1 and self.transport.is_closing()


@asynccontextmanager
async def sides(*rooms: int, failing: int = 0) -> AsyncIterator[list[Side]]:
    """Transports that read. Afterwards nothing of them is open, and there were no faults but so many receivers'."""
    faults: list[object] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: faults.append(context))
    found = [Side(room) for room in rooms]
    try:
        with structlog.testing.capture_logs() as logs:
            for side in found:
                side.transport.resume_reading()
            yield found
        assert [one["event"] for one in logs] == ["a fault of the gateway"] * failing
    finally:
        for side in found:
            side.transport.abort()
            side.peer.close()
        await asyncio.sleep(0)
        assert _reactors[loop]._epoll is None
        assert not faults


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


async def test_it_goes_on_with_an_event_loops_connection() -> None:
    loop, came = asyncio.get_running_loop(), asyncio.Event()

    class Server(Heard):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            self.transport = transport
            came.set()

    first = Server()
    server = await loop.create_server(lambda: first, "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    await came.wait()
    files = open_files()
    taken = SocketTransport.take(cast(asyncio.Transport, first.transport), HIGH)
    heard = Heard()
    taken.set_protocol(heard)
    taken.resume_reading()
    taken.write(b"to you")
    assert await asyncio.wait_for(reader.readexactly(6), DEADLINE) == b"to you"
    writer.write(b"to me")
    await eventually(lambda: bytes(heard.data) == b"to me", "it is read")
    assert not first.data and not first.ends, "the old protocol hears nothing more, not even an end"
    assert open_files() == files + 1, "the epoll, and no other descriptor of the connection"
    taken.close()
    assert await asyncio.wait_for(reader.read(), DEADLINE) == b""
    writer.close()
    server.close()
    await eventually(lambda: heard.ends == [None], "connection_lost")


@settings(deadline=None, max_examples=25)
@given(
    st.lists(st.tuples(st.integers(0, 1), st.integers(1, 3 * SMALL)), min_size=1, max_size=40), st.integers(0, 2**32)
)
def test_bytes_arrive_in_their_order_however_they_are_written(writes: list[tuple[int, int]], seed: int) -> None:
    """At once, or during a turn while another is read; the peer takes little at a time."""
    noise = random.Random(seed)

    async def run() -> None:
        async with sides(4096, 0) as (slow, clock):
            expected = bytearray()
            for during, size in writes:
                data = noise.randbytes(size)
                expected += data
                if during:
                    await in_a_turn(clock, partial(slow.transport.write, data))
                else:
                    slow.transport.write(data)
            assert await slow.read(len(expected)) == bytes(expected)

    uvloop.run(run())


async def in_a_turn(clock: Side, act: Callable[[], None]) -> None:
    """Do it while the reactor reads."""
    done = asyncio.Event()

    def received(_: bytes) -> None:
        assert reactor().turning
        act()
        done.set()

    clock.transport.received = received
    clock.peer.send(b"now")
    async with asyncio.timeout(DEADLINE):
        await done.wait()


async def test_both_ways_at_once_with_partial_writes() -> None:
    async with sides(4096) as (side,):
        out, back = os.urandom(3 << 20), os.urandom(3 << 20)
        loop = asyncio.get_running_loop()
        sending = asyncio.create_task(loop.sock_sendall(side.peer, back))
        for at in range(0, len(out), 50_000):
            side.transport.write(out[at : at + 50_000])
        assert await side.read(len(out)) == out
        await sending
        await eventually(lambda: len(side.heard.data) == len(back), "all is read")
        assert side.heard.data == back
        assert max(side.heard.reads) > SMALL, "more at once where more is coming"
        assert side.transport.get_write_buffer_size() == 0


async def test_a_slow_peer_pauses_the_protocol_once_and_resumes_it_once() -> None:
    async with sides(4096) as (side,):
        data = bytes(4 << 20)
        for at in range(0, len(data), 1 << 18):
            side.transport.write(data[at : at + (1 << 18)])
        await eventually(lambda: side.heard.flow == ["pause"], "paused")
        assert side.transport.get_write_buffer_size() > HIGH
        await side.read(len(data))
        await eventually(lambda: side.heard.flow == ["pause", "resume"], "resumed")
        side.transport.write(b"and on")
        assert await side.read(6) == b"and on"


async def test_close_sends_what_is_kept_first() -> None:
    async with sides(4096) as (side,):
        data = os.urandom(1 << 20)
        side.transport.write(data)
        side.transport.close()
        side.transport.close()
        assert side.transport.is_closing() and not side.heard.ends
        assert await side.rest() == data
        await side.ended()
        assert side.heard.ends == [None]
        side.transport.write(b"nobody hears this")
        side.transport.resume_reading()


async def test_what_is_written_in_a_turn_goes_out_after_its_reads_and_before_a_close() -> None:
    async with sides(0, 0) as (side, clock):

        def act() -> None:
            side.transport.write(b"the ")
            with pytest.raises(BlockingIOError):
                side.peer.recv(1)
            side.transport.write(b"last")
            side.transport.close()

        await in_a_turn(clock, act)
        assert await side.rest() == b"the last"
        await side.ended()


async def test_a_large_read_goes_on_at_once() -> None:
    """Else a turn of many large reads would hold them all in memory."""
    async with sides(0, 0) as (side, other):
        seen: list[int] = []

        def received(data: bytes) -> None:
            other.transport.write(data)
            seen.append(len(side.transport._reactor.out))

        side.heard.data_received = received  # type: ignore[method-assign]
        reactor().turning = True
        side.transport.read(b"few")
        assert seen == [1] and reactor().out
        side.transport.read(bytes(SMALL))
        assert seen == [1, 2] and not reactor().out
        reactor().turning = False
        assert await other.read(3 + SMALL) == b"few" + bytes(SMALL)


async def test_large_reads_only_where_much_comes() -> None:
    async with sides(0) as (side,):
        for count, size in ((1, 3 * SMALL), (2, 10), (3, 3 * SMALL)):
            before = len(side.heard.data)
            side.peer.send(bytes(size))
            await eventually(lambda want=before + size: len(side.heard.data) == want, f"{count}")  # type: ignore[misc]
        assert side.heard.reads == [SMALL, 2 * SMALL, 10, SMALL, 2 * SMALL]


async def test_what_epoll_says_in_vain_and_what_ends_a_connection_that_is_not_read() -> None:
    async with sides(0) as (side,):
        side.transport.ready(select.EPOLLIN)
        side.transport.unread(BlockingIOError())
        assert not side.transport.is_closing()
        side.transport.pause_reading()
        side.transport.ready(select.EPOLLHUP)
        await side.ended()


async def test_abort_does_not_wait() -> None:
    async with sides(4096) as (side,):
        side.transport.write(bytes(4 << 20))
        side.transport.abort()
        await side.ended()
        assert len(await side.rest()) < 4 << 20
        with pytest.raises(OSError, match="Bad file"):
            side.transport.send(b"kept for nobody")


async def test_a_reset_while_bytes_are_kept_ends_it_though_it_is_not_read() -> None:
    async with sides(4096) as (side,):
        side.transport.pause_reading()
        side.transport.write(bytes(4 << 20))
        await asyncio.sleep(0.02)
        side.reset()
        await side.ended()


async def test_the_peers_end_is_the_end_after_its_last_bytes() -> None:
    async with sides(0) as (side,):
        side.peer.send(b"last words")
        side.peer.close()
        await side.ended()
        assert side.heard.data == b"last words" and side.heard.ends == [None]


@settings(deadline=None, max_examples=60)
@given(
    st.lists(
        st.sampled_from([1, 70, SMALL - 1, SMALL, SMALL + 1, 2 * SMALL, 300_000]) | st.integers(1, 20_000), max_size=6
    ),
    st.integers(0, 3),
)
def test_all_that_was_sent_is_read_and_then_the_end(sizes: list[int], pauses: int) -> None:
    """However much comes at once, also with the end, and whoever pauses meanwhile."""

    async def run() -> None:
        async with sides(0) as (side,):
            loop, expected = asyncio.get_running_loop(), bytearray()
            for number, size in enumerate(sizes):
                data = bytes((number + at) & 0xFF for at in range(size))
                expected += data
                if number < pauses:
                    side.transport.pause_reading()
                await loop.sock_sendall(side.peer, data) if size < 60_000 else None
                side.transport.resume_reading()
                if size >= 60_000:
                    await loop.sock_sendall(side.peer, data)
            side.peer.close()
            await side.ended()
            assert side.heard.data == expected and side.heard.ends == [None]

    uvloop.run(run())


async def test_a_reset_is_told_as_an_error() -> None:
    async with sides(0) as (side,):
        side.reset()
        await side.ended()
        assert isinstance(side.heard.ends[0], ConnectionResetError)


@pytest.mark.parametrize("kept", [False, True])
async def test_who_cannot_be_written_to_is_read_to_its_end(kept: bool) -> None:
    """The job says its last and leaves, while the browser's next message is under way to it."""
    async with sides(4096) as (side,):
        side.transport.pause_reading()
        if kept:
            side.transport.write(bytes(4 << 20))
        side.peer.send(b"last words")
        ours = side.transport._socket
        ours.shutdown(socket.SHUT_WR)  # what a reset does to writes, and its bytes can still be read
        side.transport.resume_reading()
        side.transport.write(b"too late")
        await side.ended()
        assert side.heard.data == b"last words"


async def test_a_paused_transport_reads_nothing_and_all_later() -> None:
    async with sides(0) as (side,):
        side.transport.pause_reading()
        side.peer.send(b"one ")
        await asyncio.sleep(0.02)
        side.peer.send(b"two")
        await asyncio.sleep(0.02)
        assert not side.heard.data
        side.transport.resume_reading()
        side.transport.resume_reading()
        await eventually(lambda: side.heard.data == b"one two", "it reads on")


async def test_a_reset_while_paused_costs_no_time_and_is_found_later(monkeypatch: pytest.MonkeyPatch) -> None:
    async with sides(0, 0) as (side, other):
        side.transport.pause_reading()
        side.reset()
        turns, read = 0, Reactor._read

        def counted(self: Reactor, ready: list[tuple[int, int]]) -> None:
            nonlocal turns
            turns += 1
            read(self, ready)

        monkeypatch.setattr(Reactor, "_read", counted)
        await asyncio.sleep(0.05)
        assert turns == 0 and not side.heard.ends
        other.peer.send(b"x")
        await eventually(lambda: other.heard.data == b"x", "others go on")
        side.transport.resume_reading()
        await side.ended()


async def test_one_receivers_fault_is_not_anothers() -> None:
    async with sides(0, 0, 0, failing=1) as found:
        good, bad, target = found

        def fail(_: bytes) -> None:
            raise ValueError("a fault")

        bad.transport.received = fail
        good.transport.received = lambda data: target.transport.write(data)
        for side in (good, bad, good):
            side.peer.send(b"hello")
        await bad.ended()
        assert await target.read(10) == b"hellohello"
        assert not good.transport.is_closing() and not target.transport.is_closing()


async def test_who_is_ended_by_another_in_the_same_turn_hears_nothing_more() -> None:
    async with sides(0, 0) as (one, two):
        one.transport.received = lambda _: two.transport.abort()
        two.transport.received = lambda _: one.transport.abort()
        one.peer.send(b"x")
        two.peer.send(b"x")
        await eventually(lambda: len(one.heard.ends) + len(two.heard.ends) == 1, "one of them has ended")
        await asyncio.sleep(0.02)
        assert len(one.heard.ends) + len(two.heard.ends) == 1


async def test_what_is_written_to_one_that_ends_in_the_same_turn_goes_nowhere_else() -> None:
    """Its descriptor's number may be another connection's by then."""
    async with sides(0, 0) as (reading, ending):
        opened: list[socket.socket] = []

        def received(_: bytes) -> None:
            ending.transport.write(b"for the one that ends")
            ending.transport.abort()
            opened.extend(pair())

        reading.transport.received = received
        reading.peer.send(b"x")
        await ending.ended()
        await asyncio.sleep(0.02)
        for sock in opened:
            with suppress(BlockingIOError):
                assert not sock.recv(100)
            sock.close()


async def test_who_talks_without_end_leaves_time_for_others() -> None:
    async with sides(0) as (side,):
        reads = 0

        def received(_: bytes) -> None:
            nonlocal reads
            reads += 1
            if reads < 10_000:
                side.peer.send(b"more")

        side.transport.received = received
        side.peer.send(b"more")
        for _ in range(20):
            await asyncio.sleep(0)
        assert 0 < reads < 10_000
