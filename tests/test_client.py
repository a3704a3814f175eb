"""The API's client before scripted servers: whatever answers, the caller has JSON or one sentence."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from gateway.client import OpCenterClient
from gateway.errors import Code, Refusal

JSON = b"HTTP/1.1 200 OK\r\nContent-Type: application/json; charset=utf-8\r\n"


@asynccontextmanager
async def answering(*pieces: bytes, hold: bool = False) -> AsyncIterator[tuple[OpCenterClient, list[bytes]]]:
    """A client, and a server that reads one head, sends these pieces one by one, and hangs up (unless `hold`)."""
    heads: list[bytes] = []
    over = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            heads.append(await reader.readuntil(b"\r\n\r\n"))
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(0)
            if hold:
                await reader.read()
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
        over.set()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, OpCenterClient(f"http://127.0.0.1:{port}") as client:
        yield client, heads
        if heads:
            await asyncio.wait_for(over.wait(), 10)


@pytest.mark.parametrize(
    "answer",
    [
        JSON + b'Content-Length: 7\r\n\r\n{"a":1}',
        JSON + b'Transfer-Encoding: chunked\r\n\r\n3\r\n{"a\r\n4\r\n":1}\r\n0\r\n\r\n',
        JSON + b'\r\n{"a":1}',  # its end is the connection's
    ],
    ids=["length", "chunked", "until the end"],
)
@pytest.mark.parametrize("size", [1, 5, 1000])
async def test_an_answer_however_it_is_framed_and_cut(answer: bytes, size: int) -> None:
    pieces = [answer[at : at + size] for at in range(0, len(answer), size)]
    async with answering(*pieces) as (client, _):
        assert await client.get("/jobs") == {"a": 1}


async def test_an_answer_is_not_waited_for_longer_than_it_is() -> None:
    async with answering(JSON + b"Content-Length: 2\r\n\r\n{}", hold=True) as (client, _), asyncio.timeout(5):
        assert await client.get("/jobs") == {}


async def test_what_is_asked() -> None:
    async with answering(JSON + b"Content-Length: 2\r\n\r\n{}") as (client, heads):
        client.token = "Bearer x"
        await client.get("/jobs", [("filter", "user=a b"), ("filter", "name=ü&c")], timeout="1.0")
    target = b"GET /api/v1/jobs?filter=user%3Da+b&filter=name%3D%C3%BC%26c&timeout=1.0 HTTP/1.1\r\n"
    assert heads[0].startswith(target) and b"\r\nAuthorization: Bearer x\r\n" in heads[0]


@pytest.mark.parametrize(
    ("pieces", "code", "words"),
    [
        ([b""], Code.UNAVAILABLE, "went away"),
        ([JSON + b'Content-Length: 9\r\n\r\n{"a'], Code.UNAVAILABLE, "went away"),
        ([b"SSH-2.0-OpenSSH_9\r\n"], Code.UNAVAILABLE, "is not an OpCenter"),
        ([b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"], Code.UNAVAILABLE, "is not an OpCenter"),
        ([JSON + b"Content-Length: 2\r\n\r\nhi"], Code.UNAVAILABLE, "is not an OpCenter"),
        ([b"HTTP/1.1 502 Bad\r\nContent-Length: 2\r\n\r\nhi"], Code.INTERNAL, "answered 502"),
        ([JSON.replace(b"200 OK", b"409 C") + b'\r\n{"error": "No.", "code": 1005}'], Code.CONFLICT, "No."),
    ],
    ids=["nothing", "cut", "ssh", "text", "no json", "502", "refused"],
)
async def test_everything_else_is_a_sentence(pieces: list[bytes], code: Code, words: str) -> None:
    async with answering(*pieces) as (client, _):
        with pytest.raises(Refusal, match=words) as refused:
            await client.get("/jobs")
    assert refused.value.code is code


async def test_a_token_cannot_smuggle_a_header() -> None:
    async with answering(JSON) as (client, heads):
        client.token = "Bearer x\r\nX-Evil: 1"
        with pytest.raises(Refusal):
            await client.get("/jobs")
    assert heads == []


async def test_events_come_one_by_one_and_may_be_left() -> None:
    chunk = b'data: {"n": 1}\n\nda'
    more = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"%x\r\n%b\r\n" % (len(chunk), chunk)
    async with answering(more, b'9\r\nta: {"n":\r\n3\r\n2}\n\r\n', hold=True) as (client, _):
        stream = client.events()
        assert [await anext(stream), await anext(stream)] == [{"n": 1}, {"n": 2}]
        await stream.aclose()  # type: ignore[attr-defined]


def test_a_command_does_not_wait_for_what_it_does_not_use() -> None:
    """`float squeue` has done its work before aiohttp alone would have been imported."""
    script = """
import sys
from gateway.cli.app import main

assert main(["squeue", "-a", "127.0.0.1:1", "-O", "x"]) == 1
heavy = {"aiohttp", "sqlalchemy", "jinja2", "uvloop", "rich", "structlog"} & set(sys.modules)
assert not heavy, heavy
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0 and "No OpCenter answers" in done.stderr, done.stderr
