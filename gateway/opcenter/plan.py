"""The next step of a job: from what is saved and what is seen, to a change to save or an act to do.

    look ──► plan ──► Save(job) ──► look again
                 ├──► an act, whose intent has been saved before ──► its outcome is saved ──► look again
                 └──► Wait ──► until something happens

Laws. Nothing is done whose intent was not saved. Every act can be repeated: after a crash the same job and the same
view give the same act. Unknown changes nothing. A running program is the truth, an image is the truth only when
nothing runs. What has ended is cleaned until nothing is left.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, replace

from gateway.config import Timeouts
from gateway.engines.base import Absent, Ended, ImageState, Running, Seen, Unknown
from gateway.types import GatewayId, JobStatus, Step

from .model import ENDED, RESERVED, Job, fresh_image, fresh_placement, move
from .outcomes import at_rest, back_to_executing, lost, over, reopened, restore_failed
from .policy import Policy


@dataclass(frozen=True, slots=True)
class View:
    """What is seen. Times are ms since the epoch; `opened` is when this OpCenter began."""

    now: int
    opened: int
    seen: Seen  # of job.placement; Absent when it has none
    image: ImageState = ImageState.NONE
    next_image: ImageState = ImageState.NONE
    owed: frozenset[GatewayId] = frozenset()


class Act(enum.Enum):
    """What the engine is asked for. Each is found again by `look` when we die meanwhile."""

    START = "start"
    CHECKPOINT = "checkpoint"
    RESTORE = "restore"
    PROBE = "probe"  # wait a little for the ports to accept
    TIDY = "tidy"  # delete images that nobody needs
    CLEAN = "clean"  # stop the program, delete every image


@dataclass(frozen=True, slots=True)
class Save:
    """Save this, then plan again."""

    job: Job


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing to do until something happens."""


Next = Save | Act | Wait


def plan(job: Job, view: View, times: Timeouts, policy: Policy) -> Next:
    """The one next step."""
    if job.status in ENDED:
        return Wait() if job.clean else Act.CLEAN
    if job.status in RESERVED:
        return Wait()
    match job.status:
        case JobStatus.SUBMITTED:
            return Save(fresh_placement(move(job, JobStatus.INITIALIZING, view.now)))
        case JobStatus.SUSPENDED:
            return Act.TIDY if job.litter else Wait()
        case JobStatus.CANCELLING:
            return Act.CLEAN
    if isinstance(view.seen, Unknown):
        return Wait()
    match job.status:
        case JobStatus.INITIALIZING:
            return _initializing(job, view)
        case JobStatus.STARTING:
            return _starting(job, view, times)
        case JobStatus.EXECUTING:
            return _executing(job, view)
    return _moving(job, view, times, policy)


def _initializing(job: Job, view: View) -> Next:
    match view.seen:
        case Running(address, host):
            return Save(move(job, JobStatus.STARTING, view.now, address=address, host=host))
        case Ended(rc):
            return Save(over(job, rc, view.now))
    return Act.START


def _starting(job: Job, view: View, times: Timeouts) -> Next:
    match view.seen:
        case Ended(rc):
            return Save(over(job, rc, view.now))
        case Absent():
            return Save(move(job, JobStatus.FAIL_TO_EXECUTE, view.now, reason="The host was lost while it started."))
    if view.now - job.since >= times.start * 1000:
        reason = f"Its ports did not accept connections within {times.start:g} s."
        return Save(move(job, JobStatus.FAIL_TO_EXECUTE, view.now, reason=reason))
    return Act.PROBE


def _executing(job: Job, view: View) -> Next:
    match view.seen:
        case Ended(rc):
            return Save(over(job, rc, view.now))
        case Absent():
            return Save(lost(job, view.image, view.now))
        case Running(address, host) if (address, host) != (job.address, job.host):
            return Save(move(job, JobStatus.EXECUTING, view.now, address=address, host=host))
    limit = job.order.time_limit
    if limit is not None and job.executing(view.now) >= limit:
        reason = f"It has run for its time limit of {limit:g} s."
        return Save(move(job, JobStatus.TIMEDOUT, view.now, reason=reason))
    return Act.TIDY if job.litter else Wait()


def _moving(job: Job, view: View, times: Timeouts, policy: Policy) -> Next:
    match job.step:
        case Step.DRAINING:
            return _draining(job, view, times)
        case Step.CHECKPOINTING:
            return _checkpointing(job, view)
        case Step.TRANSFERRING:
            return Save(fresh_placement(move(job, job.status, view.now, step=Step.RESTORING)))
        case Step.RESTORING:
            return _restoring(job, view, policy)
        case Step.RECONNECTING:
            return _reconnecting(job, view, times, policy)
    raise AssertionError(f"{job.status} has no step")


def _draining(job: Job, view: View, times: Timeouts) -> Next:
    match view.seen:
        case Ended(rc):
            return Save(over(job, rc, view.now))
        case Absent():
            return Save(lost(job, view.image, view.now))
    deadline = max(job.step_since, view.opened) + times.drain_report * 1000
    if view.owed and view.now < deadline:
        return Wait()
    return Save(move(fresh_image(replace(job, trouble="")), job.status, view.now, step=Step.CHECKPOINTING))


def _checkpointing(job: Job, view: View) -> Next:
    match view.seen:
        case Running() if job.trouble:
            return Save(back_to_executing(job, view.now))
        case Running():
            return Act.CHECKPOINT
        case Ended(rc):
            return Save(over(job, rc, view.now))
    if view.next_image is ImageState.COMPLETE:
        return Save(at_rest(job, view.now))
    return Save(lost(job, view.image, view.now))


def _restoring(job: Job, view: View, policy: Policy) -> Next:
    match view.seen:
        case Running(address, host):
            return Save(move(job, job.status, view.now, step=Step.RECONNECTING, address=address, host=host))
        case Ended(rc):
            return _died(job, rc, view, policy)
    if view.image is not ImageState.COMPLETE:
        return Save(move(job, JobStatus.FAIL_TO_COMPLETE, view.now, reason="The image of its state is gone."))
    return Act.RESTORE


def _reconnecting(job: Job, view: View, times: Timeouts, policy: Policy) -> Next:
    match view.seen:
        case Ended(rc):
            return _died(job, rc, view, policy)
        case Absent():
            return Save(restore_failed(job, "The host was lost at once.", policy.restores, view.now))
    if view.now - job.step_since >= times.redial * 1000:
        reason = f"It came back, but its ports have not accepted connections for {times.redial:g} s."
        return Save(reopened(job, view.now, reason))
    return Act.PROBE


def _died(job: Job, rc: int | None, view: View, policy: Policy) -> Next:
    """Before it served again: the image is all there is of its state, so a bad end is a restore that failed."""
    ended = over(job, rc, view.now)
    if rc == 0 or view.image is not ImageState.COMPLETE:
        return Save(ended)
    return Save(restore_failed(job, ended.reason, policy.restores, view.now))
