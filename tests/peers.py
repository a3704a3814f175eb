"""Scripted peers on real sockets: servers that say exactly the bytes a test wants, and clients that read them."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

DEADLINE = 10.0  # seconds: no test waits longer for one thing

Script = Callable[["Conversation"], Awaitable[None]]


class Conversation:
    """One connection, read and written as bytes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def head(self) -> bytes:
        """Everything up to the end of a head."""
        async with asyncio.timeout(DEADLINE):
            return await self.reader.readuntil(b"\r\n\r\n")

    async def exactly(self, count: int) -> bytes:
        """So many bytes."""
        async with asyncio.timeout(DEADLINE):
            return await self.reader.readexactly(count)

    async def rest(self) -> bytes:
        """Everything until the other side closes."""
        async with asyncio.timeout(DEADLINE):
            return await self.reader.read()

    async def until(self, mark: bytes) -> bytes:
        """Everything up to and with `mark`."""
        async with asyncio.timeout(DEADLINE):
            return await self.reader.readuntil(mark)

    async def say(self, data: bytes) -> None:
        """Send bytes."""
        self.writer.write(data)
        await self.writer.drain()

    async def answer(self) -> tuple[bytes, bytes]:
        """Head and body of an HTTP answer with Content-Length, chunks (decoded), or no body."""
        head = await self.head()
        lower = head.lower()
        if b"transfer-encoding: chunked" in lower:
            return head, await self._chunks()
        length = lower.partition(b"content-length:")[2].partition(b"\r\n")[0].strip()
        return head, await self.exactly(int(length)) if length else b""

    async def _chunks(self) -> bytes:
        body = b""
        while size := int((await self.until(b"\r\n")).partition(b";")[0], 16):
            body += await self.exactly(size)
            await self.exactly(2)
        await self.until(b"\r\n")
        return body

    async def frame(self) -> tuple[int, bytes]:
        """One WebSocket frame: first byte and payload, unmasked."""
        first, second = await self.exactly(2)
        length = second & 0x7F
        if length > 125:
            length = int.from_bytes(await self.exactly(2 if length == 126 else 8))
        mask = await self.exactly(4) if second & 0x80 else b"\0\0\0\0"
        payload = await self.exactly(length)
        key = (mask * (length // 4 + 1))[:length]
        return first, (int.from_bytes(payload) ^ int.from_bytes(key)).to_bytes(length)

    def reset(self) -> None:
        """End the connection with a TCP reset."""
        sock: socket.socket = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.writer.transport.abort()

    async def close(self) -> None:
        """End the connection."""
        self.writer.close()
        with suppress(OSError):
            await self.writer.wait_closed()


class Backend:
    """A server whose every connection runs the script."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.connections = 0
        self.failures: list[BaseException] = []
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> tuple[str, int]:
        """Listen; returns the address."""
        self._server = await asyncio.start_server(self._serve, host, port, limit=1 << 20)
        name = self._server.sockets[0].getsockname()
        return name[0], name[1]

    async def stop(self) -> None:
        """Close the port and every connection."""
        if self._server is not None:
            self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        conversation = Conversation(reader, writer)
        try:
            await self.script(conversation)
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass  # the gateway closed a connection: pooled ones and probes end so
        except BaseException as error:  # noqa: BLE001  # shown by the block that owns the backend
            self.failures.append(error)
        finally:
            self._tasks.discard(task)
            await conversation.close()


@asynccontextmanager
async def backend(script: Script, host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[tuple[Backend, str, int]]:
    """A backend for a block; a script that failed fails the test."""
    server = Backend(script)
    at, number = await server.start(host, port)
    try:
        yield server, at, number
    finally:
        await server.stop()
    if server.failures:
        raise server.failures[0]


async def connect(host: str, port: int) -> Conversation:
    """A client's connection."""
    async with asyncio.timeout(DEADLINE):
        return Conversation(*await asyncio.open_connection(host, port, limit=1 << 20))


async def eventually(check: Callable[[], bool], what: str, deadline: float = DEADLINE) -> None:
    """Wait until it is so. Fails, saying what, at the deadline."""
    try:
        async with asyncio.timeout(deadline):
            while not check():  # noqa: ASYNC110  # anything can be looked at; not everything has an event
                await asyncio.sleep(0.005)
    except TimeoutError:
        raise AssertionError(f"never happened: {what}") from None
