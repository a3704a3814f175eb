"""Wait for a job to come to a status: what `wait`, `--sync` and `float up` share."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from typing import Any

from gateway.client import OpCenterClient, part
from gateway.errors import Code, Refusal

from .jobdoc import has_ended

_ROUND = 20.0  # seconds of one waiting call: the OpCenter answers earlier when the status comes


async def wait_for(
    client: OpCenterClient,
    job_id: str,
    statuses: Collection[str],
    timeout: float | None = None,
    tell: Callable[[dict[str, Any]], None] = lambda job: None,
) -> dict[str, Any]:
    """The job, as soon as it has one of the statuses or has ended. `timeout` in seconds; None waits for ever.

    `tell` is called with the job at each change of status that is seen. Raises Refusal at the deadline.
    """
    clock = asyncio.get_running_loop().time
    deadline = None if timeout is None else clock() + timeout
    seen, patience = None, 0.0  # the first answer comes at once: `tell` says where the job is
    while True:
        left = patience if deadline is None else max(0.0, min(patience, deadline - clock()))
        patience = _ROUND
        path = f"/jobs/{part(job_id)}/wait"
        job: dict[str, Any] = await client.get(path, status=",".join(statuses), timeout=f"{left:.1f}")
        if job["status"] != seen:
            seen = job["status"]
            tell(job)
        if job["status"] in statuses or has_ended(job):
            return job
        if deadline is not None and clock() >= deadline:
            raise Refusal(Code.UNAVAILABLE, f"Job {job_id} is still {job['status']}: the time to wait is over")
