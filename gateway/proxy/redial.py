"""The handshake of a WebSocket once more, with the job at its new address."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from .answer import UpstreamError
from .extensions import Chosen, chosen

if TYPE_CHECKING:
    from .gate import Gate


async def shake_again(gate: Gate, head: bytes, wanted: Chosen) -> tuple[asyncio.Transport, bytes]:
    """The new connection, and what came behind the handshake.

    `head` is the handshake as the job got it first, `wanted` what it chose then: the browser cannot be told another
    choice. Raises UpstreamError.
    """
    connection = await gate.connection(fresh=True)
    try:
        connection.begin(b"GET")
        connection.write(head)
        answer = await connection.head()
        while 100 <= answer.status < 200 and answer.status != 101:
            answer = await connection.head()
        if answer.status != 101:
            raise UpstreamError(f"the handshake was answered with {answer.status}")
        if chosen(answer.headers) != wanted:
            raise UpstreamError("another subprotocol or extension was chosen")
        return connection.take()
    except BaseException:
        connection.abort("the handshake did not succeed")
        raise
