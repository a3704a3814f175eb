"""Rounds: every proxy once for each measure, again and again, so that a machine's drift hits all of them."""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass, field
from statistics import median

from .load import Sample
from .measures import Measure
from .peer import Peer
from .processes import BenchFailed
from .stage import Stage


@dataclass
class Cell:
    """The samples of one measure of one proxy; `trouble`: why one could not be taken."""

    samples: list[Sample] = field(default_factory=list)
    trouble: str = ""

    def median(self, figure: str) -> float | None:
        """None when there is no sample with that figure."""
        return _median(self._values(figure))

    def ratio(self, other: Cell, figure: str) -> float | None:
        """The median of the rounds' ratios: who follow each other in a round meet the same machine."""
        ours, theirs = self._values(figure), other._values(figure)
        if len(ours) == len(theirs):
            return _median([one / another for one, another in zip(ours, theirs, strict=True) if another])
        mine, its = _median(ours), _median(theirs)  # a sample is missing: which rounds these are is not known
        return mine / its if mine is not None and its else None

    def _values(self, figure: str) -> list[float]:
        return [one.values.get(figure, math.nan) for one in self.samples]

    @property
    def bad(self) -> int:
        """Answers that were not what they should be."""
        return sum(one.bad for one in self.samples)

    def wrong(self) -> str:
        """How many these were, and how the first was, in words; nothing when all was right."""
        if not self.bad:
            return self.trouble
        reasons = [one.why for one in self.samples if one.why] + [self.trouble]
        return "; ".join([f"{self.bad:,} wrong or lost answers", *filter(None, reasons[:1])])


def _median(values: list[float]) -> float | None:
    known = [value for value in values if not math.isnan(value)]
    return median(known) if known else None


@dataclass
class Results:
    """By measure, then by proxy. `missing`: proxy to the reason."""

    cells: dict[str, dict[str, Cell]] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)

    def cell(self, measure: str, peer: str) -> Cell:
        """An empty one when it was not measured."""
        return self.cells.setdefault(measure, {}).setdefault(peer, Cell())

    def get(self, measure: str, peer: str, figure: str) -> float | None:
        """The median, or None."""
        return self.cells.get(measure, {}).get(peer, Cell()).median(figure)

    def ratio(self, measure: str, one: str, other: str, figure: str) -> float | None:
        """The first proxy's figure by the other's, or None."""
        cells = self.cells.get(measure, {})
        return cells.get(one, Cell()).ratio(cells.get(other, Cell()), figure)

    def __str__(self) -> str:
        lines = [f"{peer}: missing, {why}" for peer, why in self.missing.items()]
        return "\n".join([*lines, *map(self.lines, self.cells)])

    def lines(self, measure: str) -> str:
        """One line for each proxy."""
        return "\n".join(f"{measure:8} {peer:24} {_figures(cell)}" for peer, cell in self.cells[measure].items())


def _figures(cell: Cell) -> str:
    names = cell.samples[0].values if cell.samples else {}
    known = ((name, cell.median(name)) for name in names)
    parts = [f"{name} {value:,.2f}" for name, value in known if value is not None]
    return ", ".join([*parts, cell.wrong().upper() if cell.bad else cell.trouble]).removesuffix(", ")


def run(stage: Stage, peers: list[Peer], measures: list[Measure], rounds: int, seconds: float | None) -> Results:
    """Start the peers and take `rounds` samples of everything; `seconds` instead of each measure's own."""
    results = Results()
    ready = [peer for peer in peers if _started(stage, peer, results)]
    for measure in measures:
        for number in range(min(rounds, measure.rounds)):
            for peer in (one for one in ready if measure.concerns(one)):
                _say(f"{measure.name}, round {number + 1} of {rounds}, {peer.name}")
                _sample(stage, peer, measure, seconds, results.cell(measure.name, peer.name))
        _say("")
        if measure.name in results.cells:
            print(results.lines(measure.name), flush=True)
    return results


def _started(stage: Stage, peer: Peer, results: Results) -> bool:
    try:
        if lack := peer.lack():
            raise BenchFailed(lack)
        stage.start(peer)
    except BenchFailed as error:
        results.missing[peer.name] = str(error)
        return False
    results.versions[peer.name] = peer.version()
    return True


def _sample(stage: Stage, peer: Peer, measure: Measure, seconds: float | None, cell: Cell) -> None:
    try:
        cell.samples.append(measure.take(stage, peer, seconds or measure.seconds))
    except (BenchFailed, OSError) as error:
        cell.trouble = str(error)


def _say(text: str) -> None:
    """One line that is written over, on a terminal only."""
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\x1b[K{text}")
        sys.stderr.flush()
