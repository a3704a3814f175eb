"""Counts failures by name over a sliding window. Pure: time is an argument."""

from __future__ import annotations

from collections import OrderedDict, deque


class Throttle:
    """At most `tries` failures of one name within `window` seconds; at most `names` names are remembered."""

    def __init__(self, tries: int, window: float, names: int) -> None:
        self._tries, self._window, self._names = tries, window, names
        self._failures: OrderedDict[str, deque[float]] = OrderedDict()

    def allows(self, name: str, now: float) -> bool:
        """Whether `name` may try once more."""
        recent = self._failures.get(name, deque())
        while recent and now - recent[0] >= self._window:
            recent.popleft()
        return len(recent) < self._tries

    def fail(self, name: str, now: float) -> None:
        """`name` has failed."""
        self._failures.setdefault(name, deque(maxlen=self._tries)).append(now)
        self._failures.move_to_end(name)
        while len(self._failures) > self._names:
            self._failures.popitem(last=False)

    def forgive(self, name: str, now: float) -> None:
        """What was counted as a failure of `name` at `now`, before its end was known, was none."""
        recent = self._failures.get(name, deque())
        if now in recent:
            recent.remove(now)

    def clear(self, name: str) -> None:
        """`name` has succeeded."""
        self._failures.pop(name, None)
