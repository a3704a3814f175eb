"""Who goes on to the job, who waits before it, and who is refused.

Pure: no socket, no task, no clock of its own. `gate.py` is the asyncio shell.

               open(address)
        ┌───────────────────────────┐
        │                           ▼
      HELD ◄────────hold()──────── OPEN
        ▲  ╲                       ╱
        │   ╲──shut(why)─► SHUT ◄─╱         SHUT ──hold()──► HELD, SHUT ──open()──► OPEN

Laws
 1. Whoever is told to go counts as inside from that decision on, not from when its task wakes: after `hold()`,
    an empty `inside` means that the job is quiet.
 2. Every arrival ends in exactly one of: inside, then `leave`; called, then inside; refused; shed; `leave`.
 3. The line is first come, first called. A full line sheds its oldest, who has waited longest already and whose
    client is the likeliest to have gone; the newcomer gets the place.
 4. `call` moves one waiter at a time, so that the shell decides the pace.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Generic, TypeVar

Who = TypeVar("Who")


class State(enum.Enum):
    """What happens to an arrival."""

    OPEN = "open"
    HELD = "held"
    SHUT = "shut"


class Why(enum.Enum):
    """Why somebody was sent away. errors.py has the sentences."""

    FULL = "full"
    TIMEOUT = "timeout"
    SHUT = "shut"


@dataclass(frozen=True, slots=True)
class Go:
    """On to the job: the arrival is inside now."""


@dataclass(frozen=True, slots=True)
class Wait(Generic[Who]):
    """In line until called, at most until `deadline` (the caller's clock, seconds)."""

    deadline: float
    shed: Who | None  # who had to give up the place


@dataclass(frozen=True, slots=True)
class No:
    """Sent away."""

    why: Why


_GO = Go()


class Hold(Generic[Who]):
    """The line before one job and the set of those inside it. `Who` is whatever tells them apart."""

    def __init__(self, *, max_waiting: int, max_seconds: float) -> None:
        """`max_waiting`: places in the line. `max_seconds`: the longest that anyone waits."""
        self.state = State.SHUT
        self._max_waiting = max_waiting
        self._max_seconds = max_seconds
        self._line: dict[Who, None] = {}  # a dict keeps the order and removes in one step
        self.inside: set[Who] = set()
        """Who is inside the job."""

    @property
    def waiting(self) -> int:
        """How many are in line."""
        return len(self._line)

    # The control plane's verbs

    def open(self) -> None:
        """Arrivals go on; those in line are called one by one with `call`."""
        self.state = State.OPEN

    def hold(self) -> None:
        """Arrivals wait."""
        self.state = State.HELD

    def shut(self) -> list[Who]:
        """Arrivals are refused. Returns those who stood in line: they are out of it."""
        self.state = State.SHUT
        line = list(self._line)
        self._line.clear()
        return line

    def call(self) -> Who | None:
        """The oldest in line comes inside; None when nobody waits or the gate is not open."""
        if self.state is not State.OPEN or not self._line:
            return None
        who = next(iter(self._line))
        del self._line[who]
        self.inside.add(who)
        return who

    # An exchange's verbs

    def arrive(self, who: Who, now: float) -> Go | Wait[Who] | No:
        """Decide about a newcomer."""
        match self.state:
            case State.OPEN:
                self.inside.add(who)
                return _GO
            case State.SHUT:
                return No(Why.SHUT)
            case State.HELD:
                return self._queue(who, now)

    def leave(self, who: Who) -> None:
        """Answered, gone, or out of time. May be said twice."""
        self._line.pop(who, None)
        self.inside.discard(who)

    def _queue(self, who: Who, now: float) -> Go | Wait[Who] | No:
        if self._max_waiting <= 0:
            return No(Why.FULL)
        shed = None
        if len(self._line) >= self._max_waiting:
            shed = next(iter(self._line))
            del self._line[shed]
        self._line[who] = None
        return Wait(now + self._max_seconds, shed)
