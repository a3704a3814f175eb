"""The straight path of a WebSocket: a read that is one whole short message goes on at once, in one Python call.

Most reads of a kernel or a terminal are that. All else is the relay's, and nothing has been changed when it gets it.

Closures, twice nearly the same, with numbers in them: a call more would cost as much as all that they do. The numbers
are those of RFC 6455 §5.2: the first byte of a final text or binary frame without extension is 0x81 or 0x82; the second
is its length, up to 125, and 0x80 more when a mask of four bytes follows.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import Any, Protocol

from .doubt import Doubt
from .frames import Scanner


class State(enum.Enum):
    """Of a relay; relay.py has the picture."""

    LIVE = "live"
    PARKING = "parking"
    PARKED = "parked"
    CLOSING = "closing"
    DONE = "done"


class Stateful(Protocol):
    """What a passage sees of its relay."""

    state: State


class Sender(Protocol):
    """What a passage sees of a transport (transport.py)."""

    @property
    def out(self) -> Callable[[tuple[Any, bytes]], None]:
        """Takes transport and bytes while the reactor reads."""


Received = Callable[[bytes], None]
_LIVE = State.LIVE  # an enum's attribute costs more than a global


def to_job(relay: Stateful, scanner: Scanner, job: Sender, doubt: Doubt, otherwise: Received) -> Received:
    """Who is asked first about the browser's bytes, by the reactor; what is not for it goes `otherwise`."""
    out = job.out

    def received(data: bytes) -> None:
        size = len(data)
        if (
            6 <= size <= 131
            and data[1] == size + 0x7A
            and 0x81 <= data[0] <= 0x82
            and scanner.between_messages
            and relay.state is _LIVE
        ):
            out((job, data))
            doubt.sent += 1
            if doubt.timer is None:
                doubt.arm()
        else:
            otherwise(data)

    return received


def to_browser(relay: Stateful, scanner: Scanner, browser: Sender, otherwise: Received) -> Received:
    """Who is asked first about the job's bytes, by the reactor; what is not for it goes `otherwise`."""
    out = browser.out

    def received(data: bytes) -> None:
        size = len(data)
        if (
            2 <= size <= 127
            and data[1] == size - 2
            and 0x81 <= data[0] <= 0x82
            and scanner.between_messages
            and relay.state is _LIVE
        ):
            out((browser, data))
        else:
            otherwise(data)

    return received
