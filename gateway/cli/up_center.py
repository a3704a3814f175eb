"""The OpCenter inside of `float up`, and the two Ctrl-Cs that end it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
from collections.abc import Coroutine, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import structlog

from gateway.opcenter.finish import Finished
from gateway.opcenter.log import log_to
from gateway.opcenter.server import OpCenter

T = TypeVar("T")
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_SHOWN_BEFORE = "as shown at the first start; float user passwd changes it"


class Center:
    """The OpCenter in this process, and a login to it. Leaving the block closes it; `finish` ends what it runs."""

    def __init__(self, home: Path, port: int) -> None:
        self._home = home
        self._opcenter = OpCenter(home, port=port, database_url=os.environ.get("FLOATGATE_DATABASE_URL"))
        self._first_password: str | None = None
        self.address = ""

    async def __aenter__(self) -> Self:
        log_to(self._home / "opcenter.log")
        logging.getLogger().addHandler(_Passed())
        opened = await self._opcenter.open()
        self.address, self._first_password = opened.address, opened.first_password
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._opcenter.close()

    @property
    def login(self) -> str:
        """For the screen: the password is there once, at the first start."""
        return f"admin / {self._first_password or _SHOWN_BEFORE}"

    async def token(self) -> str:
        """A fresh login as an admin. Raises Refusal."""
        return await self._opcenter.admin_token()

    async def guarded(self, work: Coroutine[Any, Any, T]) -> T:
        """The work's result; raises what a loop of the OpCenter fails with meanwhile."""
        task, failing = asyncio.ensure_future(work), asyncio.ensure_future(self._opcenter.wait())
        try:
            done, _ = await asyncio.wait({task, failing}, return_when=asyncio.FIRST_COMPLETED)
            if failing in done:
                failing.result()
            return await task
        finally:
            await _cancel(task, failing)

    async def finish(self, reason: str) -> Finished:
        """Suspend or end every job, end every gateway's process; what cannot be saved runs on. Raises Refusal."""
        return await self._opcenter.finish(reason)


class _Passed(logging.Handler):
    """What libraries log goes to the OpCenter's log too, not across the user's screen."""

    def emit(self, record: logging.LogRecord) -> None:
        """One line of the log."""
        structlog.get_logger().log(
            record.levelno, record.getMessage(), logger=record.name, exc_info=record.exc_info or None
        )


class Ending:
    """The user's wish to end: once to end properly, twice to be quick about it."""

    def __init__(self) -> None:
        self._first = asyncio.Event()
        self._second = asyncio.Event()

    @classmethod
    @contextlib.contextmanager
    def on_signals(cls) -> Iterator[Ending]:
        """Ctrl-C, SIGTERM and the terminal's end."""
        ending, loop = cls(), asyncio.get_running_loop()
        for one in _SIGNALS:
            loop.add_signal_handler(one, ending.wish)
        try:
            yield ending
        finally:
            for one in _SIGNALS:
                loop.remove_signal_handler(one)

    def wish(self) -> None:
        """End; the second time, quickly."""
        (self._second if self._first.is_set() else self._first).set()

    async def unless(self, work: Coroutine[Any, Any, T], otherwise: T) -> T:
        """The work's result; `otherwise` when the user wants to end before it has one."""
        return await _race(work, self._first, otherwise)

    async def unless_again(self, work: Coroutine[Any, Any, T], otherwise: T) -> T:
        """The work's result; `otherwise` when the user wants it quick before it has one."""
        return await _race(work, self._second, otherwise)


async def _race(work: Coroutine[Any, Any, T], event: asyncio.Event, otherwise: T) -> T:
    task, signalled = asyncio.ensure_future(work), asyncio.ensure_future(event.wait())
    try:
        await asyncio.wait({task, signalled}, return_when=asyncio.FIRST_COMPLETED)
        return task.result() if task.done() else otherwise
    finally:
        await _cancel(task, signalled)


async def _cancel(*tasks: asyncio.Future[Any]) -> None:
    for one in tasks:
        one.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
