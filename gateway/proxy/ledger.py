"""What several workers say of one port, as one. Pure.

A port has one worker, except after a reload: then old ones keep the connections that they have. A generation of the
gate is drained when all of them have drained it, and what they count is added. A worker that has gone is not asked
any more, and what it counted stays counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import asdict, replace
from typing import Any

from gateway.types import Activity, GateReport, Listener


class Ledger:
    """Workers are named by a number, their process id."""

    def __init__(self, clients: int) -> None:
        """`clients`: how many addresses one activity may name."""
        self._most_clients = clients
        self._reports: dict[int, dict[int, GateReport]] = {}
        self._news: dict[int, dict[int, Activity]] = {}
        self._past: dict[int, tuple[str, Counter[str]]] = {}  # port: job, and what workers counted that have gone

    # What workers say

    def report(self, who: int, report: GateReport) -> None:
        """A worker's newest report of a port."""
        told = self._reports.get(report.port, {})
        current = {other: one for other, one in told.items() if one.generation >= report.generation}
        self._reports[report.port] = {**current, who: report}

    def activity(self, who: int, activity: Activity) -> None:
        """A worker's newest counts of a port."""
        self._news.setdefault(activity.port, {})[who] = activity

    def leave(self, who: int) -> None:
        """The worker has gone."""
        for port, told in self._news.items():
            if (last := told.pop(who, None)) is not None:
                self._keep(port, last)

    def drop(self, port: int) -> None:
        """The port is closed, or another job's."""
        for table in (self._reports, self._news, self._past):
            table.pop(port, None)

    def _keep(self, port: int, last: Activity) -> None:
        job, counts = self._past.get(port, (last.job, Counter()))
        if job != last.job:
            counts = Counter()
        counts.update({"requests": last.requests, **last.extra})
        self._past[port] = (last.job, counts)

    # What that means

    def settled(self, who: int, listener: Listener) -> bool:
        """Whether this worker has done what the listener's generation asks for."""
        report = self._reports.get(listener.port, {}).get(who)
        return report is not None and (report.job, report.generation) == (listener.job, listener.generation)

    def whole_report(self, listener: Listener, owners: Collection[int]) -> GateReport | None:
        """What all together have done; None while one of the owners has not."""
        if not owners or not all(self.settled(who, listener) for who in owners):
            return None
        told = self._reports[listener.port]
        said = [one for one in told.values() if (one.job, one.generation) == (listener.job, listener.generation)]
        of_owners = [told[who] for who in owners]
        return GateReport(
            listener.job,
            listener.port,
            listener.generation,
            drained=all(one.drained for one in of_owners),
            reopened=all(one.reopened for one in of_owners),
            waited=sum(one.waited for one in said),
            websockets=sum(one.websockets for one in said),
            lost_websockets=sum(one.lost_websockets for one in said),
        )

    def whole_activity(self, port: int) -> Activity:
        """The counts of all workers, those that have gone too. Raises ValueError for a port without news."""
        said = list(self._news.get(port, {}).values())
        newest = max(said, key=lambda one: one.last)
        said = [one for one in said if one.job == newest.job]
        job, past = self._past.get(port, (newest.job, Counter()))
        counts = Counter(past) if job == newest.job else Counter()
        for one in said:
            counts.update({"requests": one.requests, **one.extra})
        clients = sorted({client for one in said for client in one.clients})
        return replace(
            newest,
            clients=tuple(clients[: self._most_clients]),
            requests=counts.pop("requests"),
            websockets=sum(one.websockets for one in said),
            waiting=sum(one.waiting for one in said),
            extra=dict(counts),
        )

    # Over a change of program

    def to_json(self) -> dict[str, Any]:
        """A JSON object; `from_json` gives the same ledger back."""
        reports = [[who, asdict(one)] for told in self._reports.values() for who, one in told.items()]
        news = [[who, asdict(one)] for told in self._news.values() for who, one in told.items()]
        past = [[port, job, dict(counts)] for port, (job, counts) in self._past.items()]
        return {"reports": reports, "news": news, "past": past}

    def take_over(self, doc: dict[str, Any]) -> None:
        """Fill from `to_json`'s object. Raises KeyError or TypeError on anything else."""
        for who, one in doc["reports"]:
            self.report(who, GateReport(**one))
        for who, one in doc["news"]:
            self.activity(who, Activity(**{**one, "clients": tuple(one["clients"])}))
        self._past = {port: (job, Counter(counts)) for port, job, counts in doc["past"]}
