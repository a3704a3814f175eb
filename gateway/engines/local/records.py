"""What is on disk, so that another process finds it after the OpCenter was killed.

    STATE/placements/ID.json    one record each, written before anything is done
    STATE/runs/UID/             one folder for each process tree: spec.json, and what its keeper writes:
        keeper.json pid.json    who they are      rc.json    how it ended      lock    held while the keeper lives

Nothing here says `running`: that is asked of /proc and of the lock, each time.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import urllib.parse
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from gateway.engines.base import PlacementId, Program
from gateway.engines.local import keeper
from gateway.engines.local.processes import Identity

_PATHS = ("cwd", "stdout", "stderr", "notes")  # of a Program


@dataclass(frozen=True, slots=True)
class Record:
    """One placement.

    Attributes:
        run: Name of its folder under runs/. number: Of its seat, never used twice soon.
        address: At which it answers. image: Of a checkpoint that has begun; None before.
        front: Name of the run of its forwarder (plain engine), else empty.
    """

    placement: PlacementId
    program: Program
    run: str
    number: int
    address: str
    host: str
    image: Path | None = None
    front: str = ""


@dataclass(frozen=True, slots=True)
class Alive:
    """The program runs, or is stopped."""


@dataclass(frozen=True, slots=True)
class Over:
    """The program has ended."""

    rc: int | None


@dataclass(frozen=True, slots=True)
class Busy:
    """Somebody still works on it: it is being started, or is just ending."""


@dataclass(frozen=True, slots=True)
class Nothing:
    """Nothing runs; and nothing ever did, or its host was lost while it did: this machine has been started anew."""


State = Alive | Over | Busy | Nothing


class Locked(Exception):
    """Another process works on this run."""


@dataclass(frozen=True, slots=True)
class Run:
    """The folder of one process tree."""

    path: Path

    def identity(self) -> Identity | None:
        """The program: PID 1 of a capsule, the child of the keeper else. None before it was started."""
        return self._who("pid.json")

    def keeper(self) -> Identity | None:
        """Who waits for it; None before it was started."""
        return self._who("keeper.json")

    def state(self) -> State:
        """What /proc, the lock and the keeper's word say, in the order in which they can be trusted."""
        who = self.identity()
        if who is not None and who.alive():
            return Alive()
        busy = self.held()  # asked before rc.json is read: who is gone by now has written it
        if (rc := _read(self.path / "rc.json")) is not None:
            return Over(rc["rc"])
        if busy:
            return Busy()
        if who is None or not who.of_this_boot():
            return Nothing()  # it went with its host: it did not end, and no exit status was lost
        return Over(None)

    def held(self, name: str = "lock") -> bool:
        """Whether a keeper lives."""
        try:
            os.close(self.take(name))
        except Locked:
            return True
        except FileNotFoundError:
            return False
        return False

    def take(self, name: str = "lock") -> int:
        """Take the lock, to be handed down to a keeper: a file descriptor. Raises Locked."""
        opened = os.open(self.path / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(opened)
            raise Locked from None
        return opened

    def remove(self) -> None:
        """Delete the folder."""
        shutil.rmtree(self.path, ignore_errors=True)

    def _who(self, name: str) -> Identity | None:
        doc = _read(self.path / name)
        return None if doc is None else Identity.from_json(doc)


class Records:
    """All placements of one engine, in memory and on disk."""

    def __init__(self, state: Path) -> None:
        self._placements = state / "placements"
        self._runs = state / "runs"
        self._known: dict[PlacementId, Record] = {}

    def load(self) -> None:
        """Read what an earlier process left."""
        self._placements.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._runs.mkdir(parents=True, exist_ok=True, mode=0o700)
        docs = (json.loads(path.read_text()) for path in sorted(self._placements.glob("*.json")))
        records = (_from_json(doc) for doc in docs)
        self._known = {one.placement: one for one in records}

    def all(self) -> list[Record]:
        """Every record, oldest seat first."""
        return sorted(self._known.values(), key=lambda one: one.number)

    def get(self, placement: PlacementId) -> Record | None:
        """The record, None when there is none."""
        return self._known.get(placement)

    def save(self, record: Record) -> Record:
        """Write it down."""
        keeper.write(self._path(record.placement), _to_json(record))
        self._known[record.placement] = record
        return record

    def checkpointing(self, record: Record, image: Path | None) -> Record:
        """Note that a checkpoint begins, or that it came to nothing. Raises OSError."""
        changed = replace(record, image=image)
        if image is None:  # so it is, and an older word on the disk says no more than that it has to be looked at
            self._known[record.placement] = changed
        return self.save(changed)

    def delete(self, placement: PlacementId) -> None:
        """Forget it."""
        self._path(placement).unlink(missing_ok=True)
        self._known.pop(placement, None)

    def run(self, name: str) -> Run:
        """The folder of this name."""
        return Run(self._runs / name)

    def new_run(self, name: str) -> Run:
        """A fresh folder, for root's eyes only: a specification holds the job's environment."""
        run = self.run(name)
        run.remove()
        run.path.mkdir(parents=True, mode=0o700)
        return run

    def runs(self) -> list[str]:
        """The names of all folders."""
        return sorted(path.name for path in self._runs.iterdir())

    def _path(self, placement: PlacementId) -> Path:
        return self._placements / (urllib.parse.quote(placement, safe="") + ".json")


def _read(path: Path) -> dict[str, Any] | None:
    try:
        doc = json.loads(path.read_text())
    except FileNotFoundError:
        return None
    assert isinstance(doc, dict)
    return doc


def _to_json(record: Record) -> dict[str, Any]:
    program = asdict(record.program)
    program |= {key: str(program[key]) for key in _PATHS if program[key] is not None}
    program["env"] = dict(record.program.env)
    image = None if record.image is None else str(record.image)
    return {**asdict(record), "program": program, "image": image}


def _from_json(doc: Mapping[str, Any]) -> Record:
    program = dict(doc["program"])
    program |= {key: Path(program[key]) for key in _PATHS if program.get(key) is not None}
    program |= {"argv": tuple(program["argv"]), "ports": tuple(program["ports"])}
    image = None if doc["image"] is None else Path(doc["image"])
    return Record(**{**doc, "program": Program(**program), "image": image})
