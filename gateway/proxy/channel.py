"""Messages, and listening sockets, between the gateway's parent and its workers: JSON over a Unix socket pair.

SOCK_SEQPACKET keeps messages whole and in order; a socket travels beside a message as SCM_RIGHTS (unix(7)). A message
that is more than one packet goes as a memory file: a small packet `{"memory": bytes}` stands in its place, with the
file's descriptor before all others. So the order is the same whatever the size, and a packet is all or nothing, also
for the program that takes over after a reload (succession.py).

What cannot be carried is never left out, since a `commit` behind it would be acknowledged: the channel is closed, the
log says why, and the worker ends and is replaced by one that is told everything.
"""

from __future__ import annotations

import asyncio
import errno
import json
import os
import socket
from collections import deque
from typing import Any

import structlog

log = structlog.get_logger()

LARGEST = 256 << 20  # bytes of one message: a part of a snapshot, of which link.py takes 64 MiB; JSON escapes triple it
_PACKET = 128 << 10  # bytes of one packet; a socket's send buffer is 208 KiB, where an administrator left it as it is
_DESCRIPTORS = 2  # of one packet: the memory file's and a listening socket's
_LATER = {errno.EAGAIN, errno.ENOBUFS, errno.ETOOMANYREFS}
"""The kernel has too much of ours at the moment: until the other ends have read, unix(7)."""
_GONE = {errno.EPIPE, errno.ECONNRESET, errno.ENOTCONN}
Message = dict[str, Any]


class Channel:
    """One end. Sending never blocks: what the kernel does not take at once is queued here."""

    def __init__(self, sock: socket.socket, largest: int = LARGEST) -> None:
        """`largest`: bytes of one message, in either direction."""
        sock.setblocking(False)
        self._sock, self._largest = sock, largest
        self._out: deque[tuple[bytes, list[int]]] = deque()  # the descriptors are copies of our own
        self._empty = asyncio.Event()
        self._empty.set()
        self._readable = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(sock.fileno(), self._readable.set)
        self.closed = False

    @property
    def waits(self) -> bool:
        """Something is queued here."""
        return bool(self._out)

    def send(self, message: Message, fds: tuple[int, ...] = ()) -> None:
        """Send a message, and file descriptors (one at most), which stay open here too and may be closed at once.

        Raises ValueError, and sends nothing, for a message that is larger than a channel carries.
        """
        if self.closed:
            return
        data = json.dumps(message).encode()
        if len(data) > self._largest:
            raise ValueError(f"a message of {len(data)} bytes: a channel carries at most {self._largest}")
        copies: list[int] = []
        self._out.append((data, copies))
        try:
            copies += map(os.dup, fds)
        except OSError as error:
            self._broken(error)
        self._flush()

    async def flushed(self) -> None:
        """Return when nothing is queued here any more: the kernel has it, or the other end is gone."""
        await self._empty.wait()

    def fileno(self) -> int:
        """The descriptor of this end."""
        return self._sock.fileno()

    async def receive(self) -> tuple[Message, list[int]] | None:
        """The next message and the descriptors that came with it; None when the other end is closed.

        None too, and the log says why, for one that did not come whole: what follows must not be obeyed without it.
        """
        while not self.closed:
            try:
                data, fds, flags, _ = socket.recv_fds(self._sock, _PACKET, _DESCRIPTORS)
            except BlockingIOError:
                self._readable.clear()
                await self._readable.wait()
                continue
            except OSError:
                return None
            if not data:
                return None
            try:
                return self._whole(data, list(fds), flags)
            except (OSError, ValueError) as error:
                self._broken(error)
        return None

    def close(self) -> None:
        """Close this end. Idempotent."""
        if self.closed:
            return
        self.closed = True
        self._loop.remove_reader(self._sock.fileno())
        self._loop.remove_writer(self._sock.fileno())
        self._sock.close()
        self._clear()
        self._empty.set()
        self._readable.set()

    def _flush(self) -> None:
        while self._out:
            try:
                self._send_first()
            except OSError as error:
                if error.errno in _LATER:
                    self._empty.clear()
                    self._loop.add_writer(self._sock.fileno(), self._flush)
                    return
                if error.errno not in _GONE:
                    self._broken(error)
                    return
                self._clear()  # the other end is gone; its owner notices by `receive`
        if not self.closed:
            self._empty.set()
            self._loop.remove_writer(self._sock.fileno())

    def _send_first(self) -> None:
        """Give the first of the queue to the kernel. Raises OSError; then it is still the first."""
        if len(self._out[0][0]) > _PACKET:
            self._out[0] = _in_memory(*self._out[0])
        try:
            socket.send_fds(self._sock, [self._out[0][0]], self._out[0][1])
        except OSError as error:
            if error.errno != errno.EMSGSIZE:
                raise
            self._out[0] = _in_memory(*self._out[0])  # the send buffer is smaller than a packet of ours
            socket.send_fds(self._sock, [self._out[0][0]], self._out[0][1])
        _close(self._out.popleft()[1])

    def _whole(self, data: bytes, fds: list[int], flags: int) -> tuple[Message, list[int]]:
        """What one packet says, or the memory file that came with it. Raises OSError or ValueError."""
        if flags & socket.MSG_TRUNC:
            _close(fds)
            raise ValueError(f"a packet of more than {_PACKET} bytes was cut")
        message = json.loads(data)
        if "memory" not in message:
            return message, fds
        try:
            return json.loads(_read(fds, message["memory"], self._largest)), fds[1:]
        except (OSError, ValueError):
            _close(fds[1:])
            raise
        finally:
            _close(fds[:1])

    def _broken(self, error: Exception) -> None:
        log.error("a message cannot be carried", why=str(error), pid=os.getpid())
        self.close()

    def _clear(self) -> None:
        for _, fds in self._out:
            _close(fds)
        self._out.clear()


def _in_memory(data: bytes, fds: list[int]) -> tuple[bytes, list[int]]:
    """A small packet, and a memory file, for a message that is too large for a packet. Raises OSError."""
    memory = os.memfd_create("floatgate")
    try:
        with os.fdopen(os.dup(memory), "wb") as file:
            file.write(data)
    except OSError:
        os.close(memory)
        raise
    return json.dumps({"memory": len(data)}).encode(), [memory, *fds]


def _read(fds: list[int], size: int, largest: int) -> bytes:
    """What is in the memory file, of which so many bytes were announced. Raises OSError or ValueError."""
    if not fds:
        raise ValueError("a message in memory without its descriptor: this process may open no more")
    if size > largest:
        raise ValueError(f"a message of {size} bytes: a channel carries at most {largest}")
    data = os.pread(fds[0], size, 0)
    if len(data) != size:
        raise ValueError(f"{len(data)} bytes of a message of {size}")
    return data


def _close(fds: list[int]) -> None:
    for fd in fds:
        os.close(fd)
