"""The engine of capsules: each placement has a network and a PID namespace of its own, and moves are real (CRIU).

    start       record · namespace with an address · keeper → tini → program
    checkpoint  record says image · cut the network · keeper dumps, writes the marker · remove the namespace
    restore     record · new namespace with another address · keeper → criu restore → the same processes

Known limits, each measured (docs/decisions/capsules.md) or said by CRIU: files that the job has open must be unchanged
when it comes back; GPUs, io_uring and connections to processes outside are refused; /proc shows the host's
processes.
"""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import structlog

from gateway.config import Timeouts
from gateway.engines.base import (
    Capabilities,
    CheckpointFailed,
    EngineError,
    ImageState,
    PlacementId,
    Program,
    RestoreFailed,
    StartFailed,
)
from gateway.engines.local import criu, keeper
from gateway.engines.local.engine import AGAIN, LocalEngine
from gateway.engines.local.machine import Machine, Tools
from gateway.engines.local.network import Network, NetworkFailed, Seat
from gateway.engines.local.processes import Identity, descendants, gone, memory
from gateway.engines.local.records import Alive, Locked, Record
from gateway.engines.local.spawn import MARKER, NETNS_FD, criu_spec, keep, program_spec

# In a capsule the address changes with each move: a program that is bound to one would not be reached again.
ANY_ADDRESS = "0.0.0.0"
_ADDRESSES = "addresses.json"  # in the run's folder of a restored placement
_HEADROOM = 64 << 20  # bytes of disk beyond the job's memory: CRIU's tables, and the disk is not only ours

_log = structlog.get_logger(__name__)


class Capsules(LocalEngine):
    """Engine and Checkpoints with real moves. Needs root and what `machine.examine` looks for."""

    def __init__(self, state: Path, found: Machine, tools: Tools, timeouts: Timeouts | None = None) -> None:
        super().__init__(state, found, timeouts)
        self._tools = tools
        self._network = Network(self._state, self._timeouts)

    def capabilities(self) -> Capabilities:
        """Real moves."""
        return self._machine.capabilities("capsules")

    async def open(self) -> None:
        """As the base, and seats that no record names are removed."""
        await super().open()
        named = {record.number for record in self._records.all()}
        for number in self._network.seats():
            if number not in named:
                await self._try(self._network.remove, number)

    async def close(self) -> None:
        """As the base, and the bridge goes when nobody sits on it."""
        await super().close()
        await self._try(self._network.tidy)

    # Checkpoints.

    async def sever(self, placement: PlacementId) -> None:
        """Reset what connections come from outside of the capsule, or lead there."""
        record = self._records.get(placement)
        if record is not None:
            await self._try(self._network.sever, _seat(record))

    async def checkpoint(self, placement: PlacementId, image: Path) -> None:
        """Save the job to the folder `image` and remove its capsule. Raises CheckpointFailed."""
        if placement in self._saving:
            raise CheckpointFailed("The job is being saved already.")
        self._saving[placement] = image.absolute()
        await self._own(self._checkpoint(placement, image.absolute()))

    def image(self, image: Path) -> ImageState:
        """COMPLETE when the marker is there, which is written last."""
        if (image / MARKER).exists():
            return ImageState.COMPLETE
        return ImageState.PARTIAL if image.is_dir() and any(image.iterdir()) else ImageState.NONE

    async def discard(self, image: Path) -> None:
        """Delete the image. Idempotent. Raises EngineError while a checkpoint writes it."""
        path = image.absolute()
        if path in self._saving.values() or any(
            one.image == path and self._adopted(one) for one in self._records.all()
        ):
            raise EngineError("The image is being written: it can be deleted when that has ended.")
        await self._delete(path)

    # Inside.

    async def _delete(self, image: Path) -> None:
        """The marker first, so that half of an image is never taken for all of it."""
        try:
            (image / MARKER).unlink(missing_ok=True)
        except OSError as error:
            _log.warning("marker_left", image=str(image), error=str(error))
            raise EngineError("The image cannot be deleted; check its disk.") from error
        await asyncio.to_thread(shutil.rmtree, image, ignore_errors=True)

    async def _make(self, placement: PlacementId, program: Program, image: Path | None) -> Record:
        seat = await asyncio.to_thread(self._network.reserve, {one.address for one in self._records.all()})
        name = f"c{seat.number}"
        record = Record(placement, program, name, seat.number, seat.address, f"capsule-{seat.number}")
        run = self._records.new_run(name)
        self._records.save(record)
        netns = self._network.netns(seat.number)
        if image is None:
            await asyncio.to_thread(self._network.add, seat)
            spec = program_spec(program, ANY_ADDRESS, (self._tools.tini, "-s", "--"), netns)
            if not await keep("start", run, spec):
                raise StartFailed("The program could not be started; the OpCenter's log says why.")
            return record
        before = _addresses(image)
        keeper.write(run.path / _ADDRESSES, before)
        await asyncio.to_thread(self._network.add, seat, before)
        pidfile = run.path / "criu.pid"
        command = self._tools.criu.restore(image, run.path, pidfile, NETNS_FD)
        if not await keep("restore", run, criu_spec(command, netns, pidfile=str(pidfile))):
            log = run.path / "restore.log"
            why = criu.reason(log)
            _log.error("restore_failed", placement=placement, why=why, log=_tail(log))
            _leave(log, program.notes)
            raise RestoreFailed(f"The restore failed: {why}.")
        await asyncio.to_thread(self._network.forget_aliases, seat, before)
        return record

    async def _unmake(self, record: Record) -> None:
        await asyncio.to_thread(self._network.remove, record.number)

    async def _adopt(self, record: Record) -> None:
        if record.image is None:
            return
        if self._still_saving(record):
            self._adopting.add(record.placement)
            task = asyncio.create_task(self._adopt_later(record))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        elif await self._saved(record, record.image):
            await self._clear(record.placement)
        else:
            await self._give_up(record)

    async def _adopt_later(self, record: Record) -> None:
        """An earlier OpCenter's dump goes on: wait for its end, then treat it as ours."""
        async with self._lock(record.placement):
            while self._still_saving(record):  # noqa: ASYNC110 - it is another process that ends
                await asyncio.sleep(AGAIN)
            if self._records.get(record.placement) == record:
                await self._adopt(record)
        self._adopting.discard(record.placement)

    async def _checkpoint(self, placement: PlacementId, image: Path) -> None:
        try:
            async with self._lock(placement):
                record = self._records.get(placement)
                who = None if record is None else self._records.run(record.run).identity()
                if record is None or who is None or not who.alive():
                    raise CheckpointFailed("The job does not run: there is nothing to save.")
                if not self._network.netns(record.number).exists():
                    raise CheckpointFailed("The job cannot be saved: its network was deleted. It runs on where it is.")
                record = self._intend(record, image, who)
                if not await self._dump(record, who, image) and not await self._saved(record, image):
                    await self._fail(record, image)
                await gone(who, self._timeouts.stop_grace)
                await self._clear(placement)
        finally:
            del self._saving[placement]

    def _intend(self, record: Record, image: Path, who: Identity) -> Record:
        """Make the image's folder and write down that it will be written. Raises CheckpointFailed."""
        _make_room(image, who)
        try:
            return self._records.checkpointing(record, image)
        except OSError as error:
            _log.error("no_record", placement=record.placement, error=str(error))
            shutil.rmtree(image, ignore_errors=True)
            raise CheckpointFailed("The checkpoint cannot be written down; check the OpCenter's disk.") from error

    async def _saved(self, record: Record, image: Path) -> bool:
        """Whether a checkpoint without a good end was one: the image is complete, and its tree is gone.

        A tree that goes on is the truth, and its image is old: CRIU was killed between the two.
        """
        who = self._records.run(record.run).identity()
        if self.image(image) is not ImageState.COMPLETE:
            return False
        return who is None or await gone(who, self._timeouts.stop_grace)

    async def _dump(self, record: Record, who: Identity, image: Path) -> bool:
        seat, netns = _seat(record), self._network.netns(record.number)
        run = self._records.run(record.run)
        addresses = [*_addresses_of(run.path), seat.address]
        mark = {"engine": "capsules", "addresses": addresses, "criu": self._tools.criu.version}
        mntns = f"/proc/{who.pid}/ns/mnt"
        try:
            command = self._tools.criu.dump(who.pid, image, netns)
            spec = criu_spec(command, None, image=str(image), marker=MARKER, mark=mark, mntns=mntns)
            await asyncio.to_thread(self._network.cut, seat)
            return await keep("dump", run, spec, "dump")
        except (NetworkFailed, OSError, Locked) as error:
            _log.error("checkpoint_failed", placement=record.placement, error=str(error))
            return False

    async def _fail(self, record: Record, image: Path) -> None:
        """The dump failed: bring the job back to what it was, make sure of it, and say so."""
        log = image / "dump.log"
        why, tail = criu.reason(log), _tail(log)
        _leave(log, record.program.notes)
        await self._give_up(record)
        alive = isinstance(self._records.run(record.run).state(), Alive)
        _log.error("checkpoint_failed", placement=record.placement, why=why, alive=alive, log=tail)
        if alive:
            raise CheckpointFailed(f"The job could not be saved and runs on where it is: {why}.")
        raise CheckpointFailed(f"The job could not be saved, and has ended meanwhile: {why}.")

    async def _give_up(self, record: Record) -> None:
        """Undo what a checkpoint that came to nothing has done."""
        await self._try(self._network.join, _seat(record))
        if record.image is not None:
            await self._delete(record.image)
        try:
            self._records.checkpointing(record, None)
        except OSError as error:  # the next OpCenter finds a checkpoint that came to nothing, and comes here
            _log.error("no_record", placement=record.placement, error=str(error))

    async def _try(self, act: object, *arguments: object) -> None:
        assert callable(act)
        try:
            await asyncio.to_thread(act, *arguments)
        except NetworkFailed as error:
            _log.warning("network", error=str(error))


def _seat(record: Record) -> Seat:
    return Seat(record.number, record.address)


def _make_room(image: Path, who: Identity) -> None:
    """Make the image's folder, empty, on a disk with room for the job's memory. Raises CheckpointFailed."""
    if (image / MARKER).exists():
        raise CheckpointFailed("There is an image at this path already: discard it first.")
    try:
        shutil.rmtree(image, ignore_errors=True)
        image.mkdir(parents=True, mode=0o700)
        free = shutil.disk_usage(image).free
    except OSError as error:
        _log.error("no_image_folder", image=str(image), error=str(error))
        raise CheckpointFailed("The folder for the job's image cannot be made; check its disk.") from error
    need = memory([who.pid, *descendants([who.pid])]) + _HEADROOM
    if need > free:
        shutil.rmtree(image, ignore_errors=True)
        raise CheckpointFailed(
            f"The disk has too little room to save the job: {need >> 20} MiB are needed, {free >> 20} MiB are free."
        )


def _addresses(image: Path) -> list[str]:
    """The addresses that the job had before: sockets of dead connections may still be bound to them."""
    return [str(one) for one in json.loads((image / MARKER).read_text())["addresses"]]


def _addresses_of(run: Path) -> list[str]:
    """The same, of a placement that was restored itself."""
    path = run / _ADDRESSES
    return [str(one) for one in json.loads(path.read_text())] if path.exists() else []


def _leave(log: Path, notes: Path | None) -> None:
    """CRIU's log for the job's owner, before it goes with what it is about."""
    if notes is None or not log.exists():
        return
    try:
        shutil.copyfile(log, notes)
    except OSError as error:
        _log.warning("no_notes", notes=str(notes), error=str(error))


def _tail(log: Path) -> Sequence[str]:
    lines = log.read_text(errors="replace").splitlines() if log.exists() else []
    return [line for line in lines if "Error" in line][-8:] or lines[-8:]
