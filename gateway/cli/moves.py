"""`float migrate`, `suspend`, `resume`, `cancel`: ask for something to be done with a job."""

from __future__ import annotations

from typing import Any

import click

from gateway.client import OpCenterClient, part
from gateway.errors import Code, Refusal
from gateway.types import JobStatus

from .caller import Caller, confirm
from .framework import Command
from .jobs import find_jobs, get_job, progress
from .options import filter_option, force_option, job_option, jobs_option, pass_caller, sync_option
from .printing import note, say
from .waiting import wait_for


@click.command(cls=Command)
@job_option("The job.")
@click.option("-c", "--cpu", type=click.IntRange(min=1), help="vCPUs of the new host; as before without.")
@click.option("-m", "--mem", type=click.IntRange(min=1), help="GB of memory of the new host; as before without.")
@force_option()
@sync_option()
@pass_caller
async def migrate(caller: Caller, job_id: str, cpu: int | None, mem: int | None, force: bool, sync: bool) -> None:
    """Move a job to another host; its address, its pages and its work stay."""
    confirm(f"Move job {job_id} to another host?", force)
    asked = {key: value for key, value in (("cpu", cpu), ("mem", mem)) if value is not None}
    async with caller.client() as client:
        before = await get_job(client, job_id)
        await client.post(f"/jobs/{part(job_id)}/migrate", asked)
        say("Migrate request has been submitted")
        if sync:
            job = await _until(client, job_id, JobStatus.EXECUTING)
            if job["moves"] == before["moves"]:
                raise Refusal(Code.CONFLICT, f"The job did not move: {job.get('reason') or 'see float show'}")


@click.command(cls=Command)
@jobs_option("The job; repeat for several.")
@force_option()
@sync_option()
@pass_caller
async def suspend(caller: Caller, job_ids: tuple[str, ...], force: bool, sync: bool) -> None:
    """Save a job's state and free its host (also: hibernate). float resume brings it back."""
    _need(job_ids)
    confirm(f"Suspend {_names(job_ids)}?", force)
    async with caller.client() as client:
        for job_id in job_ids:
            await client.post(f"/jobs/{part(job_id)}/suspend")
        say("Suspend request has been submitted")
        for job_id in job_ids if sync else ():
            await _until(client, job_id, JobStatus.SUSPENDED)


@click.command(cls=Command)
@jobs_option("The job; repeat for several.")
@sync_option()
@pass_caller
async def resume(caller: Caller, job_ids: tuple[str, ...], sync: bool) -> None:
    """Bring suspended jobs back (also: recover, restore)."""
    _need(job_ids)
    async with caller.client() as client:
        for job_id in job_ids:
            await client.post(f"/jobs/{part(job_id)}/resume")
        say("Resume request has been submitted")
        for job_id in job_ids if sync else ():
            await _until(client, job_id, JobStatus.EXECUTING)


@click.command(cls=Command)
@jobs_option("The job; repeat for several.")
@filter_option("--filter")
@force_option()
@sync_option()
@pass_caller
async def cancel(caller: Caller, job_ids: tuple[str, ...], filters: tuple[str, ...], force: bool, sync: bool) -> None:
    """End jobs for good (also: scancel)."""
    if not filters:
        _need(job_ids)
    async with caller.client() as client:
        found = [job["id"] for job in await find_jobs(client, filters) if "cancel" in job["actions"]] if filters else []
        wanted = [*job_ids, *found]
        if not wanted:
            say("No jobs")
            return
        confirm(f"Cancel {_names(wanted)}? What runs in there is lost", force)
        for job_id in wanted:
            await client.post(f"/jobs/{part(job_id)}/cancel")
        say("Cancel request has been submitted")
        for job_id in wanted if sync else ():
            await _until(client, job_id, JobStatus.CANCELLED)


async def _until(client: OpCenterClient, job_id: str, status: JobStatus) -> dict[str, Any]:
    """Wait for the status; tell the steps on stderr. Raises Refusal if the job ends, or comes to rest, otherwise."""
    rests = [] if status is JobStatus.CANCELLED else [JobStatus.EXECUTING.value, JobStatus.SUSPENDED.value]
    job = await wait_for(client, job_id, {status.value, *rests}, tell=lambda seen: note(progress(seen)))
    if job["status"] != status.value:
        raise Refusal(Code.CONFLICT, f"Job {job_id} is {progress(job)}")
    return job


def _need(job_ids: tuple[str, ...]) -> None:
    if not job_ids:
        raise Refusal(Code.INVALID_ARGUMENT, "Which job? Name it with -j; float squeue lists them")


def _names(job_ids: tuple[str, ...] | list[str]) -> str:
    return f"job {job_ids[0]}" if len(job_ids) == 1 else f"{len(job_ids)} jobs"
