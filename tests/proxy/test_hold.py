"""hold.py: its laws, over every order of events that Hypothesis finds."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from gateway.proxy.hold import Go, Hold, No, State, Wait, Why

PLACES, SECONDS = 3, 10.0


class Laws(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.hold = Hold[int](max_waiting=PLACES, max_seconds=SECONDS)
        self.next = 0
        self.line: list[int] = []
        self.inside: set[int] = set()
        self.state = State.SHUT

    @rule()
    def open(self) -> None:
        self.hold.open()
        self.state = State.OPEN

    @rule()
    def float(self) -> None:
        self.hold.hold()
        self.state = State.HELD

    @rule()
    def shut(self) -> None:
        assert self.hold.shut() == self.line
        self.line.clear()
        self.state = State.SHUT

    @rule(now=st.floats(0, 1000))
    def arrive(self, now: float) -> None:
        who, self.next = self.next, self.next + 1
        decision = self.hold.arrive(who, now)
        if self.state is State.OPEN:
            assert decision == Go()
            self.inside.add(who)
        elif self.state is State.SHUT:
            assert decision == No(Why.SHUT)
        else:
            shed = self.line.pop(0) if len(self.line) == PLACES else None
            assert decision == Wait(now + SECONDS, shed)
            self.line.append(who)

    @rule()
    def call(self) -> None:
        who = self.hold.call()
        if self.state is not State.OPEN or not self.line:
            assert who is None
        else:
            assert who == self.line.pop(0)
            self.inside.add(who)

    @precondition(lambda self: self.line or self.inside)
    @rule(data=st.data())
    def leave(self, data: st.DataObject) -> None:
        who = data.draw(st.sampled_from(self.line + sorted(self.inside)))
        self.hold.leave(who)
        self.hold.leave(who)
        self.line = [one for one in self.line if one != who]
        self.inside.discard(who)

    @invariant()
    def counts(self) -> None:
        assert self.hold.waiting == len(self.line) <= PLACES
        assert self.hold.inside == self.inside
        assert self.hold.state is self.state


TestLaws = Laws.TestCase
TestLaws.settings = settings(max_examples=200, stateful_step_count=40)


def test_without_places_nobody_waits() -> None:
    hold = Hold[int](max_waiting=0, max_seconds=SECONDS)
    hold.hold()
    assert hold.arrive(1, 0.0) == No(Why.FULL)
