"""What a gateway is told: its leases and their jobs as one complete, versioned document."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from gateway.replay import key_of
from gateway.types import JobId, Listener, Rule, Snapshot

from .model import ENDED, Gateway, Job, Lease
from .views import access_path


def build(
    gateway: Gateway, leases: Iterable[Lease], jobs: Mapping[JobId, Job], rules: Iterable[Rule], now: int
) -> Snapshot:
    """The gateway's snapshot at `gateway.version`; `now` is ms since the epoch.

    A released lease is still answered while its job's end is what there is to say.
    """
    listeners = [
        _listener(lease, jobs[lease.job]) for lease in leases if lease.job in jobs and _answered(lease, jobs[lease.job])
    ]
    return Snapshot(
        version=gateway.version,
        gateway=gateway.id,
        name=gateway.name,
        bind=gateway.bind,
        public_address=gateway.public_address,
        port_min=gateway.port_min,
        port_max=gateway.port_max,
        control_port=gateway.control_port,
        now=now,
        rules=tuple(rules),
        listeners=tuple(sorted(listeners, key=lambda one: one.port)),
        names=gateway.host_names,
        trusted_proxies=gateway.trusted_proxies,
        tables=_tables(jobs[one.job] for one in listeners),
    )


def _tables(jobs: Iterable[Job]) -> dict[str, Mapping[str, Any]]:
    """Each table once, however many jobs have it."""
    found = [job.order.replay for job in jobs]
    return {key_of(table): table for table in found if table is not None}


def same(one: Snapshot, other: Snapshot) -> bool:
    """Whether they say the same, whatever their version and clock."""
    return replace(one, version=0, now=0) == replace(other, version=0, now=0)


def _answered(lease: Lease, job: Job) -> bool:
    return lease.released is None or (lease.shown and job.status in ENDED)


def _listener(lease: Lease, job: Job) -> Listener:
    return Listener(
        port=lease.port,
        job=job.id,
        name=job.order.name,
        target_port=job.order.ports.get(lease.target, lease.target),
        gate=job.gate,
        status=job.status,
        generation=job.generation,
        since=job.since,
        step=job.step,
        address=job.dial,
        reason=job.reason,
        typical_seconds=job.typical_move,
        websocket=job.order.websocket,
        access_path=access_path(job),
        replay="" if job.order.replay is None else key_of(job.order.replay),
        actions=job.actions,
    )
