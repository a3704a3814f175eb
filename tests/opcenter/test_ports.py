"""The pool of ports, as a machine: leases, releases and jobs that come back, in any order."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from gateway.opcenter.model import Lease
from gateway.opcenter.ports import Exhausted, Pool, overlap
from gateway.types import GatewayId, JobId

GATEWAY = GatewayId("g-1")
LOW, HIGH = 10000, 10005


def lease(port: int, job: str, target: int = 8888, released: int | None = None) -> Lease:
    return Lease(GATEWAY, port, JobId(job), target, 0, released)


class Pools(RuleBasedStateMachine):
    """The model: who has which port, and when each port was released last."""

    def __init__(self) -> None:
        super().__init__()
        self.pool = Pool(LOW, HIGH, HIGH)
        self.now = 0
        self.held: dict[tuple[str, int], int] = {}
        self.released: dict[int, int] = {}

    @rule(job=st.sampled_from("abcdefgh"), inner=st.sampled_from([80, 8888]))
    def connect(self, job: str, inner: int) -> None:
        free = set(range(LOW, HIGH)) - set(self.held.values())
        before = {one.port: one for one in self.pool.leases}
        try:
            port = self.pool.choose(JobId(job), inner)
        except Exhausted:
            assert not free and (job, inner) not in self.held
            return
        if (job, inner) in self.held:
            assert port == self.held[job, inner]
            return
        assert port in free
        mine = before.get(port)
        fresh = sorted(free - set(self.released))
        if mine is None or (mine.job, mine.target) != (job, inner):  # not its own port again
            if fresh:
                assert port == fresh[0]
            else:
                assert self.released[port] == min(self.released[one] for one in free)
        self.pool = self.pool.after(lease(port, job, inner))
        self.held[job, inner] = port
        self.released.pop(port, None)

    @rule(data=st.data())
    def disconnect(self, data: st.DataObject) -> None:
        if not self.held:
            return
        who = data.draw(st.sampled_from(sorted(self.held)))
        port = self.held.pop(who)
        self.now += 1
        self.released[port] = self.now
        old = next(one for one in self.pool.leases if one.port == port)
        self.pool = self.pool.after(replace(old, released=self.now))

    @invariant()
    def a_port_has_one_job_and_the_control_port_none(self) -> None:
        held = {one.port: (one.job, one.target) for one in self.pool.held()}
        assert held == {port: who for who, port in self.held.items()}
        assert HIGH not in held
        assert self.pool.room() == HIGH - LOW - len(held)


TestPools = Pools.TestCase
TestPools.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)


def test_the_lowest_free_port_first() -> None:
    pool = Pool(LOW, HIGH, HIGH, (lease(10000, "a"), lease(10002, "b")))
    assert pool.choose(JobId("c"), 8888) == 10001


def test_a_released_port_is_not_given_to_another_job_while_others_are_free() -> None:
    pool = Pool(LOW, HIGH, HIGH, (lease(10000, "a", released=5), lease(10001, "b")))
    assert pool.choose(JobId("c"), 8888) == 10002
    assert pool.choose(JobId("a"), 8888) == 10000  # its own again
    assert pool.choose(JobId("a"), 80) == 10002


def test_when_nothing_else_is_free_the_one_that_rested_longest() -> None:
    pool = Pool(10000, 10002, 10002, (lease(10000, "a", released=9), lease(10001, "b", released=3)))
    assert pool.choose(JobId("c"), 8888) == 10001


def test_an_exhausted_pool_says_so() -> None:
    with pytest.raises(Exhausted):
        Pool(10000, 10001, 10001, (lease(10000, "a"),)).choose(JobId("b"), 8888)


def test_the_control_port_may_lie_anywhere() -> None:
    assert Pool(10000, 10002, 10000).ports == [10001, 10002]


@pytest.mark.parametrize(
    ("other", "shares"), [((10000, 10010), True), ((10010, 10020), True), ((10011, 10020), False), ((1, 9999), False)]
)
def test_overlap(other: tuple[int, int], shares: bool) -> None:
    assert overlap((10000, 10010), [other]) == (other if shares else None)
