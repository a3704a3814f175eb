"""channel.py: a message arrives whole and in its place, whatever its size, or the channel is closed and says so."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from gateway.config import Config
from gateway.proxy.channel import Channel, Message
from gateway.proxy.worker import Worker
from tests.peers import DEADLINE

SIZES = [1, 130_000, (128 << 10) + 1, 180_000, 240_000, 5, 5 << 20, 7]  # around a packet, and around a send buffer


def descriptors() -> set[str]:
    return {one.name for one in Path("/proc/self/fd").iterdir()}


@asynccontextmanager
async def channels(buffer: int = 0, largest: int = 64 << 20) -> AsyncIterator[tuple[Channel, Channel]]:
    """Both ends. `buffer`: bytes of their send buffers, where not the kernel's."""
    pair = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    for one in pair if buffer else ():
        one.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, buffer)
    ends = Channel(pair[0], largest), Channel(pair[1], largest)
    try:
        yield ends
    finally:
        for end in ends:
            end.close()


async def hear(channel: Channel) -> tuple[Message, list[int]] | None:
    async with asyncio.timeout(DEADLINE):
        return await channel.receive()


@pytest.mark.parametrize("buffer", [0, 8 << 10])
@pytest.mark.parametrize("end", [0, 1], ids=["to the worker", "to the parent"])
async def test_every_size_arrives_whole_and_in_order(buffer: int, end: int) -> None:
    before = descriptors()
    async with channels(buffer) as ends:
        for size in SIZES * 2:
            ends[end].send({"text": "ä" * (size // 6)})
        ends[end].send({"commit": 7})
        assert [await hear(ends[1 - end]) for _ in SIZES * 2] == [
            ({"text": "ä" * (size // 6)}, []) for size in SIZES * 2
        ]
        assert await hear(ends[1 - end]) == ({"commit": 7}, [])
        assert not ends[end].waits
        async with asyncio.timeout(DEADLINE):
            await ends[end].flushed()
    assert descriptors() <= before, "no memory file is left open"


async def test_a_socket_goes_beside_a_message_of_any_size_also_if_it_is_closed_before_the_kernel_took_it() -> None:
    before = descriptors()
    async with channels(8 << 10) as (parent, worker):
        names = []
        for number, size in enumerate([1, 200_000] * 30):
            with socket.create_server(("127.0.0.1", 0)) as sock:
                parent.send({"text": "x" * size, "number": number}, (sock.fileno(),))
                names.append(sock.getsockname())
        assert parent.waits, "or else this test proves less than it says"
        for number, name in enumerate(names):
            heard = await hear(worker)
            assert heard is not None and heard[0]["number"] == number
            (fd,) = heard[1]
            with socket.socket(fileno=fd) as sock:
                assert sock.getsockname() == name
    assert descriptors() <= before


async def test_what_is_too_large_is_refused_where_it_is_made() -> None:
    async with channels(largest=300_000) as (parent, worker):
        with pytest.raises(ValueError, match="a message of 400011 bytes: a channel carries at most 300000"):
            parent.send({"text": "x" * 399_999})
        parent.send({"text": "x" * 299_900})
        parent.send({"commit": 7})
        assert await hear(worker) == ({"text": "x" * 299_900}, [])
        assert await hear(worker) == ({"commit": 7}, [])


CUT = [
    (b'{"text": "%s"}' % (b"x" * 150_000), b"", "a packet of more than 131072 bytes was cut"),
    (b'{"memory": 10}', None, "a message in memory without its descriptor"),
    (b'{"memory": 10}', b'{"a": 1}', "8 bytes of a message of 10"),
    (b'{"memory": 400}', b" " * 400, "a message of 400 bytes: a channel carries at most 300"),
    (b'{"memory": 3}', b'{"a', "Expecting|Unterminated"),
]


@pytest.mark.parametrize(("packet", "memory", "why"), CUT, ids=[one[2][:20] for one in CUT])
async def test_what_did_not_come_whole_is_said_and_nothing_behind_it_is_obeyed(
    packet: bytes, memory: bytes | None, why: str
) -> None:
    before = descriptors()
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        channel = Channel(ours, 300)
        with os.fdopen(os.memfd_create("test"), "wb") as file:
            file.write(memory or b"")
            file.flush()
            socket.send_fds(theirs, [packet], [] if memory is None else [file.fileno()])
        theirs.send(b'{"commit": 7}')
        with capture_logs() as said:
            assert await hear(channel) is None
        assert channel.closed and await hear(channel) is None
        assert [one["log_level"] for one in said] == ["error"]
        assert any(part in said[0]["why"] for part in why.split("|"))
        with pytest.raises(ConnectionResetError):  # the other end sees it, and replaces who did not hear
            theirs.recv(10)
    assert descriptors() <= before


async def test_the_end_of_the_other_one_is_no_error() -> None:
    before = descriptors()
    async with channels() as (parent, worker):
        worker.close()
        with capture_logs() as said:
            for size in SIZES:
                parent.send({"text": "x" * size}, (0,))
            assert await hear(parent) is None
        assert not said and not parent.waits
    assert descriptors() <= before


def rules(count: int) -> list[dict[str, Any]]:
    return [{"port_min": 1, "port_max": 9, "source": f"10.{one % 250}.{one // 250}.0/24"} for one in range(count)]


@pytest.mark.parametrize("count", [1_500, 2_200, 4_000, 60_000])
async def test_rules_that_are_acknowledged_are_in_force(count: int) -> None:
    async with channels() as (parent, end):
        worker = Worker(end, Config(Path()))
        running = asyncio.create_task(worker.run())
        config = {"control_port": 1, "names": [], "trusted_proxies": [], "workers": 1}
        parent.send({"config": {**config, "rules": rules(10)}})
        parent.send({"config": {**config, "rules": rules(count)}})
        parent.send({"commit": 7})
        assert await hear(parent) == ({"ack": 7}, [])
        last = rules(count)[-1]["source"].replace("0/24", "8")
        assert worker._guard.allows(last, 9) and not worker._guard.allows(last, 10)
        parent.send({"stop": True})
        async with asyncio.timeout(DEADLINE):
            await running
