"""web.Calls: what a client asked for is finished, although it has left and the server ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest
from aiohttp import web

from gateway.opcenter.web import Calls, is_heard
from tests.peers import eventually


@asynccontextmanager
async def left_alone(patience: float, work: float) -> AsyncIterator[tuple[web.AppRunner, list[str]]]:
    """A server with one call that takes so many seconds, whose client has left."""
    said: list[str] = []

    async def handler(request: web.Request) -> web.Response:
        said.append("begun")
        try:
            while is_heard(request):  # noqa: ASYNC110  # as handlers do
                await asyncio.sleep(0.005)
            said.append("alone")
            await asyncio.sleep(work)
            said.append("finished")
        except asyncio.CancelledError:
            said.append("cancelled")
            raise
        return web.Response()

    calls = Calls(patience)
    app = web.Application(middlewares=[calls.note])
    app.on_cleanup.append(calls.finish)
    app.router.add_get("/", handler)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    async with aiohttp.ClientSession() as session:
        asking = asyncio.create_task(session.get(f"http://{host}:{port}/"))
        await eventually(lambda: bool(said), "begun")
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
    await eventually(lambda: "alone" in said, "the client is gone")
    yield runner, said
    await runner.cleanup()


@pytest.mark.parametrize(("work", "end"), [(0.2, "finished"), (60, "cancelled")])
async def test_a_call_without_a_client_ends_before_the_server(work: float, end: str) -> None:
    async with left_alone(1.0, work) as (runner, said):
        assert said == ["begun", "alone"]
        await runner.cleanup()
        assert said == ["begun", "alone", end]
