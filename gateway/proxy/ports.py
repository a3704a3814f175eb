"""Opening listening sockets."""

from __future__ import annotations

import asyncio
import errno
import socket

_BACKLOG = 1024  # connections that wait while a worker is started again; the kernel's own limit may be lower
_PAUSE = 0.1  # seconds between two tries


async def open_port(bind: str, port: int, patience: float) -> socket.socket:
    """Listen on the port. A predecessor that is just ending may have it for `patience` seconds. Raises OSError."""
    family = socket.AF_INET6 if ":" in bind else socket.AF_INET
    loop = asyncio.get_running_loop()
    give_up = loop.time() + patience
    while True:
        sock = socket.socket(family, socket.SOCK_STREAM)
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind((bind, port))
            sock.listen(_BACKLOG)
            sock.setblocking(False)
        except OSError as error:
            sock.close()
            if error.errno != errno.EADDRINUSE or loop.time() > give_up:
                raise
            await asyncio.sleep(_PAUSE)
            continue
        return sock
