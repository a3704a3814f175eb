"""The forwarder in front of a plain job: `front.py LISTEN TO PORT...` gives it one more loopback address.

The job is told to listen at TO, which stays as long as its process; each placement gets a LISTEN of its own, so
that a simulated move changes the address as a real one does. Standard library only, run by path like keeper.py.

A port is opened here only when the job's is open: a gateway that is let in too early would take the job for ready.
A job that listens at 0.0.0.0 answers at LISTEN already; then the port is in use and nothing is to be done.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import signal
import sys

_LOOK_AGAIN = 0.05  # seconds between two looks whether the job listens yet
_CHUNK = 1 << 16

_connections: set[asyncio.StreamWriter] = set()


async def main(listen: str, to: str, ports: list[int]) -> None:
    """Forward for ever. SIGUSR1 resets every connection."""
    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, sever)
    await asyncio.gather(*(front(listen, to, port) for port in ports), asyncio.Event().wait())


async def front(listen: str, to: str, port: int) -> None:
    """One port."""
    while not await _answers(to, port):  # noqa: ASYNC110 - it is another process that opens it
        await asyncio.sleep(_LOOK_AGAIN)

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        _connections.add(writer)
        try:
            there_reader, there_writer = await asyncio.open_connection(to, port)
        except OSError:
            writer.transport.abort()  # refused there, so it is reset here
            return
        finally:
            _connections.discard(writer)
        _connections.update((writer, there_writer))
        try:
            await asyncio.gather(_pump(reader, there_writer), _pump(there_reader, writer))
        except OSError:
            writer.transport.abort()
            there_writer.transport.abort()
        finally:
            _connections.difference_update((writer, there_writer))
            writer.close()
            there_writer.close()

    try:
        server = await asyncio.start_server(carry, listen, port)
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
        return
    await server.serve_forever()


def sever() -> None:
    """Reset what is connected."""
    for writer in list(_connections):
        writer.transport.abort()


async def _answers(to: str, port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection(to, port)
    except OSError:
        return False
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    return True


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One direction, with back-pressure; an end of it is passed on as an end."""
    while data := await reader.read(_CHUNK):
        writer.write(data)
        await writer.drain()
    if writer.can_write_eof():
        writer.write_eof()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], [int(word) for word in sys.argv[3:]]))
