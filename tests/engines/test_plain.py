"""The plain engine: the contract, and what is its own."""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gateway.engines.base import Ended, ImageState, Program, RestoreFailed, Running, Unknown
from gateway.engines.local import Plain, local_engine
from gateway.engines.local.spawn import keep, program_spec
from tests.engines.bench import Bench, ask, processes, until, until_seen
from tests.engines.contract import Contract
from tests.engines.makers import plain


@contextlib.asynccontextmanager
async def _fails(engine: Any, running: Running, image: Path) -> AsyncIterator[None]:
    image.write_text("a file where the folder should be")
    yield
    image.unlink()


@contextlib.asynccontextmanager
async def _fails_to_restore(engine: Any, program: Program) -> AsyncIterator[Program]:
    yield replace(program, cwd=program.cwd / "not there")


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    one = Bench(tmp_path, lambda: plain(tmp_path / "state"), _fails, _fails_to_restore, maker="plain")
    yield one
    await one.clean()
    assert processes(tmp_path) == []
    assert list((tmp_path / "state/placements").iterdir()) == []
    assert list((tmp_path / "state/runs").iterdir()) == []


class TestPlain(Contract):
    """The contract."""

    async def test_an_image_of_a_capsule_is_neither_restored_nor_given_up(self, bench: Bench) -> None:
        """A machine that has lost its CRIU: what was saved with it waits until it is there again."""
        engine, image = await bench.engine(), bench.image()
        image.mkdir()
        (image / "floatgate.json").write_text('{"engine": "capsules", "addresses": [], "criu": "4.1"}')
        assert engine.image(image) is ImageState.COMPLETE
        with pytest.raises(RestoreFailed, match="saved by the engine capsules and only that"):
            await engine.restore(bench.placement(), bench.program(), image)
        assert engine.image(image) is ImageState.COMPLETE and engine.known() == []
        await engine.discard(image)
        assert engine.image(image) is ImageState.NONE

    async def test_a_child_with_its_own_session_is_frozen_and_ends_with_it(self, bench: Bench) -> None:
        """A Jupyter kernel has a session of its own."""
        engine, one, two, image = await bench.engine(), bench.placement(), bench.placement(), bench.image()
        child = int(await bench.ask(await engine.start(one, bench.program()), "/child"))
        await engine.checkpoint(one, image)
        assert _state(child) == "T"
        running = await engine.restore(two, bench.program(), image)
        assert _state(child) != "T"
        await bench.ask(running, "/exit?0")

        async def gone() -> bool:
            return not Path(f"/proc/{child}").exists()

        await until(gone)

    async def test_a_frozen_job_outlives_the_opcenter(self, bench: Bench) -> None:
        engine, one, image = await bench.engine(), bench.placement(), bench.image()
        await bench.ask(await engine.start(one, bench.program()))
        await engine.checkpoint(one, image)
        again = await bench.engine()
        assert again.image(image) is ImageState.COMPLETE
        assert await bench.ask(await again.restore(bench.placement(), bench.program(), image)) == "2"

    async def test_a_forwarder_that_died_is_put_back(self, bench: Bench) -> None:
        engine, one = await bench.engine(), bench.placement()
        running = await engine.start(one, bench.program())
        await bench.ask(running)
        fronts = [int(path.name) for path in Path("/proc").glob("[0-9]*") if _is_front(path, bench.folder, bench.port)]
        assert len(fronts) == 1
        os.kill(fronts[0], 9)

        async def dead() -> bool:  # and its end has been noticed: before that nobody puts it back
            return not Path(f"/proc/{fronts[0]}").exists()

        await until(dead)
        await bench.engine()
        assert await bench.ask(running) == "2"

    async def test_two_engines_at_once(self, bench: Bench, tmp_path: Path) -> None:
        other = plain(tmp_path / "other")
        await other.open()
        engine, one = await bench.engine(), bench.placement()
        mine = await engine.start(one, bench.program())
        theirs = await other.start(one, bench.program())
        assert [await ask(who.address, bench.port) for who in (mine, theirs)] == ["1", "1"]
        await other.stop(one, 5)
        await other.close()
        assert await bench.ask(mine) == "2"

    async def test_an_address_comes_again_but_not_while_somebody_has_it(self, bench: Bench) -> None:
        """After 64,000 others: neither a program's own nor a forwarder's, of a job that runs or is frozen."""
        engine, one, two, three = await bench.engine(), bench.placement(), bench.placement(), bench.placement()
        image, numbers = bench.image(), bench.folder / "state/addresses.json"
        frozen = await engine.start(one, bench.program())
        assert await bench.ask(frozen) == "1"
        await engine.checkpoint(one, image)
        numbers.write_text("64000")
        first = await engine.start(two, bench.program())
        assert await bench.ask(first) == "1"
        numbers.write_text("128000")
        second = await engine.start(three, bench.program())
        assert await bench.ask(second) == "1", "a program of its own answers"
        assert second.address != first.address
        assert await bench.ask(await engine.restore(bench.placement(), bench.program(), image)) == "2"

    async def test_how_it_ended_is_written_down_as_soon_as_it_can_be(self, bench: Bench) -> None:
        """Until then nothing is certain, and nothing is lost."""
        engine, one = await bench.engine(), bench.placement()
        running = await engine.start(one, bench.program())
        await bench.ask(running)
        run = engine._records.run(engine._records.get(one).run).path
        fresh = run / "rc.json.new"
        fresh.unlink(missing_ok=True)
        fresh.mkdir()
        await bench.ask(running, "/exit?3")

        async def tried() -> bool:
            return "rc.json" in (run / "keeper.log").read_text()

        await until(tried)
        assert isinstance(await engine.look(one), Unknown)
        fresh.rmdir()
        assert await until_seen(engine, one, Ended) == Ended(3)

    async def test_a_start_that_cannot_be_written_down(self, bench: Bench) -> None:
        """Whom nobody could find again does not run."""
        records = (await bench.engine())._records
        run = records.new_run("one")
        (run.path / "pid.json").mkdir()
        assert not await keep("start", run, program_spec(bench.program(), "127.0.0.1"))
        try:
            assert [line for line in processes(bench.folder) if "keeper.py" not in line] == []
        finally:
            run.remove()


def test_plain_by_order(tmp_path: Path) -> None:
    engine = local_engine(tmp_path, environ={"FLOATGATE_ENGINE": "plain"})
    assert isinstance(engine, Plain)
    assert engine.capabilities().real is False


def _state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def _is_front(path: Path, folder: Path, port: int) -> bool:
    try:
        words = (path / "cmdline").read_bytes().decode().split("\0")
    except OSError:
        return False
    return any(word.endswith("local/front.py") for word in words) and str(port) in words
