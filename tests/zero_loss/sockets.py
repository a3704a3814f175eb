"""The WebSocket clients: numbered frames up, numbered frames down, none missing, none twice, in order."""

from __future__ import annotations

import asyncio
import base64
import os
from contextlib import suppress
from itertools import count

from .browsers import PATIENCE, THINK, World
from .server import CLOSE, PING, PONG, TEXT, read_frame

_BIG = 100_000  # bytes of the frames that do not fit one segment
COME_BACK = 1012


def masked(first: int, payload: bytes) -> bytes:
    """A client's frame."""
    size = len(payload)
    if size < 126:
        head = bytes((first, 0x80 | size))
    elif size < 1 << 16:
        head = bytes((first, 0xFE)) + size.to_bytes(2)
    else:
        head = bytes((first, 0xFF)) + size.to_bytes(8)
    key = os.urandom(4)
    pad = (key * (size // 4 + 1))[:size]
    return head + key + (int.from_bytes(payload) ^ int.from_bytes(pad)).to_bytes(size)


class Socket:
    """One browser's WebSocket to a kernel."""

    def __init__(self, world: World, number: int, port: int) -> None:
        self.world, self.number, self.port = world, number, port
        self.name = f"ws-{number}"
        self._lives = 0
        self._up = self._down = self._echoed = 0
        self._news = asyncio.Condition()
        self._code: int | None = None
        self._closing = False
        self._reader: asyncio.StreamReader
        self._writer: asyncio.StreamWriter

    async def live(self) -> None:
        """Until the tide is over and every frame was echoed."""
        while not self.world.tide.over or self._lives == 0:
            await self._life()
            if not self._code:
                return
            self._lives += 1  # told to come back: a new session

    async def _life(self) -> None:
        self._up = self._down = self._echoed = 0
        self._code, self._closing = None, False
        if not await self._open():
            return
        listening = asyncio.create_task(self._listen())
        try:
            with suppress(ConnectionError):  # the listener says why
                await self._talk()
            with suppress(TimeoutError):
                async with asyncio.timeout(PATIENCE):
                    await asyncio.shield(listening)
        finally:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)
            self._writer.transport.abort()

    async def _open(self) -> bool:
        """The handshake, which a gate may hold."""
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self.port, limit=1 << 18)
        kernel = self.number // 2  # two windows on each kernel
        key = base64.b64encode(os.urandom(16)).decode()
        self._writer.write(
            f"GET /api/kernels/k{kernel}/channels?session_id={self.name}-{self._lives} HTTP/1.1\r\n"
            f"Host: 127.0.0.1:{self.port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n".encode()
        )
        try:
            async with asyncio.timeout(PATIENCE):
                head = await self._reader.readuntil(b"\r\n\r\n")
        except (OSError, TimeoutError, asyncio.IncompleteReadError) as error:
            self.world.tally.fail(f"{self.name}: no handshake: {type(error).__name__}")
            return False
        if head.startswith(b"HTTP/1.1 101"):
            return True
        self._refused(head)
        self._writer.transport.abort()
        return False

    def _refused(self, head: bytes) -> None:
        """A handshake that was inside when the host died may be refused as any request."""
        if self.world.lossy and head.startswith(b"HTTP/1.1 503") and b"LOST" in head:
            self.world.tally.honest["LOST"] += 1
            self._code = COME_BACK
        else:
            self.world.tally.fail(f"{self.name}: the handshake was answered {head[:200]!r}")

    # Up

    async def _talk(self) -> None:
        for turn in count():
            if self._code is not None:
                return
            if self.world.tide.over:
                break
            await self._say(turn + self.number)
            await asyncio.sleep(THINK)
        await self._until_echoed()
        self._closing = True
        self._write(masked(CLOSE, (1000).to_bytes(2)))

    async def _say(self, turn: int) -> None:
        """Mostly small frames; some large, some in fragments with a ping between, some cut in two by a move."""
        words = f"u {self._up} ".encode()
        self._up += 1
        self.world.tally.frames_up += 1
        if turn % 16 == 3:
            self._write(masked(TEXT, words + b"x" * _BIG))
        elif turn % 16 == 7:
            self._write(masked(0x01, words) + masked(PING, b"between") + masked(0x00, b"a") + masked(0x80, b"b"))
        elif turn % 64 == 11:
            frame = masked(TEXT, words + b"y" * 1000)
            await self.world.tide.open()
            self._write(frame[:500])
            async with self.world.tide.middle():
                self._write(frame[500:])
        else:
            self._write(masked(TEXT, words))
        await self._writer.drain()

    def _write(self, data: bytes) -> None:
        if not self._writer.is_closing():
            self._writer.write(data)

    async def _until_echoed(self) -> None:
        try:
            async with asyncio.timeout(PATIENCE), self._news:
                await self._news.wait_for(lambda: self._echoed == self._up or self._code is not None)
        except TimeoutError:
            self.world.tally.fail(f"{self.name}: {self._up} frames up, {self._echoed} echoed: some were lost")

    # Down

    async def _listen(self) -> None:
        try:
            while True:
                first, payload = await read_frame(self._reader)
                if first == TEXT:
                    await self._take(payload)
                elif first == PING:
                    self._write(masked(PONG, payload))
                elif first == CLOSE:
                    await self._closed(int.from_bytes(payload[:2]))
                    return
        except (asyncio.IncompleteReadError, ConnectionError) as error:
            if self._code is None:
                self.world.tally.fail(f"{self.name}: closed without a Close frame: {type(error).__name__}")
                await self._closed(1006)

    async def _take(self, payload: bytes) -> None:
        _, number, what, *which = payload.split(b" ")
        if int(number) != self._down:
            self.world.tally.fail(f"{self.name}: frame {int(number)} came, {self._down} was next")
        self._down = int(number) + 1
        self.world.tally.frames_down += 1
        if what == b"echo":
            if int(which[0]) != self._echoed:
                self.world.tally.fail(f"{self.name}: frame {self._echoed} up was lost or doubled: {which[0]!r} echoed")
            async with self._news:
                self._echoed = int(which[0]) + 1
                self._news.notify_all()
        self.world.tally.progress[self.name] += 1

    async def _closed(self, code: int) -> None:
        if not self._closing:
            if self.world.lossy and code == COME_BACK:
                self.world.tally.honest["1012"] += 1
            else:
                self.world.tally.fail(f"{self.name}: closed with {code}")
        async with self._news:
            self._code = 0 if self._closing else code
            self._news.notify_all()
