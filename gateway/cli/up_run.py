"""One run of `float up`: bring everything up, show it, stay, end it.

The OpCenter runs in this process; everything else is asked of it by its public API, as any client would. At the end
`finish` suspends the session where moves are real, ends what runs, and leaves nothing behind; the next start goes on.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import webbrowser
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from gateway.client import OpCenterClient, part
from gateway.errors import Code, Refusal
from gateway.opcenter.finish import Finished
from gateway.types import JobStatus

from .jobdoc import access_urls, has_ended
from .jobs import get_job, progress
from .session import Session, save_session
from .sockets import busy_ports
from .up_center import Center, Ending
from .up_screen import Screen, Story, block, how_to_start, still_running, still_saved
from .up_session import (
    ENDED,
    Wanted,
    connected,
    drop_other_gateways,
    ensure_gateway,
    find_session,
    gateway_ready,
    new_job,
    put_to_sleep,
    resume,
)
from .waiting import wait_for

_LAST_WORDS = 8  # lines of a job's stderr that are shown when it did not start
Doc = dict[str, Any]
_PROBE = 3.0  # seconds in which an OpCenter says that it is one
_TURN = 0.1  # seconds between two turns of the wheel
_AGAIN = 1.0  # seconds until the OpCenter is asked again for what happens
_ROOM = 4 << 20  # bytes of disk: what a start writes, less a session's image
_HURRY = Finished()  # instead of an outcome: the user did not wait for it


async def run(home: Path, port: int, wanted: Wanted, browser: bool) -> int:
    """From the OpCenter's start to its end. Returns the exit code; Ctrl-C is a good end. Raises Refusal."""
    screen = Screen()
    with Ending.on_signals() as ending:
        await _check_port(port)
        _check_room(home)
        screen.line("Starting the OpCenter …")
        async with Center(home, port) as center:
            session = Run(center, screen, wanted, browser)
            try:
                code = await ending.unless(center.guarded(session.serve()), otherwise=0)
            finally:
                ended = await session.end(ending)
            return code or ended


class Run:
    """One run of `float up`, from the OpCenter's start to its end."""

    def __init__(self, center: Center, screen: Screen, wanted: Wanted, browser: bool) -> None:
        self._center = center
        self._screen = screen
        self._wanted = wanted
        self._browser = browser
        self._client = OpCenterClient(center.address)
        self._job: Doc = {}
        self._real = False

    async def serve(self) -> int:
        """Bring everything up, show it, and stay. Returns only when the session could not be started."""
        async with self._client as client:
            client.token = await self._center.token()
            engine = (await client.get("/status"))["engine"]
            self._real = engine["real"]
            username = (await client.get("/session"))["username"]
            save_session(Session(client.address, username, await self._center.token()))  # its logout is not ours
            await self._start()
            if has_ended(self._job):
                await self._explain()
                return 1
            others = await put_to_sleep(client, self._job)
            self._show()
            await asyncio.gather(self._tell_changes(), *map(self._bring_back, others))
        return 0

    def _show(self) -> None:
        """The block; and the browser, where there is a screen for one."""
        url = next(iter(access_urls(self._job)), "")
        for line in block(self._job, url, f"{self._center.address}/", self._center.login, self._real):
            self._screen.line(line)
        if self._browser and (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
            webbrowser.open(url)

    async def _start(self) -> None:
        """Gateway and job, each new or found again, until the job is Executing or has ended."""
        client, job = self._client, await find_session(self._client, self._wanted)
        gateway = await ensure_gateway(client, self._wanted, job)
        async with self._waiting(f"Starting the gateway on {gateway['portRange']}"):
            await gateway_ready(client, gateway["id"])
        if job is None:
            self._job = await new_job(client, self._wanted, gateway["id"])
            await self._settled(f"Starting {self._wanted.template}")
        else:
            self._job = await connected(client, job, gateway["id"])
            if job["status"] != JobStatus.SUSPENDED:
                await self._settled(f"Found your session again, it is {job['status']}")
            await self._awake()
        await drop_other_gateways(client, gateway["id"])

    async def _settled(self, what: str) -> None:
        """Until the job is in a status in which it stays."""
        async with self._waiting(what):
            self._job = await wait_for(self._client, self._job["id"], [JobStatus.EXECUTING, JobStatus.SUSPENDED])

    async def _awake(self) -> None:
        """A session that sleeps comes back. When it cannot it stays saved, and everything else goes on."""
        if self._job["status"] != JobStatus.SUSPENDED:
            return
        await resume(self._client, self._job)
        await self._settled("Bringing your saved session back")
        if self._job["status"] == JobStatus.SUSPENDED:
            logs = await self._client.get(f"/jobs/{part(self._job['id'])}/log")
            for line in still_saved(self._job, logs):
                self._screen.line(line)

    async def _bring_back(self, job: Doc) -> None:
        """Another job that the last end has suspended: one line says what became of it."""
        who = f"{job['name']} ({job['id']})"
        try:
            await resume(self._client, job)
            back = await wait_for(self._client, job["id"], [JobStatus.EXECUTING, JobStatus.SUSPENDED])
        except Refusal as refusal:
            self._screen.event(f"{who} stays suspended: {refusal.sentence}")
            return
        how = f"Executing on {back['workingHost']}" if back["status"] == JobStatus.EXECUTING else progress(back)
        self._screen.event(f"{who} was suspended by the last end: {how}")

    @contextlib.asynccontextmanager
    async def _waiting(self, what: str) -> AsyncIterator[None]:
        """Say what is awaited; on a terminal a wheel turns meanwhile."""
        self._screen.line(f"{what} …")

        async def turn() -> None:
            while True:
                self._screen.turn(what)
                await asyncio.sleep(_TURN)

        wheel = asyncio.create_task(turn())
        try:
            yield
        finally:
            wheel.cancel()
            await asyncio.wait([wheel])
            self._screen.wipe()

    async def _tell_changes(self) -> None:
        """A line for each change of the session, for ever: the OpCenter's own end is not told here."""
        story = Story()
        story.tell(self._job)
        while True:
            try:
                async for event in self._client.events():
                    if event.get("type") == "job" and event["job"]["id"] == self._job["id"]:
                        self._tell(story, event["job"])
                self._tell(story, await get_job(self._client, self._job["id"]))
            except Refusal as refusal:  # a laptop that slept, Ctrl-Z, a full disk: the session itself goes on
                await self._dial_again(refusal)

    async def _dial_again(self, refusal: Refusal) -> None:
        await asyncio.sleep(_AGAIN)
        if refusal.code is Code.NOT_LOGGED_IN:  # somebody changed the admin's password
            with contextlib.suppress(Refusal):
                self._client.token = await self._center.token()

    def _tell(self, story: Story, job: Doc) -> None:
        self._job = job
        if line := story.tell(job):
            self._screen.event(line)
            if has_ended(job) and job["status"] != JobStatus.CANCELLED:
                self._screen.line(f"          its last words: float log -j {job['id']} cat stderr.autosave")

    async def _explain(self) -> None:
        """Why the session did not start: the reason and the program's last words."""
        self._screen.line(
            f"The session did not start: {self._job['status']} ({self._job.get('reason') or 'no reason'})"
        )
        with contextlib.suppress(Refusal):
            path = f"/jobs/{self._job['id']}/log/stderr.autosave"
            text = b"".join([chunk async for chunk in self._client.text(path)])
            for line in text.decode("utf-8", "replace").splitlines()[-_LAST_WORDS:]:
                self._screen.line(f"    {line}")

    async def end(self, ending: Ending) -> int:
        """End everything; a second Ctrl-C leaves what runs to the next start. Returns the exit code. Raises Refusal."""
        live = bool(self._job) and not has_ended(self._job)
        self._screen.line()
        self._screen.line("Ending: saving your session …" if live and self._real else "Ending …")
        finished = await ending.unless_again(self._center.finish(ENDED), otherwise=_HURRY)
        if finished is _HURRY:
            self._screen.line(f"Left in a hurry: what still runs is found again by {how_to_start()}.")
            return 0
        for one in finished.left:
            for line in still_running(one.job.order.name, one.job.id, one.why):
                self._screen.line(line)
        if self._job.get("id") in finished.saved:
            self._screen.line(f"Your session is saved: {how_to_start()} brings it back.")
        elif not finished.left:
            self._screen.line("Everything has ended.")
        return 1 if finished.left else 0


def _check_room(home: Path) -> None:
    """Raises Refusal when the disk is so full that neither a database nor a log can be begun."""
    free = shutil.disk_usage(home).free
    if free < _ROOM:
        sentence = (
            f"The disk of {home} is full, {free >> 10} KiB are left: free some space, or take another with --home"
        )
        raise Refusal(Code.UNAVAILABLE, sentence)


async def _check_port(port: int) -> None:
    """Raises Refusal when the OpCenter's port is taken, and says by whom if that can be seen."""
    if not busy_ports("127.0.0.1", port, port):
        return
    other = f"or take another port with --opcenter-port {port + 1}"
    url = f"http://127.0.0.1:{port}"
    try:
        async with asyncio.timeout(_PROBE), OpCenterClient(url) as client:
            await client.get("/version")
    except (Refusal, TimeoutError):
        sentence = f"Port {port} is in use by another program: end it, {other}"
    else:
        sentence = f"An OpCenter runs at {url} already: float open opens its session. End it first, {other}"
    raise Refusal(Code.CONFLICT, sentence)
