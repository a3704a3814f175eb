"""Jobs and gateways as the API shows them. The texts' forms are the original's: users' scripts parse them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from gateway.types import JobStatus

from .model import ENDED, Gateway, HistoryEntry, Job, Lease
from .templates import fill, fill_all

_ON_A_HOST = {JobStatus.STARTING, JobStatus.EXECUTING, JobStatus.CAPTURING, JobStatus.SUSPENDING}


def instant(ms: int | None) -> str | None:
    """RFC 3339 in UTC, to the second."""
    if ms is None:
        return None
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def duration(ms: int) -> str:
    """`1h2m3s`, `3m5s` or `5s`."""
    minutes, seconds = divmod(max(0, ms) // 1000, 60)
    hours, minutes = divmod(minutes, 60)
    return (f"{hours}h" if hours else "") + (f"{minutes}m" if hours or minutes else "") + f"{seconds}s"


def job_doc(
    job: Job, connected: Iterable[tuple[Lease, Gateway]], values: Mapping[str, str], now: int
) -> dict[str, Any]:
    """One job. `connected`: its leases with their gateways; `values`: what stands for `{work}` and the like."""
    host = job.address if job.status in _ON_A_HOST else None
    return {
        "id": job.id,
        "name": job.order.name,
        "workingHost": f"{host} ({job.size})" if host else "",
        "user": job.order.owner,
        "imageID": job.order.image,
        "template": job.order.template,
        "status": job.status.value,
        "statusSinceMs": job.since,
        "step": None if job.step is None else job.step.value,
        "reason": job.reason,
        "trouble": job.trouble,
        "submitTime": instant(job.submitted),
        "startTime": instant(job.started),
        "endTime": instant(job.ended),
        "duration": duration((job.ended or now) - job.submitted),
        "cost": "0.0000 USD",
        "rc": "" if job.rc is None else str(job.rc),
        "cpu": job.size.cpu,
        "mem": job.size.mem,
        "env": list(fill_all(job.order.env, {**values, "token": "…"} if job.order.template else {})),
        "publish": list(job.order.publish),
        "inputArgs": job.order.input_args,
        "stdout": "stdout.autosave",
        "stderr": "stderr.autosave",
        "customTags": dict(job.order.tags),
        "actions": list(job.actions),
        "typicalMove": job.typical_move,
        "moves": job.moves,
        "address": host,
        "gateway": _job_gateway(job, list(connected)),
    }


def _job_gateway(job: Job, connected: list[tuple[Lease, Gateway]]) -> dict[str, Any] | None:
    mine = [(lease, gateway) for lease, gateway in connected if lease.released is None or job.status in ENDED]
    if not mine:
        return None
    first = mine[0][1]
    return {
        "gatewayID": first.id,
        "IPAddress": first.public_address,
        "portMappings": [f"{lease.target} -> {place(gateway, lease.port)}" for lease, gateway in mine],
        "accessURLs": [access_url(job, lease, gateway) for lease, gateway in mine],
    }


def place(gateway: Gateway, port: int) -> str:
    """`IP:port`, IPv6 in brackets."""
    host = gateway.public_address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def access_path(job: Job) -> str:
    """What a browser opens; may hold the job's login token."""
    return fill(job.order.access_path, {"token": job.token})


def access_url(job: Job, lease: Lease, gateway: Gateway) -> str:
    """The URL to open; may hold the job's login token."""
    return f"{gateway.public_scheme}://{place(gateway, lease.port)}{access_path(job)}"


def history_doc(entry: HistoryEntry) -> dict[str, Any]:
    """One line of a job's history."""
    return {
        "time": datetime.fromtimestamp(entry.time / 1000, UTC).isoformat(timespec="milliseconds"),
        "status": entry.status.value,
        "step": None if entry.step is None else entry.step.value,
        "reason": entry.reason,
        "host": entry.host,
        "address": entry.address,
    }


def gateway_doc(
    gateway: Gateway, status: str, version: int, connected: list[dict[str, Any]], jobs: int, trouble: Iterable[str]
) -> dict[str, Any]:
    """One gateway; `connected` are the lines that the caller may see, `jobs` counts all."""
    return {
        "id": gateway.id,
        "name": gateway.name,
        "user": gateway.owner,
        "status": status,
        "config": f"{gateway.size.cpu}Cores{gateway.size.mem}GB",
        "publicIP": gateway.public_address if gateway.public_ip else "",
        "address": gateway.public_address,
        "bind": gateway.bind,
        "portRange": f"{gateway.port_min}-{gateway.port_max}",
        "controlPort": gateway.control_port,
        "startTime": instant(gateway.created),
        "jobs": jobs,
        "cost": "0.00",
        "securityGroups": list(gateway.security_groups),
        "hostNames": list(gateway.host_names),
        "trustedProxies": list(gateway.trusted_proxies),
        "publicScheme": gateway.public_scheme,
        "version": version,
        "trouble": list(trouble),
        "connectedJobs": connected,
    }


def connected_doc(job: Job, lease: Lease, gateway: Gateway, activity: Mapping[str, Any]) -> dict[str, Any]:
    """One line of a gateway's Connected Jobs."""
    return {
        "job": job.id,
        "name": job.order.name,
        "status": job.status.value,
        "targetPort": lease.target,
        "port": lease.port,
        "accessURL": access_url(job, lease, gateway),
        "clients": activity.get("clients", []),
        "lastActivityMs": activity.get("last"),
        "websockets": activity.get("websockets", 0),
        "waiting": activity.get("waiting", 0),
    }
