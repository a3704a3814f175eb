"""How a job is shown (pure): the fields in the order that the original prints them, and the columns of `squeue`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gateway.types import JobStatus

from .printing import Column, Doc

ENDED = frozenset(
    {
        JobStatus.COMPLETED,
        JobStatus.CANCELLED,
        JobStatus.FAIL_TO_EXECUTE,
        JobStatus.FAIL_TO_COMPLETE,
        JobStatus.CHECKPOINT_FAILED,
        JobStatus.TIMEDOUT,
        JobStatus.NO_AVAILABLE_HOST,
    }
)
_ORDER = [
    "id",
    "name",
    "workingHost",
    "user",
    "imageID",
    "template",
    "status",
    "step",
    "reason",
    "trouble",
    "submitTime",
    "startTime",
    "endTime",
    "duration",
    "cost",
    "rc",
    "cpu",
    "mem",
    "env",
    "publish",
    "inputArgs",
    "stdout",
    "stderr",
    "customTags",
    "actions",
    "typicalMove",
    "moves",
    "address",
]
_LAST = ("gateway",)  # as in the guide: what scripts look for stands at the end
_NOT_FOR_PEOPLE = ("statusSinceMs",)
_EMPTY: tuple[Any, ...] = (None, [], {})

COLUMNS = [
    Column("ID", lambda job: job["id"]),
    Column("NAME", lambda job: job["name"]),
    Column("WORKING HOST", lambda job: job.get("workingHost")),
    Column("USER", lambda job: job.get("user")),
    Column("STATUS", lambda job: job["status"]),
    Column("SUBMIT TIME", lambda job: job.get("submitTime")),
    Column("DURATION", lambda job: job.get("duration")),
    Column("COST", lambda job: job.get("cost")),
    Column("GATEWAY", lambda job: ", ".join(map(_front, port_mappings(job)))),
]


def for_people(job: Doc) -> dict[str, Any]:
    """The job as yaml shows it: ordered, without what is not known yet."""
    middle = [key for key in job if key not in (*_ORDER, *_LAST, *_NOT_FOR_PEOPLE)]
    shown = {key: job[key] for key in (*_ORDER, *middle, *_LAST) if key in job and job[key] not in _EMPTY}
    if not shown.get("trouble"):
        shown.pop("trouble", None)
    if isinstance(shown.get("rc"), int):
        shown["rc"] = str(shown["rc"])  # a string in the original
    if isinstance(shown.get("gateway"), Mapping):
        shown["gateway"] = {key: value for key, value in shown["gateway"].items() if value not in _EMPTY}
    return shown


def just_submitted(job: Doc) -> dict[str, Any]:
    """As `for_people`, without the fields that are still empty."""
    return {key: value for key, value in for_people(job).items() if value != ""}


def failures(jobs: Sequence[Doc]) -> list[str]:
    """A line for each job that lives and whose last act has failed."""
    living = [job for job in jobs if job.get("trouble") and not has_ended(job)]
    return [f"{job['name']} ({job['id']}): {_said(job['reason'], job['trouble'])}" for job in living]


def _said(reason: str, trouble: str) -> str:
    """The reason tells what came of the trouble, once something has; while a job moves it tells why it moves."""
    return reason if trouble in reason else trouble


def port_mappings(job: Doc) -> list[str]:
    """`8888 -> 10.0.0.1:10000`, one for each port behind a gateway."""
    return list((job.get("gateway") or {}).get("portMappings") or [])


def access_urls(job: Doc) -> list[str]:
    """What a browser opens; may hold a login token."""
    return list((job.get("gateway") or {}).get("accessURLs") or [])


def has_ended(job: Doc) -> bool:
    """Has the job come to its end, whichever?"""
    return job["status"] in ENDED


def _front(mapping: str) -> str:
    return mapping.rpartition(" ")[2]
