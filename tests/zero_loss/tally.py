"""What became of everything that was asked."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Tally:
    """`failures` are what must not happen; the rest is counted."""

    failures: list[str] = field(default_factory=list)
    done: Counter[str] = field(default_factory=Counter)
    """Answered in full, by kind of client."""
    progress: Counter[str] = field(default_factory=Counter)
    """The same, by client."""
    frames_up: int = 0
    frames_down: int = 0
    honest: Counter[str] = field(default_factory=Counter)
    """Said by the gateway instead of an answer: LOST, cut, 1012."""
    unknown: set[str] = field(default_factory=set)
    """Ids whose execution nobody knows of."""
    slowest: float = 0.0

    def fail(self, what: str) -> None:
        """One failure; the first thousand are kept."""
        if len(self.failures) < 1000:
            self.failures.append(what)

    def took(self, started: float) -> None:
        """The slowest answer is worth knowing."""
        self.slowest = max(self.slowest, time.monotonic() - started)

    def stood_still(self, before: Counter[str], clients: Iterable[str]) -> list[str]:
        """Which of these clients got nothing since `before`."""
        return [one for one in clients if self.progress[one] == before[one]]

    def check(self, report: dict[str, Any], *, repeatable: tuple[str, ...] = ()) -> None:
        """Nothing failed, and no id was executed twice but of kinds that may be repeated after a loss."""
        assert not self.failures, f"{len(self.failures)} failures, the first: {self.failures[:5]}"
        assert not report["wrong"], report["wrong"]
        twice = {name: count for name, count in report["twice"].items() if not name.startswith(repeatable)}
        assert not twice, f"executed more than once: {dict(list(twice.items())[:10])} of {len(twice)}"

    def __str__(self) -> str:
        done = ", ".join(f"{kind} {count}" for kind, count in sorted(self.done.items()))
        honest = f"; honest errors {dict(self.honest)}" if self.honest else ""
        frames = f"frames up {self.frames_up}, down {self.frames_down}"
        return f"{sum(self.done.values())} answers ({done}), {frames}, slowest {self.slowest:.2f} s{honest}"
