"""Idle connections to a job, and the dialling of new ones."""

from __future__ import annotations

import asyncio
import time

from gateway.config import Limits, Timeouts
from gateway.types import Address

from .upstream import Connection, Unreachable


async def dial(address: Address, timeouts: Timeouts, limits: Limits) -> Connection:
    """A fresh connection. Raises Unreachable."""
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(timeouts.dial):
            _, connection = await loop.create_connection(lambda: Connection(limits), address.host, address.port)
    except (OSError, TimeoutError) as error:
        raise Unreachable(f"{address}: {type(error).__name__}") from error
    connection.address = address
    return connection


class Pool:
    """Idle connections to one server, newest first: the newest is the likeliest to live."""

    def __init__(self, timeouts: Timeouts, limits: Limits) -> None:
        self._timeouts, self._limits = timeouts, limits
        self._idle: list[Connection] = []
        self.address: Address | None = None
        """Where to dial, and what every connection that is kept leads to: this very object."""
        self._sweep: asyncio.TimerHandle | None = None

    def aim(self, address: Address | None) -> None:
        """Where to dial from now on; idle connections to elsewhere are closed."""
        if address != self.address:
            self.close()
            self.address = address

    def take(self) -> Connection | None:
        """An idle connection that lives, if there is one."""
        idle = self._idle
        while idle:
            connection = idle.pop()
            if connection.alive:
                return connection
        return None

    async def get(self, *, fresh: bool) -> Connection:
        """An idle connection unless `fresh` is asked for, else a new one. Raises Unreachable."""
        idle = None if fresh else self.take()
        if idle is not None:
            return idle
        if self.address is None:
            raise Unreachable("the job has no address")
        return await dial(self.address, self._timeouts, self._limits)

    def put(self, connection: Connection) -> None:
        """Give one back after `head` and `read`; it is closed if it cannot be used again."""
        if connection.reusable:
            self.keep(connection)
        else:
            connection.abort("not kept")

    def keep(self, connection: Connection) -> None:
        """Give one back that is known to be usable; it is closed if the job has moved since it was dialled."""
        misled = connection.address is not self.address
        if misled or len(self._idle) >= self._limits.idle_upstream or not connection.alive:
            connection.abort("not kept")
            return
        connection.rest(time.monotonic())
        self._idle.append(connection)
        if self._sweep is None:
            self._sweep = asyncio.get_running_loop().call_later(self._timeouts.pool_idle, self._drop_old)

    def close(self) -> None:
        """Close what is idle."""
        if self._sweep is not None:
            self._sweep.cancel()
            self._sweep = None
        for connection in self._idle:
            connection.abort("the pool is closed")
        self._idle.clear()

    def _drop_old(self) -> None:
        """One timer for all: a connection is idle for `pool_idle` seconds at least, twice that at most."""
        self._sweep = None
        loop = asyncio.get_running_loop()
        limit = time.monotonic() - self._timeouts.pool_idle
        for connection in [one for one in self._idle if one.idle_since <= limit]:
            self._idle.remove(connection)
            connection.abort("idle for too long")
        if self._idle:
            self._sweep = loop.call_later(self._timeouts.pool_idle, self._drop_old)
