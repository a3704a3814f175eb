"""The fake keeps the contract too, so that what the OpCenter's tests see is what an engine does."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from gateway.engines.base import Absent, Ended, EngineError, Program, Running, StartFailed, Unknown
from gateway.engines.fake import Call, Fail, FakeEngine, Hang, Linger, Lost, Silent
from tests.engines.bench import Bench
from tests.engines.contract import Contract


async def _count(counter: list[int], reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    if await reader.readline():
        counter.append(1)
        body = str(len(counter))
        writer.write(f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())
    writer.close()


@contextlib.asynccontextmanager
async def _fails(engine: FakeEngine, running: Running, image: Path) -> AsyncIterator[None]:
    engine.script("checkpoint", Fail("The disk is full."))
    yield


@contextlib.asynccontextmanager
async def _fails_to_restore(engine: FakeEngine, program: Program) -> AsyncIterator[Program]:
    engine.script("restore", Fail("The host is gone."))
    yield program


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    counter: list[int] = []
    server = await asyncio.start_server(lambda reader, writer: _count(counter, reader, writer), "127.0.0.1", 0)
    engine = FakeEngine(("127.0.0.1", server.sockets[0].getsockname()[1]))
    one = Bench(tmp_path, lambda: engine, _fails, _fails_to_restore, runs=False)
    yield one
    await one.clean()
    await engine.shut()
    server.close()
    assert engine.known() == []


class TestFake(Contract):
    """The contract."""

    # The fake runs no programs and has no processes: these are not about it.
    test_a_program_that_is_not_there = None  # type: ignore[assignment]
    test_the_exit_status = None  # type: ignore[assignment]
    test_the_log_goes_on = None  # type: ignore[assignment]
    test_the_opcenter_is_killed_while_it_starts = None  # type: ignore[assignment]


async def test_what_a_test_can_say(tmp_path: Path) -> None:
    engine: Any = FakeEngine(host_count=1)
    program = Program(("x",), {}, tmp_path, tmp_path / "out", tmp_path / "err")
    hang = Hang(Fail("No."))
    engine.script("start", hang)
    task = asyncio.create_task(engine.start("a", program))
    await hang.reached.wait()
    hang.release()
    with pytest.raises(StartFailed, match=r"No\."):
        await task
    late = Linger()
    engine.script("start", late)
    task = asyncio.create_task(engine.start("a", program))
    await late.reached.wait()
    assert isinstance(await engine.look("a"), Running)
    late.release()
    assert await task == await engine.look("a")
    with pytest.raises(StartFailed, match="busy"):
        await engine.start("b", program)
    engine.script("look", Silent("once"))
    assert [await engine.look("a"), await engine.look("x")] == [Unknown("once"), Absent()]
    engine.silence("gone")
    assert await engine.look("a") == Unknown("gone")
    engine.speak()
    engine.end("a", 3)
    assert await engine.look("a") == Ended(3)
    engine.script("stop", Lost())
    with pytest.raises(EngineError):
        await engine.stop("a", 1)
    assert engine.known() == []
    assert engine.verbs() == ["start", "start", "start", "stop"]
    assert engine.calls[0] == Call("start", "a")
