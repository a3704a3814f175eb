"""What is read and written of jobs, leases, gateways and security groups: all their SQL is here."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.types import GatewayId, JobId, JobStatus, Rule, Step

from .codec import gateway_from_json, gateway_to_json, job_from_json, job_to_json
from .model import Gateway, HistoryEntry, Job, Lease
from .security_groups import SecurityGroup
from .tables import gateways, history, jobs, leases, security_groups


async def add_job(connection: AsyncConnection, job: Job) -> None:
    """A new job and the first entry of its history."""
    await connection.execute(sa.insert(jobs).values(**_job_columns(job)))
    await _note(connection, job)


async def save_job(connection: AsyncConnection, old: Job, new: Job) -> None:
    """The job's next version; with a history entry when status, step or reason changed."""
    where = sa.and_(jobs.c.id == old.id, jobs.c.version == old.version)
    result = await connection.execute(sa.update(jobs).where(where).values(**_job_columns(new)))
    if result.rowcount != 1:
        raise RuntimeError(f"job {old.id} was changed by somebody else")
    if (old.status, old.step, old.reason) != (new.status, new.step, new.reason):
        await _note(connection, new)


async def get_job(connection: AsyncConnection, job: JobId) -> Job | None:
    """The job, or None when there is none of this id."""
    row = (await connection.execute(sa.select(jobs.c.doc).where(jobs.c.id == job))).first()
    return None if row is None else job_from_json(json.loads(row[0]))


async def get_jobs(connection: AsyncConnection, ids: Iterable[JobId]) -> dict[JobId, Job]:
    """Those of these jobs that there are."""
    query = sa.select(jobs.c.doc).where(jobs.c.id.in_(sorted(set(ids))))
    found = [job_from_json(json.loads(row[0])) for row in await connection.execute(query)]
    return {job.id: job for job in found}


async def list_jobs(connection: AsyncConnection, owner: str | None, limit: int) -> list[Job]:
    """Newest first; `owner` None: everybody's."""
    query = sa.select(jobs.c.doc).order_by(jobs.c.submitted.desc(), jobs.c.id).limit(limit)
    if owner is not None:
        query = query.where(jobs.c.owner == owner)
    return [job_from_json(json.loads(row[0])) for row in await connection.execute(query)]


async def unfinished_jobs(connection: AsyncConnection) -> list[Job]:
    """Every job of which something may still be at the engine."""
    query = sa.select(jobs.c.doc).where(jobs.c.clean.is_(False))
    return [job_from_json(json.loads(row[0])) for row in await connection.execute(query)]


async def count_jobs(connection: AsyncConnection) -> dict[str, int]:
    """Status → how many."""
    query = sa.select(jobs.c.status, sa.func.count()).group_by(jobs.c.status)
    return {row[0]: row[1] for row in await connection.execute(query)}


async def job_history(connection: AsyncConnection, job: JobId, limit: int) -> list[HistoryEntry]:
    """The newest entries, oldest first."""
    query = sa.select(history).where(history.c.job == job).order_by(history.c.id.desc()).limit(limit)
    rows = list(await connection.execute(query))
    return [_entry(row) for row in reversed(rows)]


async def put_lease(connection: AsyncConnection, lease: Lease) -> None:
    """This lease instead of what was at its port."""
    where = sa.and_(leases.c.gateway == lease.gateway, leases.c.port == lease.port)
    await connection.execute(sa.delete(leases).where(where))
    await connection.execute(sa.insert(leases).values(**asdict(lease)))


async def release_job(connection: AsyncConnection, job: JobId, now: int) -> None:
    """The job has ended: its ports go into quarantine, and say until then that it has."""
    where = sa.and_(leases.c.job == job, leases.c.released.is_(None))
    await connection.execute(sa.update(leases).where(where).values(released=now))


async def leases_of(
    connection: AsyncConnection, *, gateway: GatewayId | None = None, job: JobId | None = None
) -> list[Lease]:
    """The leases of a gateway, or of a job, or all; lowest port first."""
    query = sa.select(leases).order_by(leases.c.gateway, leases.c.port)
    if gateway is not None:
        query = query.where(leases.c.gateway == gateway)
    if job is not None:
        query = query.where(leases.c.job == job)
    return [_lease(row) for row in await connection.execute(query)]


async def put_gateway(connection: AsyncConnection, gateway: Gateway) -> None:
    """Insert, or save over what was."""
    doc = json.dumps(gateway_to_json(gateway))
    result = await connection.execute(sa.update(gateways).where(gateways.c.id == gateway.id).values(doc=doc))
    if result.rowcount == 0:
        await connection.execute(sa.insert(gateways).values(id=gateway.id, created=gateway.created, doc=doc))


async def get_gateway(connection: AsyncConnection, gateway: GatewayId) -> Gateway | None:
    """The gateway, or None when there is none of this id."""
    row = (await connection.execute(sa.select(gateways.c.doc).where(gateways.c.id == gateway))).first()
    return None if row is None else gateway_from_json(json.loads(row[0]))


async def list_gateways(connection: AsyncConnection) -> list[Gateway]:
    """Oldest first."""
    query = sa.select(gateways.c.doc).order_by(gateways.c.created, gateways.c.id)
    return [gateway_from_json(json.loads(row[0])) for row in await connection.execute(query)]


async def delete_gateway(connection: AsyncConnection, gateway: GatewayId) -> None:
    """With its leases."""
    await connection.execute(sa.delete(leases).where(leases.c.gateway == gateway))
    await connection.execute(sa.delete(gateways).where(gateways.c.id == gateway))


async def put_group(connection: AsyncConnection, group: SecurityGroup) -> None:
    """A new group."""
    rules = json.dumps([asdict(rule) for rule in group.rules])
    await connection.execute(
        sa.insert(security_groups).values(
            id=group.id, name=group.name, owner=group.owner, description=group.description, rules=rules
        )
    )


async def list_groups(connection: AsyncConnection) -> list[SecurityGroup]:
    """Every saved group; `sg-default` is not among them."""
    rows = await connection.execute(sa.select(security_groups).order_by(security_groups.c.id))
    return [
        SecurityGroup(row.id, row.name, row.owner, row.description, tuple(Rule(**one) for one in json.loads(row.rules)))
        for row in rows
    ]


async def delete_group(connection: AsyncConnection, group: str) -> None:
    """Nothing when there is none of this id."""
    await connection.execute(sa.delete(security_groups).where(security_groups.c.id == group))


def _job_columns(job: Job) -> dict[str, Any]:
    return {
        "id": job.id,
        "owner": job.order.owner,
        "status": job.status.value,
        "clean": job.clean,
        "submitted": job.submitted,
        "version": job.version,
        "doc": json.dumps(job_to_json(job)),
    }


async def _note(connection: AsyncConnection, job: Job) -> None:
    await connection.execute(
        sa.insert(history).values(
            job=job.id,
            time=job.step_since,
            status=job.status.value,
            step=None if job.step is None else job.step.value,
            reason=job.reason,
            host=job.host,
            address=job.address,
        )
    )


def _entry(row: sa.Row[Any]) -> HistoryEntry:
    step = None if row.step is None else Step(row.step)
    return HistoryEntry(row.time, JobStatus(row.status), step, row.reason, row.host, row.address)


def _lease(row: sa.Row[Any]) -> Lease:
    return Lease(GatewayId(row.gateway), row.port, JobId(row.job), row.target, row.leased, row.released, row.shown)
