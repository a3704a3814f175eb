"""The handshake of a WebSocket once more, with the job at its new address."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gateway.types import Address

from .answer import UpstreamError
from .extensions import Chosen, chosen
from .transport import SocketTransport

if TYPE_CHECKING:
    from .gate import Gate


@dataclass(frozen=True, slots=True)
class Redialled:
    """A connection to the job after the handshake."""

    transport: SocketTransport
    rest: bytes
    """What came behind the handshake."""
    address: Address | None


async def shake_again(gate: Gate, head: bytes, wanted: Chosen) -> Redialled:
    """A new connection for a WebSocket that had one.

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
        transport, rest = connection.take()
        return Redialled(transport, rest, connection.address)
    except BaseException:
        connection.abort("the handshake did not succeed")
        raise
