"""A job that believes nothing: it reads requests as the RFCs say and remembers whatever they do not allow."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from tests.peers import Conversation

# RFC 9112 §3, §5, §7.1; no bare CR or LF, no folding, no control bytes, no chunk extensions.
_LINE = re.compile(rb"[A-Z]+ /[\x21-\x22\x24-\x7e\x80-\xff]* HTTP/1\.1")
_FIELD = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+:[ \t]*[^\x00-\x08\x0a-\x1f\x7f]*")
_SIZE = re.compile(rb"[0-9a-fA-F]{1,8}")
_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
# What a proxy takes off, and what would make two parsers differ.
_NOT_HERE = frozenset(b"te trailer upgrade keep-alive proxy-connection http2-settings expect proxy".split())
_NOT_BEHIND = frozenset(b"content-length transfer-encoding host cookie authorization x-forwarded-for".split())


@dataclass
class Request:
    """One request as the strict job read it."""

    method: bytes
    target: bytes
    fields: list[tuple[bytes, bytes]]
    body: bytes = b""

    def values(self, name: bytes) -> list[bytes]:
        """Every value of a header; `name` in lower case."""
        return [value for key, value in self.fields if key.lower() == name]


@dataclass
class StrictJob:
    """A backend's script. `wrong` is what it saw and must not see."""

    requests: list[Request] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    async def __call__(self, peer: Conversation) -> None:
        """Answer `ok` to every request on this connection."""
        while True:
            request = self._head(await peer.head())
            if request is None:
                return
            request.body = await self._body(peer, request)
            self.requests.append(request)
            if b"smuggled" in request.target:
                self.wrong.append("the hidden request reached the job")
            await peer.say(_ANSWER)

    def _head(self, raw: bytes) -> Request | None:
        first, *lines = raw[:-4].split(b"\r\n")
        if not _LINE.fullmatch(first):
            self.wrong.append(f"the request line {first[:200]!r}")
            return None
        bad = [line for line in lines if not _FIELD.fullmatch(line)]
        if bad:
            self.wrong.append(f"the header {bad[0][:200]!r}")
            return None
        pairs = [line.partition(b":") for line in lines]
        method, target, _ = first.split(b" ")
        request = Request(method, target, [(name, value.strip()) for name, _, value in pairs])
        self._check(request)
        return request

    def _check(self, request: Request) -> None:
        if len(request.values(b"host")) != 1:
            self.wrong.append("not one Host")
        lengths, codings = request.values(b"content-length"), request.values(b"transfer-encoding")
        if len(lengths) + len(codings) > 1 or (codings and codings != [b"chunked"]):
            self.wrong.append(f"framing {lengths} {codings}")
        if lengths and not lengths[0].isdigit():
            self.wrong.append(f"the length {lengths}")
        twins = {key.lower().replace(b"_", b"-") for key, _ in request.fields}
        if len([key for key, _ in request.fields if key.lower().replace(b"_", b"-") == b"x-forwarded-for"]) != 1:
            self.wrong.append("not one X-Forwarded-For")
        if twins & _NOT_HERE:
            self.wrong.append(f"hop-by-hop {twins & _NOT_HERE}")

    async def _body(self, peer: Conversation, request: Request) -> bytes:
        if request.values(b"content-length"):
            return await peer.exactly(int(request.values(b"content-length")[0]))
        if not request.values(b"transfer-encoding"):
            return b""
        body = b""
        while True:
            line = (await peer.until(b"\r\n"))[:-2]
            if not _SIZE.fullmatch(line):
                self.wrong.append(f"the chunk size {line[:200]!r}")
                return body
            size = int(line, 16)
            if not size:
                await self._trailers(peer)
                return body
            body += await peer.exactly(size)
            if await peer.exactly(2) != b"\r\n":
                self.wrong.append("a chunk's end")

    async def _trailers(self, peer: Conversation) -> None:
        while line := (await peer.until(b"\r\n"))[:-2]:
            name = line.partition(b":")[0].lower()
            if not _FIELD.fullmatch(line) or name in _NOT_HERE | _NOT_BEHIND:
                self.wrong.append(f"the trailer {line[:200]!r}")
