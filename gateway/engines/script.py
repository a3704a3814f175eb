"""What a test tells the fake engine to do: one outcome for one call of a verb."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Succeed:
    """The verb does what it should."""


@dataclass(frozen=True, slots=True)
class Fail:
    """The verb changes nothing and raises its own error (EngineError where it has none)."""

    public: str = "The scripted engine was told to fail."


@dataclass(frozen=True, slots=True)
class Lost:
    """The verb raises EngineError, and the placement is gone: its host was lost meanwhile."""

    public: str = "The host was lost."


@dataclass(frozen=True, slots=True)
class Silent:
    """For `look`: the engine cannot tell this time."""

    why: str = "scripted"


@dataclass(slots=True)
class Hang:
    """Wait for `release()` first, then do what `then` says. `reached` is set when the verb hangs."""

    then: Succeed | Fail | Lost = field(default_factory=Succeed)
    reached: asyncio.Event = field(default_factory=asyncio.Event)
    released: asyncio.Event = field(default_factory=asyncio.Event)

    def release(self) -> None:
        """Let the verb go on."""
        self.released.set()


@dataclass(slots=True)
class Linger(Hang):
    """Do it at once, then wait for `release()`: a caller that is killed meanwhile never hears the answer."""


Outcome = Succeed | Fail | Lost | Silent | Hang


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a verb, in the order in which they came."""

    verb: str
    placement: str = ""
    image: Path | None = None
