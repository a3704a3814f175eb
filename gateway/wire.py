"""One HTTP/1.1 call on a connection of its own: what `gateway/client.py` needs of HTTP, and nothing else.

Not aiohttp's client: its import takes longer than everything else that a `float` command does. httptools reads the
answers, so no parser of our own decides what a message is.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import httptools

_READ = 1 << 16  # bytes read at once


class Gone(Exception):
    """The connection ended before the answer did."""


class NotHttp(Exception):
    """What answers speaks something else, or the answer is not what was promised."""


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds. `connect`: until the connection is open. `silence`: between two reads. `total`: for all; None: any."""

    connect: float
    silence: float
    total: float | None


@dataclass(slots=True)
class Answer:
    """A status and its headers (names in lower case); the body is read from it once."""

    status: int
    headers: Mapping[str, str]
    _message: _Message
    _reader: asyncio.StreamReader
    _silence: float

    async def chunks(self) -> AsyncIterator[bytes]:
        """The body as it comes. Raises Gone, NotHttp, TimeoutError."""
        while True:
            came, self._message.body = self._message.body, []
            for chunk in came:
                yield chunk
            if self._message.ended:
                return
            await _more(self._reader, self._message, self._silence)

    async def read(self) -> bytes:
        """The whole body."""
        return b"".join([chunk async for chunk in self.chunks()])

    async def json(self) -> Any:
        """The body as JSON. Raises NotHttp when it is something else."""
        if "json" not in self.headers.get("content-type", ""):
            raise NotHttp
        try:
            return json.loads(await self.read())
        except ValueError as error:
            raise NotHttp from error


@dataclass(slots=True)
class _Message:
    """What httptools calls as it reads."""

    headers: dict[str, str] = field(default_factory=dict)
    body: list[bytes] = field(default_factory=list)
    begun: bool = False
    ended: bool = False
    parser: Any = None

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        self.begun = True

    def on_body(self, chunk: bytes) -> None:
        self.body.append(chunk)

    def on_message_complete(self) -> None:
        self.ended = True

    def until_the_end(self) -> bool:
        """Whether the end of the connection is the end of the body (RFC 9112, 6.3)."""
        return self.begun and not {"content-length", "transfer-encoding"} & set(self.headers)


@asynccontextmanager
async def call(
    method: str, url: str, headers: Mapping[str, str], body: bytes | None, patience: Patience
) -> AsyncIterator[Answer]:
    """Send it and read the answer's head. Raises OSError, TimeoutError, Gone or NotHttp."""
    parts, request = urlsplit(url), _request(method, url, headers, body)
    tls = parts.scheme == "https"
    async with asyncio.timeout(patience.total):
        async with asyncio.timeout(patience.connect):
            reader, writer = await asyncio.open_connection(
                parts.hostname, parts.port or (443 if tls else 80), ssl=True if tls else None
            )
        try:
            writer.write(request)
            message = _Message()
            message.parser = httptools.HttpResponseParser(message)
            while not message.begun:
                await _more(reader, message, patience.silence)
            yield Answer(message.parser.get_status_code(), message.headers, message, reader, patience.silence)
        finally:
            writer.transport.abort()  # everything was sent; what is not read is not wanted
            await asyncio.sleep(0)  # the transport lets go of its socket in the loop's next turn


def _request(method: str, url: str, headers: Mapping[str, str], body: bytes | None) -> bytes:
    parts = urlsplit(url)
    sent = {"Host": parts.netloc, "Connection": "close", **headers}
    if body is not None:
        sent |= {"Content-Type": "application/json", "Content-Length": str(len(body))}
    target = f"{parts.path}?{parts.query}" if parts.query else parts.path
    lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in sent.items())]
    if any("\r" in line or "\n" in line for line in lines):
        raise NotHttp
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + (body or b"")


async def _more(reader: asyncio.StreamReader, message: _Message, silence: float) -> None:
    async with asyncio.timeout(silence):
        try:
            data = await reader.read(_READ)
        except ConnectionError as error:
            raise Gone from error
    if not data:
        if not message.until_the_end():
            raise Gone
        message.ended = True
        return
    try:
        message.parser.feed_data(data)
    except httptools.HttpParserError as error:
        raise NotHttp from error
