"""browser.py: which of the two paths a request goes, when they come faster than the other path says that it is free."""

from __future__ import annotations

import asyncio
from typing import cast

import pytest
from aiohttp.web_request import BaseRequest
from aiohttp.web_response import StreamResponse

from gateway.proxy.browser import BrowserConnection
from gateway.proxy.door import Door
from gateway.proxy.listener import Listener
from gateway.proxy.straight import Straight
from tests.peers import Conversation, backend

from .harness import gateway

OTHER_PATH = "Keep-Alive: 300"  # a line that the straight path leaves to the other


async def echo(peer: Conversation) -> None:
    """Answers with the path that was asked for."""
    while True:
        path = (await peer.head()).split(b" ")[1]
        await peer.say(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(path), path))


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
