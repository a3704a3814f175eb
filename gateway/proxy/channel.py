"""Messages, and listening sockets, between the gateway's parent and its workers: JSON over a Unix socket pair.

SOCK_SEQPACKET keeps messages whole and in order; a socket travels beside a message as SCM_RIGHTS (unix(7)).
"""

from __future__ import annotations

import asyncio
import json
import socket
from collections import deque
from typing import Any

_LARGEST = 128 << 10  # bytes of one message: a listener is about 500, a gateway's rules a few thousand
Message = dict[str, Any]


class Channel:
    """One end. Sending never blocks: what the kernel does not take at once is queued here."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self._sock = sock
        self._out: deque[tuple[bytes, list[int]]] = deque()
        self._empty = asyncio.Event()
        self._empty.set()
        self._readable = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(sock.fileno(), self._readable.set)
        self.closed = False

    def send(self, message: Message, fds: tuple[int, ...] = ()) -> None:
        """Send a message, and file descriptors, which stay open here too."""
        if not self.closed:
            self._out.append((json.dumps(message).encode(), list(fds)))
            self._flush()

    async def flushed(self) -> None:
        """Return when nothing is queued here any more: the kernel has it, or the other end is gone."""
        await self._empty.wait()

    def fileno(self) -> int:
        """The descriptor of this end."""
        return self._sock.fileno()

    async def receive(self) -> tuple[Message, list[int]] | None:
        """The next message and the descriptors that came with it; None when the other end is closed."""
        while not self.closed:
            try:
                data, fds, _, _ = socket.recv_fds(self._sock, _LARGEST, 1)
            except BlockingIOError:
                self._readable.clear()
                await self._readable.wait()
                continue
            except OSError:
                return None
            return (json.loads(data), list(fds)) if data else None
        return None

    def close(self) -> None:
        """Close this end. Idempotent."""
        if self.closed:
            return
        self.closed = True
        self._loop.remove_reader(self._sock.fileno())
        self._loop.remove_writer(self._sock.fileno())
        self._sock.close()
        self._empty.set()
        self._readable.set()

    def _flush(self) -> None:
        while self._out:
            data, fds = self._out[0]
            try:
                socket.send_fds(self._sock, [data], fds)
            except BlockingIOError:
                self._empty.clear()
                self._loop.add_writer(self._sock.fileno(), self._flush)
                return
            except OSError:
                self._out.clear()  # the other end is gone; its owner notices by `receive`
                break
            self._out.popleft()
        self._empty.set()
        self._loop.remove_writer(self._sock.fileno())
