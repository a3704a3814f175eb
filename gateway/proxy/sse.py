"""Server-sent events that go on after a move: whole events only, and the id to ask again from.

Pure (HTML Living Standard, 9.2.6). A client dispatches an event at its blank line; so nothing is delayed if only
whole events are forwarded, and one that was cut in two is simply not shown. The next request says Last-Event-ID, as
a browser that reconnects would.
"""

from __future__ import annotations

import re

from .headers import RawHeaders, values, without

_END_OF_EVENT = re.compile(rb"\r\n\r\n|\n\n|\r\r|\n\r\n|\r\n\n")
_ID = re.compile(rb"(?:^|[\r\n])id:? ?([^\r\n\0]*)(?=[\r\n])")
HEARTBEAT = b": the job moves\n\n"  # a comment: clients ignore it, proxies see traffic


def is_event_stream(status: int, answer: RawHeaders) -> bool:
    """Whether this answer is one that can be carried on."""
    kinds = [value.partition(b";")[0].strip().lower() for value in values(answer, b"content-type")]
    return status == 200 and kinds == [b"text/event-stream"] and not values(answer, b"content-encoding")


class EventStream:
    """Follows one stream. `limit`: bytes of one event kept; a larger one passes in pieces, and is not repeated."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._kept = b""
        self._last_id: bytes | None = None

    def feed(self, chunk: bytes) -> bytes:
        """Returns what ends with a whole event."""
        data = self._kept + chunk
        ends = [match.end() for match in _END_OF_EVENT.finditer(data)]
        at = ends[-1] if ends else len(data) if len(data) > self._limit else 0
        whole, self._kept = data[:at], data[at:]
        ids = _ID.findall(whole)
        if ids:
            self._last_id = ids[-1]
        return whole

    def finish(self) -> bytes:
        """The stream has ended by itself: what is left goes out as it is."""
        kept, self._kept = self._kept, b""
        return kept

    def again(self, came: RawHeaders) -> RawHeaders:
        """The job was lost: the lines of the request that asks for the rest."""
        self._kept = b""
        if self._last_id is None:
            return came
        return [*without(came, b"last-event-id"), (b"Last-Event-ID", self._last_id)]
