"""What both local engines share: start, look, stop, and finding jobs again after the OpCenter was killed.

Every verb works in a task of the engine's own. A caller that gives up (a time-out, a cancelled request) ends its
waiting, not the work: half a start or half a checkpoint would be a state that nobody can name. `look` says Unknown
until it is done, and `stop` of a placement that is still being started ends that start first.
"""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

import structlog

from gateway.config import Timeouts
from gateway.engines.base import (
    Absent,
    Capabilities,
    Ended,
    EngineError,
    Host,
    ImageState,
    PlacementId,
    Program,
    RestoreFailed,
    Running,
    Seen,
    StartFailed,
    Unknown,
)
from gateway.engines.local import machine
from gateway.engines.local.network import NetworkFailed
from gateway.engines.local.processes import descendants, freeze, gone, signal_all
from gateway.engines.local.records import Alive, Busy, Locked, Nothing, Over, Record, Records, Run
from gateway.engines.local.spawn import MARKER, unfit

_T = TypeVar("_T")
AGAIN = 0.02  # seconds between two looks at processes that are about to change
_log = structlog.get_logger(__name__)


class LocalEngine:
    """The base of Capsules and Plain. A subclass says how one placement is made, frozen and removed."""

    name = "local"

    def __init__(self, state: Path, found: machine.Machine, timeouts: Timeouts | None = None) -> None:
        self._state = state.absolute()
        self._machine = found
        self._timeouts = timeouts or Timeouts()
        self._records = Records(self._state)
        self._locks: dict[PlacementId, asyncio.Lock] = {}
        self._beginning: dict[PlacementId, asyncio.Task[Running]] = {}
        self._saving: dict[PlacementId, Path] = {}  # checkpoints under way, whether or not somebody waits for them
        self._adopting: set[PlacementId] = set()  # an earlier OpCenter's checkpoint goes on, or is being cleared up
        self._tasks: set[asyncio.Task[Any]] = set()

    # For a subclass to say.

    async def _make(self, placement: PlacementId, program: Program, image: Path | None) -> Record:
        """Write the record, then bring the program up, from `image` if there is one.

        On failure NetworkFailed, OSError or Locked is raised, or EngineError with a sentence; what was made is
        removed by the caller.
        """
        raise NotImplementedError

    async def _unmake(self, record: Record) -> None:
        """Remove what is around a run that has ended. Idempotent. Raises NetworkFailed."""
        raise NotImplementedError

    async def _adopt(self, record: Record) -> None:
        """Bring what an earlier process left half done to one of the states that have a name."""
        raise NotImplementedError

    async def _lost(self, run: Run) -> None:
        """A run that no record names: end it."""
        await self._end(run)
        run.remove()

    def image(self, image: Path) -> ImageState:
        """What lies at this path."""
        raise NotImplementedError

    def capabilities(self) -> Capabilities:
        """What this engine can do here."""
        raise NotImplementedError

    # Engine.

    async def open(self) -> None:
        """Find what an earlier process left; what still runs goes on running."""
        self._state.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._records.load()
        for record in self._records.all():
            await self._adopt(record)
            if isinstance(self._records.run(record.run).state(), Nothing):
                await self._clear(record.placement)  # written down, and then the OpCenter died, or the machine
        named = {name for record in self._records.all() for name in (record.run, record.front)}
        for name in set(self._records.runs()) - named:
            await self._lost(self._records.run(name))

    async def close(self) -> None:
        """Let go. Placements go on; what is half done is sorted out by the next `open`."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def start(self, placement: PlacementId, program: Program) -> Running:
        """Run the program. Raises StartFailed."""
        return await self._begin(placement, program, None)

    async def look(self, placement: PlacementId) -> Seen:
        """What is known of it. Reads files and /proc, changes nothing."""
        record = self._records.get(placement)
        if placement in self._beginning:
            return Unknown("it is being started")
        return Absent() if record is None else self._seen(record)

    async def stop(self, placement: PlacementId, grace: float) -> None:
        """SIGTERM, `grace` seconds, SIGKILL, and everything removed. Idempotent."""
        await self._own(self._stop(placement, grace))

    async def hosts(self) -> list[Host]:
        """One busy host for each placement, and this machine as the free one."""
        busy = [
            Host(one.host, one.address, "busy", one.placement, one.program.cpu, one.program.mem)
            for one in self._records.all()
            if one.placement in self._saving or isinstance(self._seen(one), Running)
        ]
        return [*busy, machine.room()]

    def known(self) -> list[PlacementId]:
        """Every placement that is not Absent."""
        beginning = set(self._beginning)
        return [
            one.placement
            for one in self._records.all()
            if one.placement in beginning or not isinstance(self._seen(one), Absent)
        ]

    async def restore(self, placement: PlacementId, program: Program, image: Path) -> Running:
        """Bring an image to life at a new address. Raises RestoreFailed."""
        return await self._begin(placement, program, image.absolute())

    # Inside.

    async def _begin(self, placement: PlacementId, program: Program, image: Path | None) -> Running:
        failure = StartFailed if image is None else RestoreFailed
        if self._records.get(placement) is not None or placement in self._beginning:
            raise failure("This placement was used before: a new one is needed.")
        if (why := unfit(program)) is not None:
            raise failure(why)
        if image is not None and self.image(image) is not ImageState.COMPLETE:
            raise failure("There is no complete image of the job: it cannot be brought back from here.")
        if image is not None and (maker := made_by(image)) != self.capabilities().engine:
            how = "float doctor says what this machine lacks for it"
            raise failure(f"The job was saved by the engine {maker} and only that can bring it back: {how}.")
        task = asyncio.create_task(self._bring_up(placement, program, image, failure))
        self._beginning[placement] = task
        task.add_done_callback(lambda _: self._beginning.pop(placement, None))
        return await self._shielded(task)

    async def _bring_up(
        self, placement: PlacementId, program: Program, image: Path | None, failure: type[EngineError]
    ) -> Running:
        async with self._lock(placement):
            try:
                record = await self._make(placement, program, image)
            except (NetworkFailed, OSError, Locked) as error:
                _log.error("placement_failed", placement=placement, error=str(error))
                await self._clear(placement)
                raise failure("The job could not be given a place here; the OpCenter's log says why.") from error
            except EngineError:
                await self._clear(placement)
                raise
            return Running(record.address, record.host)

    async def _stop(self, placement: PlacementId, grace: float) -> None:
        if (task := self._beginning.get(placement)) is not None:
            task.cancel()
            await asyncio.wait([task])
        async with self._lock(placement):
            record = self._records.get(placement)
            if record is None:
                return
            who = self._records.run(record.run).identity()
            if who is not None and who.alive():
                self._wake(record)
                who.kill(signal.SIGTERM)
                await gone(who, grace)
            await self._clear(placement)
        self._locks.pop(placement, None)

    def _wake(self, record: Record) -> None:
        """A stopped process would not see SIGTERM. Only the plain engine has any."""

    async def _clear(self, placement: PlacementId) -> None:
        """Kill what runs of a placement and remove all of it. Idempotent."""
        record = self._records.get(placement)
        if record is None:
            return
        for name in (record.front, record.run):
            if name:
                await self._end(self._records.run(name))
        try:
            await self._unmake(record)
        except NetworkFailed as error:
            _log.error("network_left_behind", placement=placement, error=str(error))
        for name in (record.front, record.run):
            if name:
                self._records.run(name).remove()
        self._records.delete(placement)

    async def _end(self, run: Run) -> None:
        """Kill the tree of a run and wait until it is gone, its keeper too.

        Again and again, since a keeper that is just starting the program may fork after it was looked at.
        """
        try:
            async with asyncio.timeout(self._timeouts.stop_grace):
                while run.held() or isinstance(run.state(), Alive):
                    kill_tree(run)
                    who = run.keeper() or run.identity()
                    if who is None or not await gone(who, AGAIN):
                        await asyncio.sleep(AGAIN)
        except TimeoutError:
            _log.error("process_does_not_die", run=str(run.path))

    def _seen(self, record: Record) -> Seen:
        if record.placement in self._saving:
            return Unknown("it is being saved")
        if record.image is not None:
            if self._adopted(record):
                return Unknown("a checkpoint that an earlier OpCenter began goes on")
            if self.image(record.image) is ImageState.COMPLETE:
                return Absent()
        match self._records.run(record.run).state():
            case Alive():
                return Running(record.address, record.host)
            case Over(rc):
                return Ended(rc)
            case Busy():
                return Unknown("its keeper is at work")
            case Nothing():
                return Absent()

    def _adopted(self, record: Record) -> bool:
        return record.placement in self._adopting or self._still_saving(record)

    def _still_saving(self, record: Record) -> bool:
        return self._records.run(record.run).held("dump")

    def _lock(self, placement: PlacementId) -> asyncio.Lock:
        return self._locks.setdefault(placement, asyncio.Lock())

    async def _own(self, work: Coroutine[Any, Any, _T]) -> _T:
        return await self._shielded(asyncio.create_task(work))

    async def _shielded(self, task: asyncio.Task[_T]) -> _T:
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return await asyncio.shield(task)


def made_by(image: Path) -> str:
    """The engine that made a complete image: `capsules` or `plain`."""
    return str(json.loads((image / MARKER).read_text())["engine"])


def kill_tree(run: Run) -> None:
    """SIGKILL to all of a run but its keeper, which is held meanwhile, then reaps them and ends by itself."""
    who, keeper = run.identity(), run.keeper()
    if keeper is not None:
        keeper.kill(signal.SIGSTOP)
    roots = [one.pid for one in (who, keeper) if one is not None and one.alive()]
    freeze(roots)
    tree = descendants(roots)
    if who is not None:
        who.kill(signal.SIGKILL)  # the PID 1 of a capsule: the kernel kills the others
    signal_all(tree, signal.SIGKILL)
    if keeper is not None:
        keeper.kill(signal.SIGCONT)
