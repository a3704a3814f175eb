"""The transport of a relay's socket. It keeps the promises of asyncio.Transport, so far as a relay asks for them."""

from __future__ import annotations

import asyncio
import os
import select
import socket
from collections.abc import Callable
from contextlib import suppress

from .reactor import SMALL, Watched, reactor

_LARGE = 256 << 10  # bytes of a read where more is coming
_NOBODY = asyncio.Protocol()  # hears what is said before there is a protocol, and after its end


class SocketTransport(asyncio.Transport):
    """Reads, writes and ends one socket. The reactor sees to it when something is to be done.

    While neither reading nor sending is under way its peer's end is not noticed, like any other transport's.
    """

    __slots__ = (
        "_closing",
        "_fd",
        "_full",
        "_high",
        "_kept",
        "_protocol",
        "_reactor",
        "_reading",
        "_socket",
        "received",
        "recv",
        "send",
    )

    def __init__(self, sock: socket.socket, high: int) -> None:
        """`sock` does not block, and is its own from now on. `high`: bytes kept that make the protocol pause."""
        self._socket, self._fd, self._high = sock, sock.fileno(), high
        self._reactor = reactor()
        self._protocol = _NOBODY
        self._reading = self._closing = self._full = False
        self.recv: Callable[[int], bytes] = sock.recv
        self.send: Callable[[bytes], int] = sock.send
        self._kept = bytearray()  # what the socket has not taken yet
        self.received: Callable[[bytes], None] = self.read
        """Who is asked first. What is not for it, such as the empty read at the end, it has to give to `read`."""

    @classmethod
    def take(cls, transport: asyncio.Transport, high: int) -> SocketTransport:
        """Go on with the connection of an event loop's transport, which has nothing to send and is not closing.

        Raises OSError when there are too many files: then nothing has changed.
        """
        assert not transport.get_write_buffer_size()
        reactor()
        sock = socket.socket(fileno=os.dup(transport.get_extra_info("socket").fileno()))
        sock.setblocking(False)
        transport.pause_reading()
        transport.set_protocol(_NOBODY)
        transport.abort()  # its descriptor, not the connection
        return cls(sock, high)

    @property
    def out(self) -> Callable[[tuple[Watched, bytes]], None]:
        """`write` for those whom the reactor calls: with the transport, and without a question."""
        return self._reactor.out.append

    # asyncio.Transport

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        assert isinstance(protocol, asyncio.Protocol)
        self._protocol, self.received = protocol, self.read

    def is_closing(self) -> bool:
        return self._closing

    def pause_reading(self) -> None:
        if self._reading:
            self._reading = False
            self._watch()

    def resume_reading(self) -> None:
        if not self._reading and not self._closing:
            self._reading = True
            self._watch()

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self._reactor.out.append((self, bytes(data)))
        if not self._reactor.turning:
            self._reactor.flush()

    def get_write_buffer_size(self) -> int:
        return len(self._kept)

    def close(self) -> None:
        if self._closing:
            return
        self._reactor.flush()
        self._closing, self._reading = True, False
        if self._kept:
            self._watch()
        else:
            self._end(None)

    def abort(self) -> None:
        self._end(None)

    # The reactor's side

    def ready(self, event: int) -> None:
        """See Watched."""
        if event & select.EPOLLOUT:
            self._send_kept()
        if event & ~select.EPOLLOUT and self._reading:
            try:
                data = self.recv(SMALL)
            except OSError as error:
                self.unread(error)
            else:
                self._watch()  # its end may be behind these bytes
                self.received(data)
        elif event & (select.EPOLLERR | select.EPOLLHUP):
            self._end(None)

    def read(self, data: bytes) -> None:
        """What was read is the protocol's; nothing is the end."""
        if not data:
            self.close()
            return
        if len(data) < SMALL:
            self._protocol.data_received(data)
            return
        self.recv = self._recv_much
        self._watch()
        self._protocol.data_received(data)
        self._reactor.flush()  # much at once has nothing to gain by waiting for more, and would take memory

    def _recv_much(self, _: int) -> bytes:
        data = self._socket.recv(_LARGE)
        if len(data) < SMALL:
            self.recv = self._socket.recv
        return data

    def keep(self, data: bytes) -> None:
        """See Watched."""
        self.send = self._behind
        self._behind(data)
        self._watch()

    def _behind(self, data: bytes) -> int:
        """`send` while something is kept."""
        self._kept += data
        if len(self._kept) > self._high and not self._full:
            self._full = True
            asyncio.get_running_loop().call_soon(self._protocol.pause_writing)
        return len(data)

    def unread(self, error: OSError) -> None:
        """See Watched."""
        if not isinstance(error, BlockingIOError):
            self._end(error)

    def unsent(self, error: OSError) -> None:
        """See Watched. What the peer said before it left is read yet, then there is the end that we make here."""
        self._kept.clear()
        if self._reading:
            with suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)
        else:
            self._end(error)

    def _send_kept(self) -> None:
        try:
            del self._kept[: self._socket.send(self._kept)]
        except BlockingIOError:
            return
        except OSError as error:
            self.unsent(error)
        if self._full and len(self._kept) <= self._high // 4:
            self._full = False
            asyncio.get_running_loop().call_soon(self._protocol.resume_writing)
        if not self._kept:
            self.send = self._socket.send
            if self._closing:
                self._end(None)
                return
        self._watch()

    def _watch(self) -> None:
        reads = (select.EPOLLIN | select.EPOLLRDHUP) * self._reading
        self._reactor.watch(self._fd, self, reads | select.EPOLLOUT * bool(self._kept))

    def _end(self, error: OSError | None) -> None:
        self._closing, self._reading = True, False
        if self._socket.fileno() < 0:
            return
        self._reactor.forget(self._fd)
        self._socket.close()
        self._kept.clear()
        self.recv, self.send = self._socket.recv, self._socket.send  # which fail now
        self.received = _NOBODY.data_received
        asyncio.get_running_loop().call_soon(self._tell, error)

    def _tell(self, error: OSError | None) -> None:
        protocol, self._protocol = self._protocol, _NOBODY  # no cycle is left to the collector
        protocol.connection_lost(error)
