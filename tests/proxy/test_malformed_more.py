"""What else a gateway must withstand: a browser that stays where its port goes, a job that never stops talking."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.types import GateState, JobStatus
from tests.peers import backend, connect, eventually
from tests.ports import free_ports

from .test_group import group, ok, opcenter, snapshot
from .test_malformed_floods import FROM_JOB_INTERIM, pour_from_job


async def test_a_port_closes_under_an_idle_browser(tmp_path: Path) -> None:
    """A browser that keeps its connection does not keep the worker from going on."""
    *ports, control = free_ports(3)
    async with backend(ok) as (_, host, target), opcenter() as center, group(tmp_path, center.url):
        await eventually(lambda: bool(center.sockets), "dialled")
        where = {"gate": GateState.OPEN, "address": host, "target_port": target, "status": JobStatus.EXECUTING}
        await center.publish(snapshot(5, ports, control, **where))
        await center.acked(5)
        idle = await connect("127.0.0.1", ports[1])
        await idle.say(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        await idle.answer()
        try:
            await center.publish(snapshot(6, ports[:1], control, **where))
            await center.acked(6)
            assert await idle.rest() == b"", "the browser's connection is closed"
        finally:
            await idle.close()


@pytest.mark.parametrize("line", [b"", b"Keep-Alive: 300\r\n"], ids=["straight", "handler"])
async def test_a_job_that_pours(line: bytes, tmp_path: Path) -> None:
    await pour_from_job(tmp_path, FROM_JOB_INTERIM, line)
