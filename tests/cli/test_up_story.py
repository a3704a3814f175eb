"""What `float up` tells of its session, with a scripted OpCenter whose stream breaks in every way that one can."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from aiohttp import web

from gateway.cli.up_center import Center
from gateway.cli.up_run import Run
from gateway.cli.up_screen import Screen
from gateway.cli.up_session import Wanted

from .conftest import DEADLINE

JOB = {"id": "j", "status": "Executing", "workingHost": "10.0.0.1 (1Core1GB)", "statusSinceMs": 1}
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


async def cut(request: web.Request) -> web.StreamResponse:
    """What 90 s of silence come to, and a connection that ends in the middle."""
    response = web.StreamResponse()
    await response.prepare(request)
    await response.write(b'data: {"type": "beat"}\n\n')
    assert request.transport is not None
    request.transport.abort()
    return response


async def busy(_request: web.Request) -> web.StreamResponse:
    return web.json_response({"error": "Too many readers", "code": 1006}, status=503)


async def logged_out(_request: web.Request) -> web.StreamResponse:
    return web.json_response({"error": "Not logged in", "code": 1001}, status=401)


@pytest.fixture
async def scripted() -> AsyncIterator[Callable[[Handler], Awaitable[str]]]:
    """Starts an OpCenter whose first stream is the given one; later ones tell that the job is Floating."""
    runners: list[web.AppRunner] = []

    async def start(first: Handler) -> str:
        streams = [first]

        async def events(request: web.Request) -> web.StreamResponse:
            return await (streams.pop() if streams else floating)(request)

        app = web.Application()
        app.router.add_get("/api/v1/events", events)
        app.router.add_get("/api/v1/jobs/j", job)
        runners.append(web.AppRunner(app, shutdown_timeout=0))
        await runners[0].setup()
        await web.TCPSite(runners[0], "127.0.0.1", 0).start()
        return f"http://127.0.0.1:{runners[0].addresses[0][1]}"

    yield start
    for runner in runners:
        await runner.cleanup()


async def job(_request: web.Request) -> web.StreamResponse:
    return web.json_response(JOB | {"status": "Floating", "step": "draining", "reason": "user"})


async def floating(_request: web.Request) -> web.StreamResponse:
    return web.Response(body=b"", content_type="text/event-stream")


@pytest.mark.parametrize("first", [cut, busy, logged_out])
async def test_a_stream_that_breaks_is_dialled_again(
    first: Handler,
    scripted: Callable[[Handler], Awaitable[str]],
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    center = Center(tmp_path, 0)
    center.address = await scripted(first)
    run = Run(center, Screen(), Wanted("jupyter", None, None, None), browser=False)
    run._job = dict(JOB)
    telling = asyncio.create_task(run._tell_changes())
    said = ""
    try:
        async with asyncio.timeout(DEADLINE):
            while "Floating … (user)" not in said:
                assert not telling.done(), telling.exception()
                await asyncio.sleep(0.01)
                said += capfd.readouterr().out
    finally:
        telling.cancel()
        await asyncio.gather(telling, return_exceptions=True)
