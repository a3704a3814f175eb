"""Real servers behind a real port of the gateway, with the widget's real server beside it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from gateway.types import GateState, GatewayId, JobStatus, Snapshot
from tests.ports import free_port
from tests.proxy.harness import Port, gateway
from widget.desk import Desk
from widget.server import build_app

PATIENCE = 60.0  # seconds for a server's start
POLL = 0.1
TOKEN = "a-token-of-jupyter-s"


class Place:
    """A gateway's port that stands for a server, and its widget."""

    def __init__(self, port: Port, desk: Desk) -> None:
        self.port, self.desk = port, desk

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port.number}"

    def say(self, status: JobStatus, gate: GateState) -> None:
        """The control plane says what has become of the job, to the port and to the widget."""
        doc = self.port.follow(status=status, gate=gate, since=time.time_ns() // 1_000_000)
        was = self.desk.snapshot
        self.desk.update(replace(was, version=was.version + 1, listeners=(doc,)))


@asynccontextmanager
async def placed(server_port: int) -> AsyncIterator[Place]:
    """The server on this port of loopback, behind a gateway."""
    sock = socket.create_server(("127.0.0.1", 0))
    control = sock.getsockname()[1]
    async with gateway("127.0.0.1", server_port, control_port=control) as port:
        now = time.time_ns() // 1_000_000
        listener = replace(port.gate.listener, since=now - 100_000)
        snapshot = Snapshot(
            1, GatewayId("g-1"), "gw", "127.0.0.1", "127.0.0.1", port.number, port.number, control, now,
            listeners=(listener,),
        )  # fmt: skip
        desk = Desk("http://127.0.0.1:9", snapshot)
        desk.linked = True
        runner = web.AppRunner(build_app(desk), shutdown_timeout=0.1)
        await runner.setup()
        await web.SockSite(runner, sock).start()
        try:
            yield Place(port, desk)
        finally:
            await runner.cleanup()
            sock.close()


@asynccontextmanager
async def running(*words: str, port: int, path: str = "/", **environment: str) -> AsyncIterator[None]:
    """A server's process, from its first answer on; its whole group ends with the block."""
    process = await asyncio.create_subprocess_exec(
        *words, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
        start_new_session=True, env={**os.environ, **environment},
    )  # fmt: skip
    try:
        async with asyncio.timeout(PATIENCE), aiohttp.ClientSession() as client:
            while not await _answers(client, f"http://127.0.0.1:{port}{path}"):
                assert process.returncode is None, "the server has ended"
                await asyncio.sleep(POLL)
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()


async def _answers(client: aiohttp.ClientSession, url: str) -> bool:
    with contextlib.suppress(aiohttp.ClientError, ConnectionError):
        async with client.get(url) as answer:
            return answer.status < 500
    return False


@asynccontextmanager
async def jupyter(home: Path) -> AsyncIterator[int]:
    """JupyterLab with the classic notebook in it; returns its port."""
    port = free_port()
    (home / "page.html").write_text("<!doctype html><title>file</title><p>a file of the notebook's folder")
    async with running(
        sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", f"--port={port}",
        "--ServerApp.port_retries=0", f"--ServerApp.root_dir={home}", f"--IdentityProvider.token={TOKEN}",
        port=port, path="/api", HOME=str(home), JUPYTER_DATA_DIR=str(home / "data"),
        JUPYTER_RUNTIME_DIR=str(home / "run"), JUPYTER_CONFIG_DIR=str(home / "etc"), IPYTHONDIR=str(home / "ipython"),
    ):  # fmt: skip
        yield port


@asynccontextmanager
async def shiny(home: Path) -> AsyncIterator[int]:
    """A Shiny app; returns its port. Skips where there is no R with it."""
    if shutil.which("Rscript") is None:
        pytest.skip("no R, hence no Shiny")
    port, app = free_port(), home / "app.R"
    app.write_text(
        'library(shiny)\nshinyApp(fluidPage(titlePanel("Old Faithful"), sliderInput("n", "Bins", 1, 50, 30),'
        ' textOutput("said")), function(input, output) { output$said <- renderText(paste("bins:", input$n)) })\n'
    )
    async with running("Rscript", "-e", f"shiny::runApp('{app}', port={port})", port=port, HOME=str(home)):
        yield port
