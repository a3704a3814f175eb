"""What an act's outcome, or what was seen instead of it, makes of a job."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from gateway.engines.base import ImageState
from gateway.types import JobStatus, Step

from .model import Job, fresh_placement, move


def over(job: Job, rc: int | None, now: int) -> Job:
    """The program ended by itself."""
    if rc == 0:
        return move(job, JobStatus.COMPLETED, now, rc=0, reason="The program ended.")
    before = job.status in (JobStatus.INITIALIZING, JobStatus.STARTING)
    status = JobStatus.FAIL_TO_EXECUTE if before else JobStatus.FAIL_TO_COMPLETE
    when = " before its ports accepted connections" if before else ""
    return move(job, status, now, rc=rc, reason=f"The program ended{when} {_how(rc)}.")


def _how(rc: int | None) -> str:
    if rc is None:
        return "and its exit status was lost"
    return f"by signal {-rc}" if rc < 0 else f"with exit status {rc}"


def lost(job: Job, image: ImageState, now: int) -> Job:
    """Nothing runs and nothing was saved just now: go on from the last image, if there is one."""
    if image is not ImageState.COMPLETE:
        return _gone(job, now)
    litter = job.litter if job.next_image is None else (*job.litter, job.next_image)
    job = replace(job, litter=litter, next_image=None, tries=0, trouble="")
    taken = "" if job.image_taken is None else f" of {datetime.fromtimestamp(job.image_taken / 1000, UTC):%H:%M:%S} UTC"
    reason = f"host lost: went on from the image{taken}"
    if job.status is JobStatus.SUSPENDING:
        return move(job, JobStatus.SUSPENDED, now, reason=reason, address=None, host=None, placement=None)
    status = job.status if job.status is JobStatus.RESUMING else JobStatus.FLOATING
    return fresh_placement(move(job, status, now, step=Step.RESTORING, reason=reason, address=None, host=None))


def _gone(job: Job, now: int) -> Job:
    if job.step is Step.CHECKPOINTING:
        why = f": {job.trouble}" if job.trouble else "."
        reason = f"Its state was lost while it was being saved{why}"
        return move(job, JobStatus.CHECKPOINT_FAILED, now, reason=reason)
    reason = "Its host was lost, and there was no image to go on from."
    return move(job, JobStatus.FAIL_TO_COMPLETE, now, reason=reason)


def at_rest(job: Job, now: int) -> Job:
    """The checkpoint is complete and nothing runs."""
    old = () if job.image is None else (job.image,)
    job = replace(
        job,
        image=job.next_image,
        image_taken=now,
        next_image=None,
        litter=(*job.litter, *old),
        trouble="",
        tries=0,
    )
    if job.status is JobStatus.SUSPENDING:
        return move(job, JobStatus.SUSPENDED, now, address=None, host=None, placement=None)
    return move(job, job.status, now, step=Step.TRANSFERRING, address=None, host=None)


def back_to_executing(job: Job, now: int) -> Job:
    """The checkpoint failed, and the program runs on where it was."""
    job = replace(job, litter=(*job.litter, *filter(None, [job.next_image])), next_image=None, next_size=None)
    verb = "moved" if job.status is JobStatus.FLOATING else "suspended"
    reason = f"It could not be {verb}, and runs on where it was: {job.trouble}"
    return move(job, JobStatus.EXECUTING, now, reason=reason)


def reopened(job: Job, now: int, reason: str | None = None) -> Job:
    """The program runs at its new address and accepts connections."""
    came = move(job, JobStatus.EXECUTING, now, tries=0, trouble="", reason=reason or job.reason)
    return replace(came, size=job.next_size or job.size, next_size=None)


def moved(job: Job, now: int, kept: int) -> Job:
    """As `reopened`, and a move from Floating counts; `kept` durations are remembered."""
    came = reopened(job, now)
    if job.status is not JobStatus.FLOATING:
        return came
    seconds = (*job.move_seconds, (now - job.since) / 1000)[-kept:]
    return replace(came, moves=job.moves + 1, move_seconds=seconds)


def accepted(job: Job, now: int, kept: int) -> Job:
    """The ports accept connections."""
    return move(job, JobStatus.EXECUTING, now) if job.status is JobStatus.STARTING else moved(job, now, kept)


def start_failed(job: Job, why: str, room: bool, now: int) -> Job:
    """The engine could not start it; `room`: although a host was free."""
    status = JobStatus.FAIL_TO_EXECUTE if room else JobStatus.NO_AVAILABLE_HOST
    return move(job, status, now, reason=why)


def checkpoint_failed(job: Job, why: str) -> Job:
    """Note it; what is seen next decides what it means."""
    return replace(job, trouble=why)


def checkpoint_slow(job: Job, seconds: float) -> Job:
    """Nobody waits for it any more. It may go on, and end either way: a sentence that is true before and after."""
    return replace(job, trouble=f"Saving its state takes longer than {seconds:g} s.")


def restore_failed(job: Job, why: str, tries: int, now: int) -> Job:
    """Try again as a new placement, `tries` times in all; then the image is kept and `resume` works on it."""
    job = replace(job, tries=job.tries + 1, trouble=why)
    if job.tries < tries:
        return fresh_placement(move(job, job.status, now, step=Step.RESTORING, address=None, host=None))
    reason = f"It could not be brought back, its image is kept: resume it to try again. {why}"
    return move(job, JobStatus.SUSPENDED, now, reason=reason, address=None, host=None, placement=None, next_size=None)


def cleaned(job: Job, now: int) -> Job:
    """Nothing of it is left at the engine."""
    job = replace(job, clean=True, image=None, next_image=None, litter=(), placement=None)
    return move(job, JobStatus.CANCELLED, now) if job.status is JobStatus.CANCELLING else job
