"""upstream.py: connections to a job, on real sockets."""

from __future__ import annotations

import asyncio

import pytest

from gateway.config import Limits, Timeouts
from gateway.proxy.pool import Pool
from gateway.proxy.upstream import Connection, Unreachable
from gateway.types import Address
from tests.peers import DEADLINE, Conversation, backend, eventually

REQUEST = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


async def ok(peer: Conversation) -> None:
    while True:
        await peer.head()
        await peer.say(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")


async def ask(connection: Connection) -> bytes:
    connection.begin(b"GET")
    connection.write(REQUEST)
    async with asyncio.timeout(DEADLINE):
        await connection.head()
        body = await connection.read()
        assert await connection.read() == b""
    return body


def pool_to(host: str, port: int, **limits: int) -> Pool:
    pool = Pool(Timeouts(pool_idle=0.2), Limits(**limits))
    pool.aim(Address(host, port))
    return pool


async def test_a_connection_that_was_paused_reads_again_out_of_the_pool() -> None:
    """It was paused for a slow browser with the last bytes of an answer: the next request's answer must be read."""
    async with backend(ok) as (_, host, port):
        pool = pool_to(host, port)
        connection = await pool.get(fresh=False)
        assert await ask(connection) == b"ok"
        connection.flow(False)
        pool.keep(connection)
        again = await pool.get(fresh=False)
        assert again is connection
        assert await ask(again) == b"ok"
        pool.close()


async def test_idle_connections_are_bounded_and_dropped_after_a_while() -> None:
    async with backend(ok) as (_, host, port):
        pool = pool_to(host, port, idle_upstream=1)
        first, second = await pool.get(fresh=True), await pool.get(fresh=True)
        for one in (first, second):
            await ask(one)
            pool.put(one)
        await eventually(lambda: not second.alive, "one too many is closed")
        assert pool.take() is first
        pool.keep(first)
        await eventually(lambda: not first.alive, "dropped")
        assert pool.take() is None


async def test_a_connection_that_died_in_the_pool_is_not_given_out() -> None:
    async with backend(ok) as (server, host, port):
        pool = pool_to(host, port)
        connection = await pool.get(fresh=True)
        await ask(connection)
        pool.put(connection)
        await server.stop()
        await eventually(lambda: not connection.alive, "noticed")
        assert pool.take() is None
        with pytest.raises(Unreachable):
            await pool.get(fresh=False)


async def test_a_connection_to_elsewhere_is_not_kept() -> None:
    async with backend(ok) as (_, host, port), backend(ok) as (_, new_host, new_port):
        pool = pool_to(host, port)
        connection = await pool.get(fresh=True)
        await ask(connection)
        pool.aim(Address(host, port))  # the same, said again
        pool.keep(connection)
        assert pool.take() is connection
        await ask(connection)
        pool.aim(Address(new_host, new_port))
        pool.put(connection)
        assert pool.take() is None
        await eventually(lambda: not connection.alive, "closed")
        assert await ask(await pool.get(fresh=False)) == b"ok"
        pool.close()
