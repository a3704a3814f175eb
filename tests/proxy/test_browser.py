"""browser.py: which of the two paths a request goes, when they come faster than the other path says that it is free."""

from __future__ import annotations

import asyncio
import gc
import socket
from contextlib import suppress
from typing import cast

import pytest
from aiohttp.web_request import BaseRequest
from aiohttp.web_response import StreamResponse
from hypothesis import given
from hypothesis import strategies as st

from gateway.config import Timeouts
from gateway.proxy.answering import end_of_chunks
from gateway.proxy.browser import BrowserConnection
from gateway.proxy.door import Door
from gateway.proxy.listener import Listener
from gateway.proxy.straight import Straight
from tests.peers import Conversation, backend, eventually

from .harness import OK, gateway

OTHER_PATH = "Keep-Alive: 300"  # a line that the straight path leaves to the other


async def echo(peer: Conversation) -> None:
    """Answers with the path that was asked for."""
    while True:
        path = (await peer.head()).split(b" ")[1]
        await peer.say(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(path), path))


def connections() -> list[BrowserConnection]:
    """Those that are open."""
    return [one for one in gc.get_objects() if isinstance(one, BrowserConnection) and one.transport is not None]


@pytest.fixture
def straight(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The requests that went straight."""
    accept = Straight.accept
    taken: list[bytes] = []

    def noted(self: Straight, data: bytes, door: Door) -> bool:
        took = accept(self, data, door)
        if took:
            taken.append(data.split(b" ")[1])
        return took

    monkeypatch.setattr(Straight, "accept", noted)
    return taken


async def test_a_quick_client_goes_straight_after_the_other_path(
    monkeypatch: pytest.MonkeyPatch, straight: list[bytes]
) -> None:
    """Its next request is there before aiohttp's task waits for one."""
    serve = Listener._serve
    waiting: list[bool] = []

    async def serve_and_hear(self: Listener, request: BaseRequest) -> StreamResponse:
        answer = await serve(self, request)
        if not waiting:
            connection = cast(BrowserConnection, request.protocol)
            waiting.append(connection._waiter is not None)
            second = b"GET /second HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
            asyncio.get_running_loop().call_soon(connection.data_received, second)
        return answer

    monkeypatch.setattr(Listener, "_serve", serve_and_hear)
    async with backend(echo) as (_, host, port), gateway(host, port) as gate:
        client = await gate.client()
        await client.say(gate.get("/first", OTHER_PATH))
        assert [(await client.answer())[1] for _ in range(2)] == [b"/first", b"/second"]
        await client.say(gate.get("/third"))
        assert (await client.answer())[1] == b"/third"
    assert waiting == [False]
    assert straight == [b"/second", b"/third"]


async def test_bytes_that_wait_are_not_overtaken(monkeypatch: pytest.MonkeyPatch) -> None:
    """The answer and the request after the next one come in the same turn of the loop."""
    done = BrowserConnection.straight_done
    later = [b"GET /3 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"]

    def done_and_heard(self: BrowserConnection, *, keep: bool) -> None:
        done(self, keep=keep)
        if later:
            self.data_received(later.pop())

    go = asyncio.Event()

    async def script(peer: Conversation) -> None:
        while True:
            path = (await peer.head()).split(b" ")[1]
            if path == b"/1":
                await go.wait()
            await peer.say(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(path), path))

    async with backend(script) as (job, host, port), gateway(host, port) as gate:
        client = await gate.client()
        await client.say(gate.get("/1"))
        await eventually(lambda: job.connections > 1, "the job has the first")
        await client.say(gate.get("/2"))
        await eventually(lambda: any(one._ahead for one in connections()), "the second waits")
        monkeypatch.setattr(BrowserConnection, "straight_done", done_and_heard)
        go.set()
        assert [(await client.answer())[1] for _ in range(3)] == [b"/1", b"/2", b"/3"]


async def test_the_rest_of_a_head_is_no_request_of_its_own() -> None:
    asked: list[bytes] = []

    async def script(peer: Conversation) -> None:
        while True:
            asked.append(await peer.head())
            await peer.say(OK)

    async with backend(script) as (_, host, port), gateway(host, port) as gate:
        client = await gate.client()
        await client.say(gate.get("/1", OTHER_PATH) + b"GET /2 HTTP/1.1\r\nHost: 127.0.0.1\r\nX-A: ")
        await client.answer()
        await asyncio.sleep(0.05)
        await client.say(gate.get("/3"))
        answer, _ = await client.answer()
        assert answer.startswith(b"HTTP/1.1 400 ")  # it has two Host lines
    assert [one.split(b" ")[1] for one in asked] == [b"/1"]


@pytest.mark.parametrize("line", [(), (OTHER_PATH,)], ids=["straight", "handler"])
async def test_who_does_not_read_is_not_served_for_ever(line: tuple[str, ...]) -> None:
    """The gateway buffers little for it, and ends the connection after a while, whatever is left to send."""
    page = b"x" * 30_000

    async def script(peer: Conversation) -> None:
        while True:
            await peer.head()
            await peer.say(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(page) + page)

    times = Timeouts(write_idle=0.5)
    async with backend(script) as (_, host, port), gateway(host, port, timeouts=times) as gate:
        with socket.socket() as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            sock.setblocking(False)
            await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", gate.number))
            await eventually(lambda: len(connections()) == 1, "accepted")
            (one,) = connections()
            transport = one.transport
            assert transport is not None
            buffered = 0
            for number in range(600):
                with suppress(BlockingIOError, ConnectionError):
                    sock.send(gate.get(f"/{number}", *line))
                await asyncio.sleep(0.002)
                buffered = max(buffered, transport.get_write_buffer_size())
            assert buffered < 1 << 20
            await eventually(lambda: one.transport is None, "ended")


@pytest.mark.parametrize("line", [(), (OTHER_PATH,)], ids=["straight", "handler"])
@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n" + b"X: y\r\n" * 500, 431),
        (b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: " + b"y" * 70_000 + b"\r\n", 431),
        (b"GET /" + b"y" * 20_000 + b" HTTP/1.1\r\nHost: 127.0.0.1\r\n", 414),
    ],
    ids=["lines", "size", "target"],
)
async def test_both_paths_have_the_same_limits(head: bytes, status: int, line: tuple[str, ...]) -> None:
    async with backend(echo) as (job, host, port), gateway(host, port) as gate:
        more = "".join(f"{one}\r\n" for one in line).encode()
        answer, _ = await gate.ask(head + more + b"\r\n")
        assert answer.startswith(b"HTTP/1.1 %d " % status)
        assert job.connections <= 1  # the probe of the gate


@pytest.mark.parametrize("whole", [True, False], ids=["at once", "begun before"])
async def test_bytes_behind_the_last_chunk_go_to_nobody(whole: bool) -> None:
    extra = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\nX-Evil: 1\r\n\r\nspl"

    async def script(peer: Conversation) -> None:
        while True:
            if b" /a " not in await peer.head():
                await peer.say(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nreal")
                continue
            await peer.say(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n" * (not whole))
            await asyncio.sleep(0.05)
            await peer.say(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n" * whole)
            await peer.say(b"0\r\n\r\n" + extra)

    async with backend(script) as (_, host, port), gateway(host, port) as gate:
        client = await gate.client()
        await client.say(gate.get("/a"))
        if whole:
            assert (await client.answer())[1] == b"ok"
            await client.say(gate.get("/b"))
            assert (await client.answer())[1] == b"real"
        else:
            assert (await client.rest()).endswith(b"\r\n2\r\nok\r\n")


async def test_an_answer_that_only_the_end_ends_is_cut_so_that_it_shows() -> None:
    async def script(peer: Conversation) -> None:
        await peer.head()
        await peer.say(b"HTTP/1.1 200 OK\r\n\r\nhalf of i")
        await asyncio.sleep(0.05)
        peer.reset()

    async with backend(script) as (_, host, port), gateway(host, port) as gate:
        client = await gate.client()
        await client.say(gate.get("/"))
        with pytest.raises(ConnectionResetError):
            await client.rest()


@pytest.mark.parametrize("line", [(), (OTHER_PATH,)], ids=["straight", "handler"])
async def test_pipelined_requests_are_answered_in_order(line: tuple[str, ...]) -> None:
    paths = [f"/{number}" for number in range(500)]
    async with backend(echo) as (_, host, port), gateway(host, port) as gate:
        client = await gate.client()
        await client.say(b"".join(gate.get(path, *line) for path in paths))
        for path in paths:
            assert (await client.answer())[1] == path.encode()


async def test_requests_behind_one_another_in_small_pieces() -> None:
    """Each begins in the middle of a piece, and some while the one before is being answered."""
    paths = [f"/{number}" for number in range(60)]
    async with backend(echo) as (_, host, port), gateway(host, port) as gate:
        client = await gate.client()
        sent = b"".join(gate.get(path, *[OTHER_PATH] * (number % 3 == 0)) for number, path in enumerate(paths))

        async def pieces() -> None:
            for start in range(0, len(sent), 37):
                await client.say(sent[start : start + 37])
                await asyncio.sleep(0)

        sending = asyncio.create_task(pieces())
        for path in paths:
            assert (await client.answer())[1] == path.encode()
        await sending


@given(st.lists(st.binary(min_size=1, max_size=20), max_size=4), st.sampled_from([b"", b"X-A: b\r\n", b"X: 0\r\n" * 2]))
def test_where_chunks_end(chunks: list[bytes], trailers: bytes) -> None:
    body = b"".join(b"%x;a=b\r\n%b\r\n" % (len(one), one) for one in chunks) + b"0\r\n" + trailers + b"\r\n"
    for behind in (b"", b"\r\n", b"HTTP/1.1 200 OK\r\n\r\n"):
        assert end_of_chunks(body + behind) == len(body)
