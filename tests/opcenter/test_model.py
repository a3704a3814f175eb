"""The table of moves and the plan over it: properties that hold for every job, whatever is seen and asked."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from gateway.config import Timeouts
from gateway.engines.base import Absent, Ended, ImageState, Running, Seen, Unknown
from gateway.opcenter import outcomes
from gateway.opcenter.codec import job_from_json, job_to_json
from gateway.opcenter.draw import draw
from gateway.opcenter.model import (
    ACTIONS,
    ENDED,
    FIRST_STEPS,
    GATES,
    LEGAL,
    LEGAL_STEPS,
    RESERVED,
    IllegalMove,
    Job,
    Order,
    Size,
    fresh_placement,
    move,
)
from gateway.opcenter.plan import Act, Save, View, Wait, plan
from gateway.opcenter.policy import Policy
from gateway.types import GateState, GatewayId, JobId, JobStatus, Step

TIMES, POLICY = Timeouts(), Policy()
SEEN: list[Seen] = [Running("10.0.0.1", "one"), Running("10.0.0.2", "two"), Ended(0), Ended(1), Absent(), Unknown("?")]
VERBS = {
    "migrate": (JobStatus.FLOATING, Step.DRAINING),
    "suspend": (JobStatus.SUSPENDING, Step.DRAINING),
    "resume": (JobStatus.RESUMING, Step.RESTORING),
    "cancel": (JobStatus.CANCELLING, None),
}


def new_job(**order: object) -> Job:
    wanted = Order("one", "admin", 0, ("serve",), publish=("8888:8888",), **order)  # type: ignore[arg-type]
    return Job(JobId("a" * 21), wanted, Size(1, 1), "token", 0)


def ask(job: Job, verb: str, now: int) -> Job:
    """What Verbs does for a user."""
    status, step = VERBS[verb]
    draft = move(job, status, now, step=step, tries=0, trouble="")
    return fresh_placement(draft) if verb == "resume" else draft


def act_outcomes(job: Job, act: Act, now: int) -> Iterator[Job]:
    """Everything that Acts can save after this act."""
    match act:
        case Act.START:
            yield from (outcomes.start_failed(job, "No.", room, now) for room in (True, False))
        case Act.CHECKPOINT:
            yield outcomes.checkpoint_failed(job, "Full.")
        case Act.RESTORE:
            yield outcomes.restore_failed(job, "No.", POLICY.restores, now)
        case Act.PROBE:
            yield outcomes.accepted(job, now, POLICY.moves_kept)
        case Act.TIDY:
            yield replace(job, litter=())
        case Act.CLEAN:
            yield outcomes.cleaned(job, now)


def states(image: str | None) -> list[ImageState]:
    return [ImageState.NONE] if image is None else list(ImageState)


def views(job: Job, now: int) -> Iterator[View]:
    images, writings = states(job.image), states(job.next_image)
    for seen, image, writing, owed in itertools.product(SEEN, images, writings, (False, True)):
        yield View(now, 0, seen, image, writing, frozenset({GatewayId("g-1")}) if owed else frozenset())


def successors(job: Job) -> Iterator[Job]:
    """Every job that this one can become in one step, with any view, act and verb."""
    for verb in job.actions:
        yield ask(job, verb, 1)
    for now in (1, 10_000_000_000):
        for view in views(job, now):
            match plan(job, view, TIMES, POLICY):
                case Save(new):
                    yield new
                case Act() as act:
                    yield from act_outcomes(job, act, now)


def shape(job: Job) -> tuple[object, ...]:
    """What the plan looks at, so that the walk ends."""
    return (
        job.status,
        job.step,
        bool(job.trouble),
        job.tries,
        bool(job.image),
        bool(job.next_image),
        bool(job.litter),
        job.clean,
    )


def walk() -> tuple[set[tuple[JobStatus, JobStatus]], set[tuple[Step, Step]], list[Job]]:
    """Everything that can happen: moves made, steps made, and one job of each shape."""
    start = new_job(time_limit=1.0)
    found, todo = {shape(start): start}, [start]
    moves: set[tuple[JobStatus, JobStatus]] = set()
    steps: set[tuple[Step, Step]] = set()
    while todo:
        job = todo.pop()
        for after in successors(job):
            if after.status is not job.status:
                moves.add((job.status, after.status))
            elif after.step is not job.step and job.step is not None and after.step is not None:
                steps.add((job.step, after.step))
            if shape(after) not in found:
                found[shape(after)] = after
                todo.append(after)
    return moves, steps, list(found.values())


MOVES, STEPS, JOBS = walk()


def test_every_legal_move_is_made_and_no_other() -> None:
    assert {(before, after) for before, all_after in LEGAL.items() for after in all_after} == MOVES


def test_every_legal_step_is_made_and_no_other() -> None:
    assert {(before, after) for before, all_after in LEGAL_STEPS.items() for after in all_after} == STEPS


def test_every_status_is_reached_or_reserved() -> None:
    assert {job.status for job in JOBS} == set(JobStatus) - RESERVED


def test_from_everywhere_there_is_a_way_to_an_end() -> None:
    ends = set(ENDED)
    while True:
        more = {before for before, after in LEGAL.items() if after & ends} | ends
        if more == ends:
            break
        ends = more
    assert ends == set(JobStatus) - RESERVED


@pytest.mark.parametrize("before", JobStatus)
@pytest.mark.parametrize("after", JobStatus)
def test_a_move_that_is_not_in_the_table_raises(before: JobStatus, after: JobStatus) -> None:
    first = next(iter(FIRST_STEPS.get(before, [None])), None)
    job = replace(new_job(), status=before, step=first)
    step = next(iter(FIRST_STEPS.get(after, [None])), None)
    if after in LEGAL[before] or (after is before and step is first):
        assert move(job, after, 5, step=step).status is after
    else:
        with pytest.raises(IllegalMove):
            move(job, after, 5, step=step)


def test_a_step_cannot_be_skipped_or_taken_back() -> None:
    job = replace(new_job(), status=JobStatus.FLOATING, step=Step.RESTORING)
    for step in (Step.DRAINING, Step.CHECKPOINTING, Step.TRANSFERRING, None):
        with pytest.raises(IllegalMove):
            move(job, JobStatus.FLOATING, 1, step=step)


@pytest.mark.parametrize("job", JOBS, ids=lambda job: "-".join(map(str, shape(job)[:4])))
def test_laws_of_each_job_that_there_can_be(job: Job) -> None:
    assert (job.step is not None) == (job.status in FIRST_STEPS)
    assert (job.dial is not None) == (job.gate is GateState.OPEN)
    assert (job.ended is not None) == (job.status in ENDED)
    assert not (job.clean and (job.image or job.litter or job.placement))
    assert job_from_json(job_to_json(job)) == job
    if job.status in (JobStatus.EXECUTING, JobStatus.FLOATING, JobStatus.RESUMING):
        assert job.placement is not None
    if job.status is JobStatus.SUSPENDED:
        assert job.image and not job.placement


@pytest.mark.parametrize("job", JOBS, ids=lambda job: "-".join(map(str, shape(job)[:4])))
def test_laws_of_the_plan(job: Job) -> None:
    for view in views(job, 1):
        first = plan(job, view, TIMES, POLICY)
        assert first == plan(job, view, TIMES, POLICY)  # a crash repeats it
        if isinstance(view.seen, Unknown) and job.status not in ENDED:
            unseen = {JobStatus.SUBMITTED, JobStatus.SUSPENDED, JobStatus.CANCELLING}
            assert isinstance(first, Wait) or job.status in unseen
        if first is Act.RESTORE:
            assert isinstance(view.seen, Absent) and view.image is ImageState.COMPLETE
        if first is Act.CHECKPOINT:
            assert isinstance(view.seen, Running) and job.next_image and job.step is Step.CHECKPOINTING
        if job.step in (Step.RESTORING, Step.RECONNECTING) and view.image is ImageState.COMPLETE:
            done = view.seen == Ended(0)  # else the image is all there is of its state, and an end would delete it
            assert done or not (isinstance(first, Save) and first.job.status in ENDED)
        if first is Act.START:
            assert isinstance(view.seen, Absent) and job.placement


def test_the_page_is_current() -> None:
    page = Path(__file__).parents[2] / "docs/states.md"
    assert page.read_text() == draw(), "run: python -m gateway.opcenter.draw > docs/states.md"


def test_actions_are_legal_moves() -> None:
    for status, verbs in ACTIONS.items():
        assert all(VERBS[verb][0] in LEGAL[status] for verb in verbs)
    assert set(GATES) == set(JobStatus)


class JobLife(RuleBasedStateMachine):
    """Verbs, looks, acts and their outcomes in any order: the laws hold at each step."""

    def __init__(self) -> None:
        super().__init__()
        self.job = new_job()
        self.now = 0
        self.statuses = [self.job.status]
        self.generations = [(self.job.gate, self.job.dial, self.job.generation)]

    def _become(self, job: Job) -> None:
        if (job.gate, job.dial) != self.generations[-1][:2]:
            assert job.generation == self.generations[-1][2] + 1
            self.generations.append((job.gate, job.dial, job.generation))
        assert job.generation == self.generations[-1][2]
        self.job = job
        self.statuses.append(job.status)

    @rule(verb=st.sampled_from(sorted(VERBS)))
    def verb(self, verb: str) -> None:
        if verb in self.job.actions:
            self._become(ask(self.job, verb, self.now))
        elif self.job.status is not VERBS[verb][0]:
            with pytest.raises(IllegalMove):
                ask(self.job, verb, self.now)

    @rule(data=st.data(), passed=st.integers(0, 400_000))
    def turn(self, data: st.DataObject, passed: int) -> None:
        self.now += passed
        image, writing = states(self.job.image), states(self.job.next_image)
        view = View(
            self.now,
            0,
            data.draw(st.sampled_from(SEEN)),
            data.draw(st.sampled_from(image)),
            data.draw(st.sampled_from(writing)),
            frozenset({GatewayId("g-1")}) if data.draw(st.booleans()) else frozenset(),
        )
        match plan(self.job, view, TIMES, POLICY):
            case Save(new):
                self._become(new)
            case Act() as act:
                self._become(data.draw(st.sampled_from([self.job, *act_outcomes(self.job, act, self.now)])))

    @precondition(lambda self: len(self.statuses) > 1)
    @invariant()
    def nothing_leaves_an_end(self) -> None:
        ended = [index for index, status in enumerate(self.statuses) if status in ENDED]
        assert not ended or len(set(self.statuses[ended[0] :])) == 1

    @invariant()
    def times_do_not_run_backwards(self) -> None:
        assert self.job.submitted <= self.job.since <= self.job.step_since <= max(self.now, 0)
        assert 0 <= self.job.executing(self.now) <= self.now / 1000

    @invariant()
    def it_survives_being_saved(self) -> None:
        assert job_from_json(job_to_json(self.job)) == self.job


TestJobLife = JobLife.TestCase
TestJobLife.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


@given(st.lists(st.floats(0.1, 1e4), min_size=1, max_size=40))
def test_the_typical_move_is_the_median_of_the_last_ones(seconds: list[float]) -> None:
    job = replace(new_job(), move_seconds=tuple(seconds))
    assert min(seconds) <= (job.typical_move or 0) <= max(seconds)
