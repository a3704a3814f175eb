"""The OpCenter: opens the store, the engine, the loops and the web server, and closes them again."""

from __future__ import annotations

import asyncio
import errno
import fcntl
import os
import time
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

import structlog
from aiohttp import web

from gateway.config import DEFAULT_OPCENTER_PORT, Config
from gateway.cookieless import CookielessConnection
from gateway.engines.base import Engine
from gateway.errors import Code, Refusal
from gateway.secret import secret_of

from .api import application
from .book import Book
from .catalog import Catalog
from .center import Center
from .events import Bus
from .finish import Finish, Finished
from .gateways import Gateways
from .groups import Groups
from .jobs import JobLoop
from .keeper import Keeper
from .links import Links
from .policy import Policy
from .processes import Processes, ProxyProcesses
from .programs import Folders
from .store import STORE_ERRORS, Store, sqlite_url
from .users import Users
from .verbs import Verbs
from .web import POLICY, no_request

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Opened:
    """Where it answers, and the admin's password when this start made it: it is never shown again."""

    address: str
    first_password: str | None


def now_ms() -> int:
    """Milliseconds since the epoch."""
    return time.time_ns() // 1_000_000


class OpCenter:
    """`async with OpCenter(home) as opcenter`, or `await open()` and `await close()`."""

    def __init__(
        self,
        home: Path,
        *,
        host: str = "127.0.0.1",
        port: int = DEFAULT_OPCENTER_PORT,
        engine: Engine | None = None,
        database_url: str | None = None,
        config: Config | None = None,
        policy: Policy | None = None,
        processes: Processes | None = None,
        clock: Callable[[], int] = now_ms,
    ) -> None:
        """`home` holds everything. `port` 0 takes a free one. `engine` None: this machine. `clock` gives ms."""
        self.home = home.absolute()
        self._host, self._port = host, port
        self._engine = engine
        self._database_url = database_url
        self._config = config or Config(self.home)
        self._policy = policy or Policy()
        self._processes = processes
        self._clock = clock
        self._url = ""
        self._exit = AsyncExitStack()
        self._loops: list[asyncio.Task[None]] = []
        self._finish: Finish | None = None
        self._looking: asyncio.Task[None] | None = None
        self._keeping: asyncio.Task[None] | None = None
        self._keeper: Keeper | None = None
        self._users: Users | None = None
        self.opened: Opened | None = None

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def open(self) -> Opened:
        """Start everything; jobs and gateways of an earlier OpCenter are found again. Raises Refusal."""
        try:
            self.opened = await self._open()
        except BaseException:
            await self.close()
            raise
        return self.opened

    async def close(self) -> None:
        """End everything of this process. Jobs and gateways go on."""
        loops, self._loops = self._loops, []
        for task in loops:
            task.cancel()
        await asyncio.gather(*loops, return_exceptions=True)
        await self._exit.aclose()

    async def wait(self) -> None:
        """Until one of the loops fails, which is a defect: raises what it failed with."""
        await asyncio.wait(self._loops, return_when=asyncio.FIRST_EXCEPTION)
        for task in self._loops:
            if task.done() and not task.cancelled():
                await task

    async def admin_token(self) -> str:
        """A fresh login as an admin, without a password: for who runs this process. Raises Refusal."""
        if self._users is None:
            raise Refusal(Code.UNAVAILABLE, "The OpCenter is not open: open it first")
        try:
            return await self._users.admin_token()
        except STORE_ERRORS as error:
            sentence = f"The OpCenter's database cannot be written: see whether the disk of {self.home} is full"
            raise Refusal(Code.UNAVAILABLE, sentence) from error

    async def finish(self, reason: str = "up ended") -> Finished:
        """Suspend every job (cancel it where nothing can be saved), end the gateways' processes. `close` after it.

        A job that cannot be saved now runs on, and so do its gateways. Raises Refusal.
        """
        if self._finish is None or self._keeper is None or self._keeping is None or self._looking is None:
            return Finished()
        finished = await self._finish.run(reason, self._looking)
        self._loops.remove(self._keeping)
        self._keeping.cancel()
        await asyncio.gather(self._keeping, return_exceptions=True)
        await self._keeper.stop_all(but={one.job.id for one in finished.left})
        return finished

    async def _open(self) -> Opened:
        _make(self.home)
        self._exit.enter_context(lock_home(self.home))
        store = await Store.open(
            self._database_url or sqlite_url(self.home / "opcenter.db"), secret_of(self.home / "id").hex()
        )
        self._exit.push_async_callback(store.close)
        users = Users(store, secret_of(self.home / "secret"), self._policy, self._clock)
        first_password = await users.open()
        self._users = users
        engine = await asyncio.to_thread(_local, self.home) if self._engine is None else self._engine
        await engine.open()
        self._exit.push_async_callback(engine.close)
        await self._serve(self._assemble(store, users, engine))
        _log.info("opcenter started", address=self._url, engine=engine.name)
        return Opened(self._url, first_password)

    def _assemble(self, store: Store, users: Users, engine: Engine) -> Center:
        times, policy, clock = self._config.timeouts, self._policy, self._clock
        processes = self._processes or ProxyProcesses(grace=2 * times.worker_exit)
        bus = Bus(policy.event_queue, policy.event_readers)
        book, folders, known = Book(store, bus, clock), Folders(self.home), Catalog(self.home / "templates", clock)
        links = Links(store, times, policy, clock, bus.publish)
        gateways = Gateways(
            self.home, store, bus, links, processes, clock, lambda: (self._url, self._port), self._policy
        )
        verbs = Verbs(book, gateways, engine, known)
        jobs = JobLoop(book, gateways, engine, folders, self._place, times, policy)
        keeper = Keeper(gateways.folder, lambda: self._url, store, bus, links, processes, times, policy, clock)
        links.look_at = jobs.kick
        bus.listeners += [links.heard, jobs.heard, keeper.heard]
        self._keeper, self._finish = keeper, Finish(book, gateways, verbs, engine, times)
        self._runs = (links.run, jobs.run, keeper.run)
        return Center(
            users=users,
            book=book,
            verbs=verbs,
            gateways=gateways,
            links=links,
            groups=Groups(store, self._policy),
            engine=engine,
            folders=folders,
            policy=policy,
            templates=known,
            url=lambda: self._url,
            opened=clock(),
        )

    async def _serve(self, center: Center) -> None:
        runner = web.AppRunner(application(center), access_log=None, shutdown_timeout=self._policy.close)
        await runner.setup()
        self._exit.push_async_callback(runner.cleanup)
        self._exit.push_async_callback(center.links.close)
        self._exit.callback(center.book.bus.close)
        loop, manager, limits = asyncio.get_running_loop(), runner.server, self._config.limits
        assert manager is not None

        def connection() -> CookielessConnection:
            return CookielessConnection(manager, loop, limits, POLICY, no_request)

        try:
            listening = await loop.create_server(connection, self._host, self._port)
        except OSError as error:
            raise _cannot_listen(self._host, self._port, error) from error
        self._exit.callback(listening.close)
        self._port = listening.sockets[0].getsockname()[1]
        self._url = f"http://{self._place()}"
        for run in self._runs:
            self._loops.append(asyncio.create_task(_supervised(run())))
        _, self._looking, self._keeping = self._loops

    def _place(self) -> str:
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self._host, self._host)
        return f"[{host}]:{self._port}" if ":" in host else f"{host}:{self._port}"


async def _supervised(run: Coroutine[Any, Any, None]) -> None:
    try:
        await run
    except Exception:
        _log.exception("a loop of the OpCenter failed")
        raise


def _make(home: Path) -> None:
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        for name in ("jobs", "gateways"):
            (home / name).mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        sentence = f"The folder {home} cannot be used ({error.strerror}): name another one with --home"
        raise Refusal(Code.UNAVAILABLE, sentence) from error


def lock_home(home: Path) -> IO[str]:
    """That one process alone works in it; held as long as the file is open. Raises Refusal."""
    file = (home / "opcenter.lock").open("a+")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        file.seek(0)
        owner = file.read(20).strip()
        file.close()
        who = f" (process {owner})" if owner else ""
        how = "end it with float opcenter stop (or Ctrl-C where float up runs)"
        sentence = f"An OpCenter{who} uses {home} already: {how}, or use another --home"
        raise Refusal(Code.CONFLICT, sentence) from error
    file.truncate(0)
    file.write(f"{os.getpid()}\n")
    file.flush()
    return file


def _local(home: Path) -> Engine:
    from gateway.engines.local import local_engine

    return local_engine(home / "engine")


def _cannot_listen(host: str, port: int, error: OSError) -> Refusal:
    if error.errno == errno.EADDRINUSE:
        sentence = f"The port {port} on {host} is taken: end what uses it, or choose another one with --port"
        return Refusal(Code.CONFLICT, sentence)
    return Refusal(Code.UNAVAILABLE, f"The address {host}:{port} cannot be used: {error.strerror or error}")
