"""What `float up` asks of the OpCenter, by the public API: its gateway, its job, and both of them again next time.

Each start looks first: a gateway and a job of an earlier start (ended by Ctrl-C, or killed) are gone on with.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

from gateway.client import OpCenterClient, part
from gateway.errors import Code, Refusal
from gateway.types import JobStatus

from .jobdoc import has_ended

TAG = ("started-by", "float-up")
NAME = "up"
ENDED = "up ended"  # the reason with which the end suspends jobs: the next start brings those back
_READY = 30.0  # seconds from a gateway's start until it serves: it takes one
_PAUSE = 0.2  # between two looks at it

Doc = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the user asked for. `ports` and `bind` None: as last time, else the default."""

    template: str
    ports: str | None
    bind: str | None
    public_address: str | None
    default_ports: str = "10000:10100"
    default_bind: str = "127.0.0.1"


async def find_session(client: OpCenterClient, wanted: Wanted) -> Doc | None:
    """The session of an earlier start that still lives; None when there is none."""
    for job in await client.get("/jobs"):
        if _is_ours(job, wanted) and not has_ended(job):
            return dict(job)
    return None


async def ensure_gateway(client: OpCenterClient, wanted: Wanted, job: Doc | None) -> Doc:
    """The gateway of an earlier start if it is as wanted, first of all the session's; else a new one."""
    at = ((job or {}).get("gateway") or {}).get("gatewayID")
    ours = [one for one in await client.get("/gateways") if one["name"] == NAME and one["status"] != "Destroying"]
    fitting = [one for one in ours if _fits(one, wanted)]
    if fitting:
        return dict(max(fitting, key=lambda one: one["id"] == at))
    body = {
        "name": NAME,
        "portRange": wanted.ports or wanted.default_ports,
        "bind": wanted.bind or wanted.default_bind,
        "securityGroups": ["sg-default"],
    }
    if wanted.public_address:
        body["publicAddress"] = wanted.public_address
    try:
        made: Doc = await client.post("/gateways", body)
    except Refusal as refusal:
        if refusal.code is Code.CONFLICT:
            raise Refusal(refusal.code, f"{refusal.sentence}. float up --ports 20000:20100 takes others") from refusal
        raise
    return made


async def drop_other_gateways(client: OpCenterClient, keep: str) -> None:
    """Gateways of earlier starts with other ports go when nothing is connected to them any more."""
    for one in await client.get("/gateways"):
        if one["name"] == NAME and one["id"] != keep and not one["jobs"] and one["status"] != "Destroying":
            await client.delete(f"/gateways/{part(one['id'])}")


def _fits(gateway: Doc, wanted: Wanted) -> bool:
    """Options that were not given fit anything: the address stays what it was."""
    ports = wanted.ports is None or gateway["portRange"] == wanted.ports.replace(":", "-")
    bind = wanted.bind is None or gateway.get("bind", wanted.bind) == wanted.bind
    return ports and bind


async def gateway_ready(client: OpCenterClient, gateway_id: str) -> None:
    """Wait until the gateway serves. Raises Refusal when it cannot, with its own words."""
    clock = asyncio.get_running_loop().time
    deadline = clock() + _READY
    while True:
        gateway = await client.get(f"/gateways/{part(gateway_id)}")
        if gateway["status"] == "Ready" and not gateway.get("trouble"):
            return
        if gateway.get("trouble") or clock() > deadline:
            why = "; ".join(gateway.get("trouble") or [f"it is {gateway['status']} after {_READY:.0f} s"])
            how = "free its ports, or take others with --ports"
            raise Refusal(Code.UNAVAILABLE, f"The gateway cannot serve: {why}. To go on, {how}")
        await asyncio.sleep(_PAUSE)


async def new_job(client: OpCenterClient, wanted: Wanted, gateway_id: str) -> Doc:
    """A fresh session on this gateway. Raises Refusal."""
    body = {"template": wanted.template, "gateway": gateway_id, "customTags": dict([TAG])}
    made: Doc = await client.post("/jobs", body)
    return made


async def resume(client: OpCenterClient, job: Doc) -> None:
    """Bring a suspended session back; returns when that has begun. Raises Refusal."""
    await client.post(f"/jobs/{part(job['id'])}/resume")


async def put_to_sleep(client: OpCenterClient, own: Doc) -> list[Doc]:
    """The other jobs that the last end has suspended."""
    jobs = await client.get("/jobs", filter=f"status={JobStatus.SUSPENDED}")
    return [dict(job) for job in jobs if job["reason"] == ENDED and job["id"] != own["id"]]


def _is_ours(job: Doc, wanted: Wanted) -> bool:
    tags = job.get("customTags") or {}
    return job.get("template") == wanted.template.partition(":")[0] and tags.get(TAG[0]) == TAG[1]


async def connected(client: OpCenterClient, job: Doc, gateway_id: str) -> Doc:
    """The job on this gateway, if it was on another one or on none."""
    at = job.get("gateway") or {}
    if at.get("gatewayID") == gateway_id:
        return job
    targets = [int(one.split(" ")[0]) for one in at.get("portMappings") or []]
    for target in targets:
        old = f"/gateways/{part(at['gatewayID'])}/disconnect"
        await client.post(old, {"job": job["id"], "port": target})
    await client.post(f"/gateways/{part(gateway_id)}/connect", {"job": job["id"], "targetPorts": targets})
    found: Doc = await client.get(f"/jobs/{part(job['id'])}")
    return found
