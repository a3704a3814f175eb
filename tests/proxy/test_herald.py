"""In which order the workers of a port are told of a move: real channels, and the test at their other ends."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, replace

from gateway.config import Limits, Timeouts
from gateway.proxy.crew import Crew
from gateway.proxy.herald import Herald
from gateway.proxy.ledger import Ledger
from gateway.types import GateReport, GateState, JobId, JobStatus, Listener
from tests.peers import eventually
from tests.proxy.test_succession import spawn

PORT = 10000
DOC = Listener(PORT, JobId("abcdefghijklmnopqrstu"), "probe", 80, GateState.OPEN, JobStatus.EXECUTING, 1, 0)


@dataclass
class Stage:
    """Three workers with the port, the last of them the present one."""

    herald: Herald
    ledger: Ledger
    crew: Crew
    ends: list[socket.socket]

    def told(self, number: int) -> int | str | None:
        """Which generation this worker is told next, or that the port is closed; None: nothing."""
        try:
            message = json.loads(self.ends[number].recv(1 << 16))
        except BlockingIOError:
            return None
        return int(message["listener"]["generation"]) if "listener" in message else str(next(iter(message)))

    def done(self, number: int, listener: Listener) -> None:
        """The worker reports."""
        self.ledger.report(self.crew.everyone[number].name, GateReport(listener.job, PORT, listener.generation))
        self.herald.advance(PORT)


@asynccontextmanager
async def stage(patience: float = 60.0) -> AsyncIterator[Stage]:
    pairs = [socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET) for _ in range(3)]
    crew = Crew(1, Timeouts(), Limits(), lambda *_: None, lambda *_: None, lambda *_: None)
    base = {"number": 0, "told": {str(PORT): asdict(DOC)}, "acked": 0, "retired": True}
    crew.adopt(
        [
            {**base, "generation": number, "pid": spawn("/bin/sleep", "60"), "channel": os.dup(ours.fileno())}
            for number, (ours, _) in enumerate(pairs)
        ]
    )
    crew.present.append(crew.older.pop())
    for _, theirs in pairs:
        theirs.setblocking(False)
    ledger = Ledger(8)
    herald = Herald(crew, ledger, patience)
    herald.sockets[PORT] = socket.create_server(("127.0.0.1", 0))
    try:
        yield Stage(herald, ledger, crew, [theirs for _, theirs in pairs])
    finally:
        for worker in crew.everyone:
            worker.child.kill()
        await crew.stop()
        herald.close()
        for pair in pairs:
            for one in pair:
                one.close()


async def test_the_oldest_lets_go_first_and_comes_back_last() -> None:
    async with stage() as the:
        held = replace(DOC, gate=GateState.HELD, generation=2)
        the.herald.tell(held)
        for number in range(3):
            assert [the.told(one) for one in range(3)] == [2 if one == number else None for one in range(3)]
            the.done(number, held)
        again = replace(DOC, generation=3)
        the.herald.tell(again)
        for number in (2, 1, 0):
            assert [the.told(one) for one in range(3)] == [3 if one == number else None for one in range(3)]
            the.done(number, again)
        ended = replace(DOC, gate=GateState.ENDED, generation=4)
        the.herald.tell(ended)
        assert [the.told(one) for one in range(3)] == [4, 4, 4], "an end has no order"


async def test_what_is_overtaken_is_not_told_any_more() -> None:
    async with stage() as the:
        the.herald.tell(replace(DOC, gate=GateState.HELD, generation=2))
        assert [the.told(one) for one in range(3)] == [2, None, None]
        the.herald.tell(replace(DOC, generation=3))
        assert [the.told(one) for one in range(3)] == [None, None, 3]


async def test_after_the_patience_all_are_told_at_once() -> None:
    async with stage(patience=0.05) as the:
        the.herald.tell(replace(DOC, gate=GateState.HELD, generation=2))
        assert [the.told(one) for one in range(3)] == [2, None, None]
        told: dict[int, int | str | None] = {}

        def rest() -> bool:
            told.update({one: found for one in (1, 2) if (found := the.told(one)) is not None})
            return len(told) == 2

        await eventually(rest, "the rest is told")
        assert told == {1: 2, 2: 2}


async def test_another_job_on_the_port_is_none_of_the_old_workers() -> None:
    async with stage() as the:
        the.herald.tell(DOC)
        assert [the.told(one) for one in range(3)] == [None, None, None]
        other = replace(DOC, job=JobId("zyxwvutsrqponmlkjihgf"), generation=1)
        the.herald.tell(other)
        assert [the.told(one) for one in range(3)] == ["close", "close", "close"]
        assert [the.told(one) for one in range(3)] == [None, None, 1]
        assert the.crew.owners(PORT) == the.crew.present
