"""The engine without root: child processes on loopback addresses, and moves that are only simulated.

    start       keeper → program, at a loopback address of its own · a forwarder in front, at another one
    checkpoint  SIGSTOP to the whole tree, the forwarder ends; the image is a note of which tree it is
    restore     a new forwarder at a new address, SIGCONT

Nothing is saved to disk: an image lives as long as its processes. capabilities() says so.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
import signal
import sys
from dataclasses import replace
from pathlib import Path

from gateway.config import Timeouts
from gateway.engines.base import (
    Capabilities,
    CheckpointFailed,
    ImageState,
    PlacementId,
    Program,
    RestoreFailed,
    StartFailed,
)
from gateway.engines.local import front, keeper
from gateway.engines.local.engine import AGAIN, LocalEngine
from gateway.engines.local.machine import Machine
from gateway.engines.local.network import NetworkFailed, tag
from gateway.engines.local.processes import descendants, freeze, signal_all
from gateway.engines.local.records import Alive, Busy, Record, Run
from gateway.engines.local.spawn import MARKER, keep, program_spec

_FIRST_NET, _NETS = 64, 190  # 127.64.0.0 to 127.253.255.255: away from 127.0.0.1 and what people use by hand
_PLACES = 64_000  # addresses of one engine


class Plain(LocalEngine):
    """Engine and Checkpoints with simulated moves. Needs nothing but Linux."""

    def __init__(self, state: Path, found: Machine, timeouts: Timeouts | None = None) -> None:
        super().__init__(state, found, timeouts)
        self._file = self._state / "addresses.json"

    def capabilities(self) -> Capabilities:
        """Simulated moves, and what is missing for real ones."""
        return self._machine.capabilities("plain")

    # Checkpoints.

    async def sever(self, placement: PlacementId) -> None:
        """Reset what is connected through the forwarder."""
        record = self._records.get(placement)
        who = None if record is None else self._records.run(record.front).identity()
        if who is not None:
            who.kill(signal.SIGUSR1)

    async def checkpoint(self, placement: PlacementId, image: Path) -> None:
        """Freeze the tree; the image is a note of it. Raises CheckpointFailed."""
        await self._own(self._checkpoint(placement, image.absolute()))

    def image(self, image: Path) -> ImageState:
        """COMPLETE as long as the frozen processes live."""
        try:
            doc = json.loads((image / MARKER).read_text())
        except FileNotFoundError:
            return ImageState.PARTIAL if image.is_dir() and any(image.iterdir()) else ImageState.NONE
        if doc["engine"] != "plain":
            return ImageState.COMPLETE  # of a capsule: not ours to restore, and not ours to give up
        run = self._records.run(doc["run"])
        return ImageState.COMPLETE if isinstance(run.state(), Alive) else ImageState.PARTIAL

    async def discard(self, image: Path) -> None:
        """Delete the note, and end the tree unless a placement has it again. Idempotent."""
        await self._own(self._discard(image.absolute()))

    # Inside.

    async def _make(self, placement: PlacementId, program: Program, image: Path | None) -> Record:
        number, address = self._seat()
        home = address if image is None else str(json.loads((image / MARKER).read_text())["address"])
        if image is None:
            number, address = self._seat()  # the program's own first, the forwarder's second
            name = f"p{number}"
        else:
            name = str(json.loads((image / MARKER).read_text())["run"])
            if any(record.run == name for record in self._records.all()):
                raise RestoreFailed("The job runs already: this image was brought back before.")
        record = Record(placement, program, name, number, address, f"process-{number}", front=f"f{number}")
        forward = self._records.new_run(record.front)
        run = self._records.run(name) if image is not None else self._records.new_run(name)
        keeper.write(run.path / "home.json", home)
        self._records.save(record)
        if image is None and not await keep("start", run, program_spec(program, home)):
            raise StartFailed("The program could not be started; the OpCenter's log says why.")
        if not await keep("start", forward, program_spec(_forwarder(forward, address, home, program), "")):
            raise (StartFailed if image is None else RestoreFailed)("No address could be put in front of the job.")
        self._thaw(run)
        self._frozen_for(run).unlink(missing_ok=True)
        return record

    async def _clear(self, placement: PlacementId) -> None:
        """As the base; but a tree that a complete image names belongs to the image, not to a failed restore."""
        record = self._records.get(placement)
        if record is not None and self._frozen_for(self._records.run(record.run)).exists():
            await self._drop(self._records.run(record.front))
            self._records.delete(placement)
            return
        await super()._clear(placement)

    async def _unmake(self, record: Record) -> None:
        """There is nothing around a plain process."""

    async def _adopt(self, record: Record) -> None:
        run = self._records.run(record.run)
        await self._settled(run)
        if self._frozen_for(run).exists():
            await self._clear(record.placement)  # checkpointed, or the restore had not come to its end
            return
        self._thaw(run)
        if record.image is not None:
            shutil.rmtree(record.image, ignore_errors=True)
            self._records.checkpointing(record, None)
        await self._heal(record)

    async def _settled(self, run: Run) -> None:
        """Wait for a keeper that an earlier OpCenter called and that is just forking: milliseconds."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._timeouts.stop_grace):
                while isinstance(run.state(), Busy):  # noqa: ASYNC110 - it is another process that ends
                    await asyncio.sleep(AGAIN)

    async def _heal(self, record: Record) -> None:
        """Put the forwarder back if it has died with the rest of an earlier OpCenter's session."""
        run, forward = self._records.run(record.run), self._records.run(record.front)
        await self._settled(forward)  # its keeper may just be writing down how it ended
        if isinstance(run.state(), Alive) and not isinstance(forward.state(), Alive | Busy):
            home = json.loads((run.path / "home.json").read_text())
            forward = self._records.new_run(record.front)
            await keep(
                "start",
                forward,
                program_spec(_forwarder(forward, record.address, home, record.program), ""),
            )

    async def _checkpoint(self, placement: PlacementId, image: Path) -> None:
        async with self._lock(placement):
            record = self._records.get(placement)
            run = None if record is None else self._records.run(record.run)
            if record is None or run is None or not isinstance(run.state(), Alive):
                raise CheckpointFailed("The job does not run: there is nothing to save.")
            if (image / MARKER).exists():
                raise CheckpointFailed("There is an image at this path already: discard it first.")
            record = self._records.checkpointing(record, image)
            try:
                image.mkdir(parents=True, exist_ok=True, mode=0o700)
                freeze(_roots(run))
                home = json.loads((run.path / "home.json").read_text())
                keeper.write(image / MARKER, {"engine": "plain", "run": record.run, "address": home})
                keeper.write(self._frozen_for(run), str(image))
            except OSError as error:
                self._thaw(run)
                shutil.rmtree(image, ignore_errors=True)
                self._records.checkpointing(record, None)
                raise CheckpointFailed("The note of the frozen job cannot be written; check its disk.") from error
            await self._clear(placement)

    async def _discard(self, image: Path) -> None:
        try:
            name = str(json.loads((image / MARKER).read_text()).get("run", ""))
        except FileNotFoundError:
            name = ""
        if name and all(record.run != name for record in self._records.all()):
            await self._drop(self._records.run(name))
        shutil.rmtree(image, ignore_errors=True)

    async def _lost(self, run: Run) -> None:
        if not self._frozen_for(run).exists():  # else it belongs to an image
            await super()._lost(run)

    async def _drop(self, run: Run) -> None:
        await self._end(run)
        run.remove()

    def _wake(self, record: Record) -> None:
        self._thaw(self._records.run(record.run))

    def _thaw(self, run: Run) -> None:
        signal_all(reversed(descendants(_roots(run))), signal.SIGCONT)

    def _frozen_for(self, run: Run) -> Path:
        """The note in a run's folder that it belongs to an image."""
        return run.path / "frozen.json"

    def _seat(self) -> tuple[int, str]:
        """The next number and its loopback address, which nobody has. Raises NetworkFailed."""
        first = int(json.loads(self._file.read_text())) + 1 if self._file.exists() else 1
        taken = {one.address for one in self._records.all()} | self._homes()
        for number in range(first, first + _PLACES):
            if (address := self._address(number)) not in taken:
                keeper.write(self._file, number)
                return number, address
        raise NetworkFailed("every loopback address of this engine is a job's: no further job can run until one ends")

    def _address(self, number: int) -> str:
        """The loopback address of a number; it comes again after _PLACES others."""
        net = _FIRST_NET + int(tag(self._state), 16) % _NETS
        place = number % _PLACES
        return f"127.{net}.{place // 250}.{1 + place % 250}"

    def _homes(self) -> set[str]:
        """The addresses at which programs listen, the frozen ones too."""
        homes = (self._records.run(name).path / "home.json" for name in self._records.runs())
        return {str(json.loads(path.read_text())) for path in homes if path.exists()}


def _roots(run: Run) -> list[int]:
    """Whose descendants the tree is: the keeper's, which adopts orphans; the program's if the keeper is gone."""
    keeper_, who = run.keeper(), run.identity()
    if keeper_ is not None and keeper_.alive():
        return [keeper_.pid]
    return [] if who is None or not who.alive() else [who.pid]


def _forwarder(run: Run, listen: str, to: str, program: Program) -> Program:
    argv = (sys.executable, "-I", "-S", front.__file__, listen, to, *map(str, program.ports))
    log = run.path / "front.log"
    return replace(program, argv=argv, env={}, cwd=Path("/"), stdout=log, stderr=log)
