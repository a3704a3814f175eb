"""The cases of corpus/open.py: written as the right behaviour, which the gateway does not have yet."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.types import GateState, JobStatus
from tests.peers import backend, connect, eventually

from .corpus import answers
from .corpus import open as known
from .corpus.answers import Bad, Good
from .corpus.case import Case
from .test_group import free_ports, group, ok, opcenter, snapshot
from .test_malformed import REQUESTS, WAYS, check_bad_answer, check_good_answer, check_request
from .test_malformed_floods import FROM_JOB_OPEN, pour_from_job


@pytest.mark.parametrize("case", [one for one in REQUESTS if one.name in known.REQUESTS], ids=lambda case: case.name)
async def test_a_request_that_is_not_http(case: Case) -> None:
    await check_request(case)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("bad", [one for one in answers.BAD if one.name in known.ANSWERS], ids=lambda bad: bad.name)
async def test_an_answer_that_is_not_http(bad: Bad, way: str) -> None:
    await check_bad_answer(bad, way)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("good", [one for one in answers.GOOD if one.name in known.ANSWERS], ids=lambda good: good.name)
async def test_an_odd_answer_passes(good: Good, way: str) -> None:
    await check_good_answer(good, way)


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
    await pour_from_job(tmp_path, FROM_JOB_OPEN, line)
