"""`float list`, `float show`, `float wait`, `float open`: look at jobs."""

from __future__ import annotations

import sys
from typing import Any

import click

from gateway.client import OpCenterClient, part
from gateway.errors import Code, Refusal
from gateway.types import JobStatus

from .caller import Caller
from .framework import Command
from .jobdoc import COLUMNS, access_urls, failures, for_people, has_ended
from .options import filter_option, job_option, pass_caller
from .printing import Format, note, say, write_doc, write_list
from .waiting import wait_for

_LIVE = "status=Executing or status=Floating or status=Suspended or status=Suspending or status=Resuming"


@click.command("list", cls=Command)
@click.argument("words", nargs=-1, metavar="")
@click.option("-j", "--job", "job_id", metavar="ID", help="Only this job.")
@filter_option("-f", "--filter")
@pass_caller
async def list_jobs(caller: Caller, words: tuple[str, ...], job_id: str | None, filters: tuple[str, ...]) -> None:
    """List jobs, newest first (also: squeue, ls)."""
    if words not in ((), ("list",)):
        raise Refusal(Code.INVALID_ARGUMENT, f"float list takes options only, not {words[0]!r}: see float list -h")
    async with caller.client() as client:
        jobs = [await get_job(client, job_id)] if job_id else await find_jobs(client, filters)
    if not jobs:
        say("No jobs")
        return
    style = caller.style(Format.TABLE)
    write_list(
        jobs if style is Format.JSON else [for_people(job) | {"name": job["name"]} for job in jobs],
        COLUMNS,
        style,
        "No jobs",
    )
    for line in failures(jobs) if style is Format.TABLE else ():
        note(line)


@click.command(cls=Command)
@job_option("The job.")
@pass_caller
async def show(caller: Caller, job_id: str) -> None:
    """Show everything that is known of one job."""
    async with caller.client() as client:
        job = await get_job(client, job_id)
    write_job(caller, job)


@click.command(cls=Command)
@job_option("The job.")
@click.option(
    "--status", "statuses", default="Executing", help="Wait for this one; several with commas.", show_default=True
)
@click.option("--timeout", type=click.FloatRange(min=0), help="Seconds; for ever without.")
@pass_caller
async def wait(caller: Caller, job_id: str, statuses: str, timeout: float | None) -> None:
    """Wait for a job's status, print it; exit 1 if the job ends with another one."""
    wanted = [to_status(one) for one in statuses.split(",")]
    async with caller.client() as client:
        job = await wait_for(client, job_id, wanted, timeout, tell=lambda seen: note(progress(seen)))
    say(job["status"])
    if job["status"] not in wanted:
        raise SystemExit(1)


@click.command("open", cls=Command)
@click.option(
    "-j", "--job", "job_id", envvar="FLOAT_JOB_ID", metavar="ID", help="The job; not needed when only one is live."
)
@click.option("--print", "only_print", is_flag=True, help="Print the URL, open no browser.")
@pass_caller
async def open_session(caller: Caller, job_id: str | None, only_print: bool) -> None:
    """Open a job's session in the browser, or print its URL where there is none."""
    async with caller.client() as client:
        job = await get_job(client, job_id) if job_id else await only_live_job(client)
    urls = access_urls(job)
    if not urls:
        why = "has ended" if has_ended(job) else "is on no gateway: connect it with float gateway connect"
        raise Refusal(Code.CONFLICT, f"Job {job['id']} {why}")
    if not only_print and sys.stdout.isatty() and _opened(urls[0]):
        note(f"Opened {urls[0]}")
    else:
        say(urls[0])


def _opened(url: str) -> bool:
    import webbrowser

    return webbrowser.open(url)


async def get_job(client: OpCenterClient, job_id: str) -> dict[str, Any]:
    """One job. Raises Refusal."""
    job: dict[str, Any] = await client.get(f"/jobs/{part(job_id)}")
    return job


async def find_jobs(client: OpCenterClient, filters: tuple[str, ...]) -> list[dict[str, Any]]:
    """The jobs that pass every filter."""
    jobs: list[dict[str, Any]] = await client.get("/jobs", [("filter", one) for one in filters])
    return jobs


async def only_live_job(client: OpCenterClient) -> dict[str, Any]:
    """The one job that is live. Raises Refusal when there are none or several."""
    jobs = [job for job in await find_jobs(client, (_LIVE,)) if access_urls(job)]
    if len(jobs) != 1:
        what = "No job is live" if not jobs else f"{len(jobs)} jobs are live"
        raise Refusal(Code.INVALID_ARGUMENT, f"{what}: name one with -j; float squeue lists them")
    return jobs[0]


def write_job(caller: Caller, job: dict[str, Any]) -> None:
    """JSON is the API's own document; people get it in order and without what is empty."""
    style = caller.style()
    write_doc(job if style is Format.JSON else for_people(job), style)


def progress(job: dict[str, Any]) -> str:
    """`Floating: checkpointing (spot reclaim)`; a job that runs needs no reason."""
    step = f": {job['step']}" if job.get("step") else ""
    because = f" ({job['reason']})" if job.get("reason") and job["status"] != JobStatus.EXECUTING else ""
    return f"{job['status']}{step}{because}"


def to_status(word: str) -> str:
    """A status as it is written, in whatever case it was typed. Raises Refusal."""
    for status in JobStatus:
        if status.value.lower() == word.strip().lower():
            return status.value
    known = ", ".join(one.value for one in JobStatus)
    raise Refusal(Code.INVALID_ARGUMENT, f"No status is called {word.strip()!r}. There are {known}")
