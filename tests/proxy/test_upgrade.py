"""From an exchange to a relay: what else may be under way on the two connections when the job says 101."""

from __future__ import annotations

import asyncio
import errno
import os

import pytest

from gateway.proxy.frames import Opcode, close_frame, frame
from gateway.proxy.reply import Reply
from tests.peers import Conversation, backend, eventually

from .harness import OK, Port, gateway
from .test_relay import CLOSE, KERNEL, TEXT, UPGRADE, Echo, accept, dial, text

LARGE = 24 << 20  # bytes: more than both kernel buffers of a connection take


async def test_an_answer_that_the_browser_is_still_taking_goes_before_the_handshakes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Pipelined: a download, then the handshake, and the browser reads neither for a while."""
    drain = Reply._drain

    async def into_memory(self: Reply) -> None:
        if not self.size:  # else: the end of the download is buffered here, however much it is
            await drain(self)

    monkeypatch.setattr(Reply, "_drain", into_memory)
    echo, asked = Echo(), asyncio.Event()
    whole = os.urandom(1 << 20) * (LARGE >> 20)

    async def script(peer: Conversation) -> None:
        head = await peer.head()
        if head.startswith(b"GET /large"):
            await peer.say(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % LARGE)
            await peer.say(whole)
        else:
            asked.set()
            await echo.talk(peer)

    async with backend(script) as (_, host, port), gateway(host, port) as gate:
        client = await gate.client()
        await client.say(gate.get("/large") + gate.get(KERNEL, *UPGRADE))
        await asyncio.wait_for(asked.wait(), 10)
        await asyncio.sleep(0.05)
        assert not gate.gate.relays, "all of it is to be sent first"
        head = await client.head()
        assert head.startswith(b"HTTP/1.1 200") and await client.exactly(LARGE) == whole
        assert (await client.head()).startswith(b"HTTP/1.1 101")
        await client.say(text("hello"))
        assert await client.frame() == (TEXT, b"echo hello")
        await client.close()


async def test_bytes_that_came_with_the_handshake_are_the_first() -> None:
    async def script(peer: Conversation) -> None:
        await peer.head()
        await peer.say(accept() + frame(Opcode.TEXT, b"welcome", masked=False) + b"\x81\x05spl")
        _, payload = await peer.frame()
        await peer.say(b"it" + frame(Opcode.TEXT, payload, masked=False))
        await peer.frame()

    async with backend(script) as (_, host, port), gateway(host, port) as gate:
        client = await gate.client()
        await client.say(gate.get(KERNEL, *UPGRADE) + text("early"))
        assert (await client.head()).startswith(b"HTTP/1.1 101")
        assert await client.frame() == (TEXT, b"welcome")
        assert await client.frame() == (TEXT, b"split")
        assert await client.frame() == (TEXT, b"early")
        await client.close()


async def test_a_job_that_says_goodbye_with_its_handshake() -> None:
    async def script(peer: Conversation) -> None:
        await peer.head()
        await peer.say(accept() + close_frame(1013, "full", masked=False))

    async with backend(script) as (_, host, port), gateway(host, port) as gate:
        client, head = await dial(gate)
        assert head.startswith(b"HTTP/1.1 101")
        first, payload = await client.frame()
        assert first == CLOSE and payload == b"\x03\xf5full"
        assert await client.rest() == b""
        await eventually(lambda: not gate.gate.relays, "the relay has ended")


async def test_a_browser_that_has_left_before_the_job_says_101() -> None:
    left, ended = asyncio.Event(), asyncio.Event()

    async def script(peer: Conversation) -> None:
        await peer.head()
        await left.wait()
        await peer.say(accept())
        await peer.rest()
        ended.set()

    async with backend(script) as (_, host, port), gateway(host, port) as gate:
        client = await gate.client()
        await client.say(gate.get(KERNEL, *UPGRADE))
        await asyncio.sleep(0.05)
        client.reset()
        left.set()
        await asyncio.wait_for(ended.wait(), 10)
        assert not gate.gate.relays


@pytest.mark.parametrize("which", ["the job's", "the browser's"])
async def test_too_many_files_are_an_honest_answer_and_nothing_stays_open(
    monkeypatch: pytest.MonkeyPatch, which: str
) -> None:
    """Each side needs one more for a moment."""
    dup, calls = os.dup, 0

    def full(fd: int) -> int:
        nonlocal calls
        calls += 1
        if which == "the job's" or calls % 2 == 0:
            raise OSError(errno.EMFILE, "Too many open files")
        return dup(fd)

    ended = 0

    async def script(peer: Conversation) -> None:
        nonlocal ended
        head = await peer.head()
        if b"/api/kernels" in head:
            await peer.say(accept())
            await peer.rest()
            ended += 1
        else:
            await peer.say(OK)

    async with backend(script) as (_, host, port), gateway(host, port) as gate:
        with monkeypatch.context() as patch:
            patch.setattr(os, "dup", full)
            client, head = await dial(gate)
            assert head.startswith(b"HTTP/1.1 50"), head
        await eventually(lambda: ended > 0, "the job's connection is not left open")
        assert not gate.gate.relays
        await client.close()
        await serves(gate)


async def serves(gate: Port) -> None:
    _, body = await gate.ask(gate.get("/x", "Connection: close"))
    assert body == b"ok"
