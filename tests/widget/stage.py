"""A gateway without its data plane: a job's page on one port, the widget's real server on another, an OpCenter behind.

The job's page is what a test says it is, hostile pages too; it carries the loader's tag as the proxy would put it.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from aiohttp import web

from gateway.errors import Outcome
from gateway.proxy.pages import page
from gateway.types import GateState, GatewayId, JobId, JobStatus, Listener, Snapshot, Step
from tests.ports import free_port
from widget.assets import loader, tag
from widget.desk import Desk
from widget.limits import Limits
from widget.server import build_app

from .opcenter import ScriptedOpCenter

JOB, OTHER = JobId("u6grzqqzwmnu8jfxtrq5n"), JobId("otherjob0000000000000")
_OUTCOMES = {
    GateState.HELD: Outcome.MOVING,
    GateState.SUSPENDED: Outcome.SUSPENDED,
    GateState.ENDED: Outcome.ENDED,
}
_GATES = {
    JobStatus.EXECUTING: GateState.OPEN,
    JobStatus.CAPTURING: GateState.OPEN,
    JobStatus.SUSPENDED: GateState.SUSPENDED,
    JobStatus.COMPLETED: GateState.ENDED,
    JobStatus.CANCELLED: GateState.ENDED,
    JobStatus.FAIL_TO_COMPLETE: GateState.ENDED,
}
_ACTIONS = {
    JobStatus.EXECUTING: ("migrate", "suspend", "cancel"),
    JobStatus.FLOATING: ("cancel",),
    JobStatus.SUSPENDED: ("resume", "cancel"),
}
APP_PAGE = """<!DOCTYPE html><html><head>{tag}<meta charset="utf-8"><title>The app</title></head>
<body style="margin:0;font-family:sans-serif;background:{back};color:{fore}"><div style="height:28px;border-bottom:1px
solid #8888;line-height:28px;padding-left:12px">File &nbsp; Edit &nbsp; View &nbsp; Run &nbsp; Kernel</div>
<p style="padding:16px">In [1]: <input id="cell" value="import numpy"></p></body></html>"""


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        return time.monotonic() + self.ahead


@dataclass
class Stage:
    """The running parts. `host` is how the browser names the gateway."""

    desk: Desk
    opcenter: ScriptedOpCenter
    clock: Clock
    app_port: int
    other_port: int
    control_port: int
    host: str = "127.0.0.1"
    html: str = APP_PAGE
    headers: dict[str, str] = field(default_factory=dict)
    look: dict[str, str] = field(default_factory=lambda: {"back": "#fff", "fore": "#222"})
    requests: list[tuple[str, str, int, dict[str, str]]] = field(default_factory=list)
    """(method, path, status, answer's headers) of everything the control port answered."""
    state_polls: int = 0
    outcome: Outcome | None = None
    """What navigations get instead of what the job's state would give them."""
    hanging: int = 0
    hung: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when six requests to `/hang` are never answered."""
    widget_app: Callable[[], web.Application] | None = None
    _control: web.AppRunner | None = None

    async def stop_control(self) -> None:
        """The gateway is gone: its connections break, and nobody answers."""
        if self._control is not None:
            await self._control.cleanup()
        self._control = None

    async def start_control(self) -> None:
        """It is there again, at the same port, and knows no login any more."""
        assert self.widget_app is not None
        self._control = web.AppRunner(self.widget_app(), shutdown_timeout=0.1)
        await self._control.setup()
        await web.TCPSite(self._control, "127.0.0.1", self.control_port, reuse_address=True).start()

    @property
    def app(self) -> str:
        return f"http://{self.host}:{self.app_port}"

    @property
    def control(self) -> str:
        return f"http://{self.host}:{self.control_port}"

    @property
    def other(self) -> str:
        return f"http://{self.host}:{self.other_port}"

    def set(self, status: JobStatus, ago: float = 0.0, step: Step | None = None, **more: Any) -> None:
        """The job has been in this state for `ago` seconds."""
        now = time.time_ns() // 1_000_000
        was = self.desk.snapshot
        changed = {
            "status": status,
            "gate": _GATES.get(status, GateState.HELD),
            "since": now - int(ago * 1000),
            "step": step,
            "actions": _ACTIONS.get(status, ()),
            **more,
        }
        listeners = tuple(
            replace(one, generation=one.generation + 1, **changed) if one.job == JOB else one for one in was.listeners
        )
        self.desk.update(replace(was, version=was.version + 1, now=now, listeners=listeners))

    def listener(self, job: JobId = JOB) -> Listener:
        found = self.desk.snapshot.listener(job)
        assert found is not None
        return found


@asynccontextmanager
async def stage(
    *, host: str = "127.0.0.1", allow_insecure_login: bool = False, limits: Limits | None = None,
    home: Path | None = None, control: bool = True,
) -> AsyncIterator[Stage]:  # fmt: skip
    """Everything on loopback; closed at the end."""
    sockets = [_socket() for _ in range(3)]
    app_port, other_port, opcenter_port = (one.getsockname()[1] for one in sockets)
    control_port = free_port()
    desk = Desk(f"http://127.0.0.1:{opcenter_port}", _snapshot(app_port, other_port, control_port))
    desk.linked = True
    here = Stage(desk, ScriptedOpCenter(JOB), Clock(), app_port, other_port, control_port, host)
    here.set(JobStatus.EXECUTING, 100)

    def widget_app() -> web.Application:
        app = build_app(
            desk, names=["gw.test"], home=home, allow_insecure_login=allow_insecure_login, limits=limits,
            clock=here.clock,
        )  # fmt: skip
        app.on_response_prepare.append(_recorder(here))
        return app

    here.widget_app = widget_app
    apps = [_job_app(here, JOB), _job_app(here, OTHER), here.opcenter.app()]
    runners = [web.AppRunner(app, shutdown_timeout=0.1) for app in apps]
    for runner, one in zip(runners, sockets, strict=True):
        await runner.setup()
        await web.SockSite(runner, one).start()
    if control:
        await here.start_control()
    try:
        yield here
    finally:
        await here.stop_control()
        for runner in runners:
            await runner.cleanup()
        for one in sockets:
            one.close()


def _socket() -> socket.socket:
    made = socket.socket()
    made.bind(("127.0.0.1", 0))
    return made


def _snapshot(app_port: int, other_port: int, control_port: int) -> Snapshot:
    one = Listener(app_port, JOB, "rstudio", 8787, GateState.OPEN, JobStatus.EXECUTING, 1, 1, typical_seconds=23.0)
    other = replace(one, port=other_port, job=OTHER, name="jupyter", actions=("migrate",))
    low, high = min(app_port, other_port), max(app_port, other_port)
    return Snapshot(
        1, GatewayId("g-1"), "gw", "127.0.0.1", "127.0.0.1", low, high, control_port, 1, listeners=(one, other)
    )


def _recorder(here: Stage) -> Callable[[web.Request, web.StreamResponse], Any]:
    async def record(request: web.Request, response: web.StreamResponse) -> None:
        here.requests.append((request.method, request.path, response.status, dict(response.headers)))

    return record


def _job_app(here: Stage, job: JobId) -> web.Application:
    async def answer(request: web.Request) -> web.Response:
        listener = here.listener(job)
        asset = loader(job, here.control_port)
        if request.path == asset.path:
            return web.Response(body=asset.body, content_type="text/javascript")
        if request.path == "/hang":
            here.hanging += 1
            if here.hanging >= 6:
                here.hung.set()
            await asyncio.Event().wait()
        if request.path == "/.gw/state":
            here.state_polls += 1
            return web.json_response(_state(listener))
        if request.path != "/":
            return web.Response(status=404)
        if here.outcome is not None or listener.gate is not GateState.OPEN:
            made = page(
                listener,
                here.outcome or _OUTCOMES[listener.gate],
                scheme="http",
                host=here.host,
                control_port=here.control_port,
            )
            headers = [(name.decode(), value.decode()) for name, value in made.headers]
            return web.Response(status=made.status, headers=headers, body=made.body)
        text = here.html.replace("{tag}", tag(asset).decode())
        for name, value in here.look.items():
            text = text.replace("{" + name + "}", value)
        return web.Response(text=text, content_type="text/html", headers=here.headers)

    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", answer)
    return app


def _state(listener: Listener) -> dict[str, Any]:
    return {
        "status": listener.status,
        "step": listener.step,
        "since": listener.since,
        "now": time.time_ns() // 1_000_000,
        "gate": listener.gate,
        "open": listener.gate is GateState.OPEN,
        "typical": listener.typical_seconds,
    }
