"""What several workers say of a port, as one."""

from __future__ import annotations

import json
from dataclasses import replace

from gateway.proxy.ledger import Ledger
from gateway.types import Activity, GateReport, GateState, JobId, JobStatus, Listener

JOB, OTHER = JobId("abcdefghijklmnopqrstu"), JobId("zyxwvutsrqponmlkjihgf")
HELD = Listener(10000, JOB, "probe", 80, GateState.HELD, JobStatus.FLOATING, generation=4, since=0)
OLD, NEW = 11, 12


def drained(generation: int = 4, websockets: int = 0) -> GateReport:
    return GateReport(JOB, 10000, generation, drained=True, websockets=websockets)


def test_drained_when_all_have_drained_and_counts_are_added() -> None:
    ledger = Ledger(clients=8)
    ledger.report(OLD, drained(websockets=3))
    assert ledger.whole_report(HELD, [OLD, NEW]) is None
    ledger.report(NEW, drained(generation=3, websockets=9))
    assert ledger.whole_report(HELD, [OLD, NEW]) is None, "an earlier generation's report is none"
    ledger.report(NEW, drained(websockets=2))
    assert ledger.whole_report(HELD, [OLD, NEW]) == drained(websockets=5)


def test_who_has_gone_is_not_waited_for_and_stays_counted() -> None:
    ledger = Ledger(clients=8)
    ledger.report(NEW, drained(websockets=2))
    assert ledger.whole_report(HELD, [NEW]) == drained(websockets=2)
    ledger.report(OLD, drained(websockets=3))
    ledger.leave(OLD)
    assert ledger.whole_report(HELD, [NEW]) == drained(websockets=5)
    assert ledger.whole_report(HELD, []) is None


def test_a_report_of_another_job_on_the_port_is_none() -> None:
    ledger = Ledger(clients=8)
    ledger.report(OLD, replace(drained(), job=OTHER))
    assert not ledger.settled(OLD, HELD) and ledger.whole_report(HELD, [OLD]) is None


def activity(**counts: object) -> Activity:
    return Activity(**{"job": JOB, "port": 10000, "last": 5, **counts})  # type: ignore[arg-type]


def test_counts_grow_over_the_end_of_a_worker() -> None:
    ledger = Ledger(clients=2)
    ledger.activity(OLD, activity(requests=7, websockets=2, clients=("b", "a"), extra={"held": 1}))
    ledger.activity(NEW, activity(requests=1, waiting=4, last=9, clients=("c",), extra={"held": 2, "refused": 1}))
    whole = ledger.whole_activity(10000)
    assert whole == activity(
        requests=8, websockets=2, waiting=4, last=9, clients=("a", "b"), extra={"held": 3, "refused": 1}
    )
    ledger.leave(OLD)
    again = ledger.whole_activity(10000)
    assert again == replace(whole, websockets=0, clients=("c",))
    heir = Ledger(clients=2)
    heir.take_over(json.loads(json.dumps(ledger.to_json())))
    assert heir.whole_activity(10000) == again
    heir.activity(NEW, replace(activity(requests=1, last=10), job=OTHER))
    assert heir.whole_activity(10000).requests == 1, "another job begins at nothing"


def test_a_closed_port_leaves_nothing() -> None:
    ledger = Ledger(clients=8)
    ledger.report(OLD, drained())
    ledger.activity(OLD, activity())
    ledger.leave(OLD)
    ledger.drop(10000)
    assert ledger.to_json() == {"reports": [], "news": [], "past": []}
