"""Large bodies, up and down: they pass, every byte counted, and the gateway's memory does not grow with them."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.proxy.harness import gateway

from .crowd import number

SIZE = number("BODY", 1_000_000_000)
PIECE = memoryview(bytes(1 << 20))
GROWTH = 64 << 20  # bytes: buffers of both connections, and what the allocator keeps


def resident() -> int:
    """Of this process, which is the gateway here."""
    return int(Path("/proc/self/status").read_text().partition("VmRSS:")[2].split()[0]) << 10


def pour(sock: socket.socket) -> None:
    left = SIZE
    while left:
        left -= sock.send(PIECE[: min(left, len(PIECE))])


def count(sock: socket.socket) -> int:
    """Bytes until SIZE have come; the kernel drops them."""
    left = SIZE
    while left and (got := sock.recv_into(bytearray(1 << 20), 1 << 20, socket.MSG_TRUNC)):
        left -= got
    return SIZE - left


def read_head(sock: socket.socket) -> bytes:
    """Byte by byte, so that nothing of the body is taken."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        byte = sock.recv(1)
        if not byte:
            raise ConnectionError("no whole head came")
        head += byte
    return head


def download(job: socket.socket) -> None:
    """The job's side of a GET."""
    read_head(job)
    job.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % SIZE)
    pour(job)


def upload(job: socket.socket) -> None:
    """The job's side of a POST: it says how much came."""
    read_head(job)
    body = b"%d" % count(job)
    job.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)


def get(client: socket.socket) -> int:
    """The browser's side of a GET: bytes that came."""
    client.sendall(b"GET /large HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
    assert read_head(client).startswith(b"HTTP/1.1 200")
    return count(client)


def post(client: socket.socket) -> int:
    """The browser's side of a POST: bytes that the job says it got."""
    client.sendall(b"POST /large HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: %d\r\n\r\n" % SIZE)
    pour(client)
    assert read_head(client).startswith(b"HTTP/1.1 200")
    return int(client.recv(100))


@contextmanager
def job_server(serve) -> Iterator[int]:  # type: ignore[no-untyped-def]  # a function of one connection
    """Each connection in a thread; gives the port."""

    def accept() -> None:
        while True:
            try:
                job, _ = listening.accept()
            except OSError:
                return
            with job:
                with suppress(ConnectionError):  # the gate only looks whether somebody accepts
                    serve(job)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(60)
        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        yield listening.getsockname()[1]
        listening.shutdown(socket.SHUT_RDWR)
        thread.join()


@pytest.mark.parametrize("job, ask", [(download, get), (upload, post)])
async def test_a_large_body_passes_and_takes_no_memory(job, ask) -> None:  # type: ignore[no-untyped-def]
    with job_server(job) as port:
        async with gateway("127.0.0.1", port) as gate:
            client = await asyncio.to_thread(socket.create_connection, ("127.0.0.1", gate.number))
            with client:
                before, most = resident(), 0
                asking = asyncio.create_task(asyncio.to_thread(ask, client))
                while not asking.done():
                    await asyncio.wait({asking}, timeout=0.05)
                    most = max(most, resident())
                assert await asking == SIZE
    assert most - before < GROWTH, f"{(most - before) >> 20} MiB"
