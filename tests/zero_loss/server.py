"""The job of the zero-loss tests: a server that counts what it executes, in its memory alone. Standard library only.

    GET, POST, PUT /id/<id>         execute the id; the answer says how often it was and what the body's SHA-256 is
    GET /download/<id>?size=N       N bytes that follow from the id
    GET /poll/<id>                  an answer after a while; asking has no effect
    GET /report                     what was executed more than once, and what went wrong
    /api/kernels/<k>/channels?session_id=<s>    WebSocket with numbered frames, replayed by session like Jupyter's:
        what is said while nobody is connected is kept, and comes first on the session's next connection

Run as a program, `python server.py HOST PORT`, it is the only server of its memory. In a test several servers, on
several addresses, share one `Memory`: then the memory is what moves.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import socket
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

TEXT, CLOSE, PING, PONG = 0x81, 0x88, 0x89, 0x8A
_BLOCK = 1 << 16
_TICK = 0.1  # seconds between two frames that the server says by itself, in each session
_POLL = 0.8  # seconds that a poll takes: longer than a draining gate waits for it
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455 §1.3


@dataclass
class Session:
    """One WebSocket client, whatever its connections. `up` and `down` are the numbers of the next frames."""

    up: int = 0
    down: int = 0
    kept: list[bytes] = field(default_factory=list)
    writer: asyncio.StreamWriter | None = None

    def say(self, words: str) -> None:
        """One numbered frame: now, or on the next connection."""
        frame = frame_of(TEXT, f"d {self.down} {words}".encode())
        self.down += 1
        if self.writer is None or self.writer.is_closing():
            self.kept.append(frame)
        else:
            self.writer.write(frame)


@dataclass
class Memory:
    """What a checkpoint saves."""

    executed: Counter[str] = field(default_factory=Counter)
    sessions: dict[str, Session] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)
    frozen: bool = False
    """It is being moved: nothing may be executed."""
    receiving: int = 0
    """Bodies of which a part has come."""
    sending: int = 0
    """Downloads under way."""

    def execute(self, name: str) -> int:
        """Once more; says how often that is."""
        if self.frozen:
            self.wrong.append(f"{name} was executed while the job was away")
        self.executed[name] += 1
        return self.executed[name]

    def heard(self, sid: str, text: str) -> None:
        """A frame of a session's client: the next one, no other. It is echoed."""
        session = self.sessions[sid]
        number = int(text.split(" ", 2)[1])
        if number != session.up:
            self.wrong.append(f"{sid}: frame {number} came, {session.up} was next")
        session.up = number + 1
        session.say(f"echo {number}")

    def report(self) -> dict[str, object]:
        """For the end of a test."""
        twice = {name: count for name, count in self.executed.items() if count > 1}
        ups = {sid: session.up for sid, session in self.sessions.items()}
        return {"twice": twice, "executed": len(self.executed), "wrong": self.wrong[:20], "ups": ups}


def content(name: str, size: int) -> Iterator[bytes]:
    """The bytes of a download, in blocks."""
    block = hashlib.sha256(name.encode()).digest() * (_BLOCK // 32)
    for at in range(0, size, _BLOCK):
        yield block[: min(_BLOCK, size - at)]


def frame_of(first: int, payload: bytes) -> bytes:
    """A server's frame."""
    if len(payload) < 126:
        return bytes((first, len(payload))) + payload
    if len(payload) < 1 << 16:
        return bytes((first, 126)) + len(payload).to_bytes(2, "big") + payload
    return bytes((first, 127)) + len(payload).to_bytes(8, "big") + payload


async def read_frame(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    """First byte and unmasked payload of the next frame."""
    first, second = await reader.readexactly(2)
    size = second & 0x7F
    if size > 125:
        size = int.from_bytes(await reader.readexactly(2 if size == 126 else 8), "big")
    mask = await reader.readexactly(4) if second & 0x80 else b""
    payload = await reader.readexactly(size)
    if mask and any(mask):
        key = int.from_bytes((mask * (size // 4 + 1))[:size], "big")
        payload = (int.from_bytes(payload, "big") ^ key).to_bytes(size, "big")
    return first, payload


@dataclass
class Request:
    """A head, read."""

    method: str
    path: str
    query: dict[str, str]
    fields: dict[str, str]

    @staticmethod
    def of(head: bytes) -> Request:
        """Of a head's bytes."""
        first, *lines = head.decode("latin-1").split("\r\n")
        method, target, _ = first.split(" ")
        path, _, query = target.partition("?")
        pairs = (pair.partition("=") for pair in query.split("&") if pair)
        fields = (line.partition(":") for line in lines if line)
        return Request(
            method,
            path,
            {name: value for name, _, value in pairs},
            {name.lower(): value.strip() for name, _, value in fields},
        )


class Server:
    """One address at which the job answers."""

    def __init__(self, memory: Memory) -> None:
        self.memory = memory
        self._connections: dict[asyncio.Task[None], asyncio.StreamWriter] = {}
        self._server: asyncio.Server | None = None
        self._ticker: asyncio.Task[None] | None = None

    @property
    def connections(self) -> int:
        """Open now."""
        return len(self._connections)

    async def start(self, host: str, port: int) -> int:
        """Listen; returns the port."""
        self._server = await asyncio.start_server(self._serve, host, port, limit=1 << 20, backlog=1024)
        self._ticker = asyncio.ensure_future(self._tick())
        return int(self._server.sockets[0].getsockname()[1])

    async def stop(self, reset: bool = False) -> None:
        """Close the port and every connection; `reset`: as a host that dies."""
        assert self._server is not None and self._ticker is not None
        self._server.close()
        self._ticker.cancel()
        tasks = dict(self._connections)
        for task, writer in tasks.items():
            if reset:
                sock = writer.get_extra_info("socket")
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                writer.transport.abort()
            task.cancel()
        await asyncio.gather(self._ticker, *tasks, return_exceptions=True)

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(_TICK)
            for session in self.memory.sessions.values():
                session.say("tick")

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections[task] = writer
        try:
            while True:
                request = Request.of((await reader.readuntil(b"\r\n\r\n"))[:-4])
                if request.fields.get("upgrade") == "websocket":
                    await self._websocket(request, reader, writer)
                    return
                await self._answer(request, reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass  # connections end so
        except Exception as error:  # noqa: BLE001  # the border: the test reads it in the report
            self.memory.wrong.append(f"{type(error).__name__}: {error}"[:300])
        finally:
            writer.close()
            del self._connections[task]

    # HTTP

    async def _answer(self, request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        kind, _, name = request.path.lstrip("/").partition("/")
        if kind == "id":
            digest = await self._body(request, reader)
            count = self.memory.execute(name)
            await _say(writer, {"id": name, "count": count, "sha": digest, "method": request.method})
        elif kind == "download":
            self.memory.execute(name)
            await self._download(name, request, writer)
        elif kind == "poll":
            await _unless_left(reader, _POLL)
            await _say(writer, {"id": name})
        elif kind == "report":
            await _say(writer, self.memory.report())
        else:
            writer.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
            await writer.drain()

    async def _body(self, request: Request, reader: asyncio.StreamReader) -> str:
        """Its SHA-256, when all of it has come."""
        digest = hashlib.sha256()
        self.memory.receiving += 1
        try:
            if request.fields.get("transfer-encoding") == "chunked":
                while size := int(await reader.readuntil(b"\r\n"), 16):
                    digest.update(await reader.readexactly(size))
                    await reader.readexactly(2)
                await reader.readexactly(2)
            else:
                left = int(request.fields.get("content-length", "0"))
                while left:
                    data = await reader.read(min(left, _BLOCK))
                    if not data:
                        raise asyncio.IncompleteReadError(b"", left)
                    left -= len(data)
                    digest.update(data)
        finally:
            self.memory.receiving -= 1
        return digest.hexdigest()

    async def _download(self, name: str, request: Request, writer: asyncio.StreamWriter) -> None:
        size = int(request.query["size"])
        chunked = "chunked" in request.query
        framing = b"Transfer-Encoding: chunked" if chunked else b"Content-Length: %d" % size
        writer.write(b"HTTP/1.1 200 OK\r\n%b\r\n\r\n" % framing)
        sock = writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 * _BLOCK)  # so that it is still at it when others read
        self.memory.sending += 1
        try:
            for block in content(name, size):
                writer.write(b"%x\r\n%b\r\n" % (len(block), block) if chunked else block)
                await writer.drain()
            writer.write(b"0\r\n\r\n" if chunked else b"")
            await writer.drain()
        finally:
            self.memory.sending -= 1

    # WebSocket

    async def _websocket(self, request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        key = request.fields["sec-websocket-key"].encode()
        accept = base64.b64encode(hashlib.sha1(key + _GUID).digest())
        writer.write(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: %b\r\n\r\n" % accept
        )
        sid = request.query["session_id"]
        session = self.memory.sessions.setdefault(sid, Session())
        if session.writer is not None:
            session.writer.close()  # Jupyter: "Replacing stale connection"
        kept, session.kept = session.kept, []
        writer.writelines(kept)
        session.writer = writer
        try:
            await self._listen(sid, reader, writer)
        finally:
            if session.writer is writer:
                session.writer = None

    async def _listen(self, sid: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        parts: list[bytes] = []
        while True:
            first, payload = await read_frame(reader)
            opcode = first & 0x0F
            if opcode == 8:
                self.memory.sessions[sid].writer = None
                writer.write(frame_of(CLOSE, payload[:2]))
                await writer.drain()
                return
            if opcode == 9:
                writer.write(frame_of(PONG, payload))
            elif opcode != 10:
                parts.append(payload)
                if first & 0x80:
                    self.memory.heard(sid, b"".join(parts).decode())
                    parts.clear()


async def _say(writer: asyncio.StreamWriter, doc: dict[str, object]) -> None:
    body = json.dumps(doc).encode()
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
    await writer.drain()


async def _unless_left(reader: asyncio.StreamReader, seconds: float) -> None:
    """Wait so long. Raises when the client leaves before: nobody wants the answer."""
    try:
        await asyncio.wait_for(reader.read(1), seconds)
    except asyncio.TimeoutError:  # noqa: UP041  # this runs as a program of its own, whatever its Python
        return
    raise ConnectionResetError


async def _main(host: str, port: int) -> None:
    server = Server(Memory())
    await server.start(host, port)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1], int(sys.argv[2])))
