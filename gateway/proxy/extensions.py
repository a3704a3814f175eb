"""WebSocket extensions: what is offered to the job, and what that means for a re-dial (RFC 7692).

Pure. permessage-deflate keeps its window from message to message unless both sides agree not to: then a frame means
the same on a new connection, and a relay may carry on after a move. Where nobody carries on, the peers may agree on
what they like.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .headers import RawHeaders, values, without

_NAME = b"sec-websocket-extensions"
_DEFLATE = b"permessage-deflate"
_ALONE = frozenset((b"client_no_context_takeover", b"server_no_context_takeover"))  # RFC 7692 §7.1.1


@dataclass(frozen=True, slots=True)
class Chosen:
    """What a handshake's answer says: the same must come again on a re-dial."""

    subprotocol: bytes | None
    extensions: bytes | None

    @property
    def carries_on(self) -> bool:
        """A frame of this connection means the same on another one."""
        if not self.extensions:
            return True
        agreed = _offers([self.extensions])
        return len(agreed) == 1 and agreed[0][0] == _DEFLATE and set(agreed[0][1:]) >= _ALONE


def chosen(answer: Sequence[tuple[bytes, bytes]]) -> Chosen:
    """Read an answer's choice."""
    protocols = values(answer, b"sec-websocket-protocol")
    extensions = [value.strip() for value in values(answer, _NAME)]
    return Chosen(protocols[0].strip() if protocols else None, b", ".join(extensions) or None)


def offer(came: RawHeaders, *, plain: bool) -> RawHeaders:
    """The handshake's lines with an offer that a re-dial can honour: deflate without context takeover, or nothing.

    `plain`: the relay has to read the frames, so nothing is offered.
    """
    offers = _offers(values(came, _NAME))
    kept = without(came, _NAME)
    if plain or not any(name == _DEFLATE for name, *_ in offers):
        return kept
    return [*kept, (b"Sec-WebSocket-Extensions", b"; ".join([_DEFLATE, *sorted(_ALONE)]))]


def _offers(lines: list[bytes]) -> list[list[bytes]]:
    """Names with their parameters, in lower case. Quoted strings do not occur in what this reads."""
    one_by_one = [one for line in lines for one in line.lower().split(b",")]
    return [[part.strip() for part in one.split(b";")] for one in one_by_one if one.strip()]
