"""A scripted engine for tests: in memory, every verb succeeds unless the test says otherwise.

    engine = FakeEngine(behind=("127.0.0.1", server.port))   # readiness probes reach the test's own server
    engine.script("checkpoint", Fail("The disk is full."))    # the next checkpoint fails, later ones succeed
    hang = Hang(); engine.script("restore", hang)             # the next restore waits for hang.release()
    engine.end(placement, rc=1)                               # the program ends by itself
    engine.silence("no answer")                               # look says Unknown until engine.speak()
    engine.calls                                              # [Call("start", "p1"), ...]

One object outlives several OpCenters in a test, as the processes on a host do: `open` and `close` change nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections import defaultdict, deque
from dataclasses import dataclass, field
from pathlib import Path

from gateway.engines.base import (
    Absent,
    Capabilities,
    CheckpointFailed,
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
from gateway.engines.script import Call, Fail, Hang, Linger, Lost, Outcome, Silent, Succeed

__all__ = ["Call", "Fail", "FakeEngine", "Hang", "Linger", "Lost", "Outcome", "Silent", "Succeed"]

_FAILURES: dict[str, type[EngineError]] = {
    "start": StartFailed,
    "checkpoint": CheckpointFailed,
    "restore": RestoreFailed,
}


@dataclass(slots=True)
class _Placement:
    program: Program
    seen: Running | Ended
    relays: list[asyncio.Server] = field(default_factory=list)


class FakeEngine:
    """Engine and Checkpoints, in memory.

    Args:
        behind: Where a server of the test listens. Each placement's address then answers on each of its program's
            ports with that server. None: nothing listens (a server of the test at 0.0.0.0 is reached all the same).
        host_count: How many hosts there are. A start or restore with every host busy fails.
    """

    name = "fake"

    def __init__(self, behind: tuple[str, int] | None = None, host_count: int = 8) -> None:
        self.behind = behind
        self.calls: list[Call] = []
        self.images: dict[Path, ImageState] = {}
        self.real = True
        self._host_count = host_count
        self._next = 0
        self._placements: dict[PlacementId, _Placement] = {}
        self._scripts: defaultdict[str, deque[Outcome]] = defaultdict(deque)
        self._silence: str | None = None
        self._relaying: set[asyncio.Task[None]] = set()

    # What a test says.

    def script(self, verb: str, *outcomes: Outcome) -> None:
        """Queue outcomes for the next calls of `verb`; when the queue is empty it succeeds."""
        self._scripts[verb].extend(outcomes)

    def end(self, placement: PlacementId, rc: int | None = 0) -> None:
        """The program ends by itself."""
        one = self._placements[placement]
        self._unbind(one)
        one.seen = Ended(rc)

    def lose(self, placement: PlacementId) -> None:
        """The placement's host is gone, and the engine knows it: Absent from now on."""
        self._forget(placement)

    def silence(self, why: str = "scripted") -> None:
        """From now on every `look` says Unknown."""
        self._silence = why

    def speak(self) -> None:
        """End the silence."""
        self._silence = None

    def verbs(self) -> list[str]:
        """The verbs called, without `look`, which comes as often as the OpCenter likes."""
        return [call.verb for call in self.calls if call.verb != "look"]

    # Engine.

    async def open(self) -> None:
        """Changes nothing, but answers for it in `calls`."""
        await self._run(Call("open"))

    async def close(self) -> None:
        """Changes nothing: placements go on."""
        self.calls.append(Call("close"))

    async def shut(self) -> None:
        """The end of the test: close every relay and connection."""
        for placement in list(self._placements):
            self._forget(placement)
        for task in list(self._relaying):
            task.cancel()
        await asyncio.gather(*self._relaying, return_exceptions=True)

    async def start(self, placement: PlacementId, program: Program) -> Running:
        """A placement at an address that none had before. Raises StartFailed."""
        return await self._begin(Call("start", placement), placement, program)

    async def look(self, placement: PlacementId) -> Seen:
        """What the script says, else what is."""
        outcome = self._take(Call("look", placement))
        if isinstance(outcome, Silent):
            return Unknown(outcome.why)
        if isinstance(outcome, Hang):
            outcome.reached.set()
            await outcome.released.wait()
        if self._silence is not None:
            return Unknown(self._silence)
        one = self._placements.get(placement)
        return Absent() if one is None else one.seen

    async def stop(self, placement: PlacementId, grace: float) -> None:
        """Absent from now on. Idempotent."""
        call = Call("stop", placement)
        late = await self._run(call)
        self._forget(placement)
        await _wait(late)

    async def hosts(self) -> list[Host]:
        """`host-1` and so on, busy where a placement runs."""
        busy = {one.seen.host: (placement, one.seen) for placement, one in self._placements.items()
                if isinstance(one.seen, Running)}  # fmt: skip
        hosts = []
        for name in self._names():
            if name in busy:
                placement, seen = busy[name]
                hosts.append(Host(name, seen.address, "busy", placement, 4, 16))
            else:
                hosts.append(Host(name, "", "free", None, 4, 16))
        return hosts

    def capabilities(self) -> Capabilities:
        """`real` as the test set it."""
        return Capabilities(self.name, self.real, "A scripted engine for tests: nothing really runs.")

    def known(self) -> list[PlacementId]:
        """Every placement that is not Absent."""
        return list(self._placements)

    # Checkpoints.

    async def sever(self, placement: PlacementId) -> None:
        """Noted in `calls`."""
        await _wait(await self._run(Call("sever", placement)))

    async def checkpoint(self, placement: PlacementId, image: Path) -> None:
        """The image is complete and the placement Absent. Raises CheckpointFailed."""
        late = await self._run(Call("checkpoint", placement, image))
        if not isinstance(await self._peek(placement), Running):
            raise CheckpointFailed("The job does not run: there is nothing to save.")
        self.images[image] = ImageState.COMPLETE
        self._forget(placement)
        await _wait(late)

    async def restore(self, placement: PlacementId, program: Program, image: Path) -> Running:
        """A new placement at a new address. Raises RestoreFailed."""
        return await self._begin(Call("restore", placement, image), placement, program)

    def image(self, image: Path) -> ImageState:
        """What `checkpoint` left, or what the test put into `images`."""
        return self.images.get(image, ImageState.NONE)

    async def discard(self, image: Path) -> None:
        """NONE from now on. Idempotent."""
        late = await self._run(Call("discard", image=image))
        self.images.pop(image, None)
        await _wait(late)

    # Inside.

    def _take(self, call: Call) -> Outcome:
        self.calls.append(call)
        queue = self._scripts[call.verb]
        return queue.popleft() if queue else Succeed()

    async def _run(self, call: Call) -> Linger | None:
        """Play the script up to the effect; give back what is to be waited for after it."""
        outcome = self._take(call)
        late = None
        if isinstance(outcome, Linger):
            late, outcome = outcome, outcome.then
        elif isinstance(outcome, Hang):
            outcome.reached.set()
            await outcome.released.wait()
            outcome = outcome.then
        if isinstance(outcome, Fail):
            raise _FAILURES.get(call.verb, EngineError)(outcome.public)
        if isinstance(outcome, Lost):
            self._forget(PlacementId(call.placement))
            raise _FAILURES.get(call.verb, EngineError)(outcome.public)
        return late

    async def _peek(self, placement: PlacementId) -> Seen:
        one = self._placements.get(placement)
        return Absent() if one is None else one.seen

    async def _begin(self, call: Call, placement: PlacementId, program: Program) -> Running:
        late = await self._run(call)
        failure = _FAILURES[call.verb]
        if call.image is not None and self.image(call.image) is not ImageState.COMPLETE:
            raise failure("There is no complete image to restore from.")
        if placement in self._placements:
            raise failure("This placement exists already.")
        host = self._free_host()
        if host is None:
            raise failure("Every host is busy.")
        self._next += 1
        address = f"127.0.{1 + self._next // 250}.{1 + self._next % 250}"
        one = _Placement(program, Running(address, host))
        self._placements[placement] = one
        if self.behind is not None:
            for port in program.ports:
                bound = socket.create_server((address, port))
                server = await asyncio.start_server(self._relay, sock=bound, start_serving=False)
                one.relays.append(server)  # before the next await, where the caller may be cancelled
                await server.start_serving()
        await _wait(late)
        return Running(address, host)

    def _names(self) -> list[str]:
        return [f"host-{number + 1}" for number in range(self._host_count)]

    def _free_host(self) -> str | None:
        busy = {one.seen.host for one in self._placements.values() if isinstance(one.seen, Running)}
        names = self._names()
        turn = self._next % max(1, len(names))
        return next((name for name in names[turn:] + names[:turn] if name not in busy), None)

    def _forget(self, placement: PlacementId) -> None:
        one = self._placements.pop(placement, None)
        if one is not None:
            self._unbind(one)

    def _unbind(self, one: _Placement) -> None:
        for server in one.relays:
            server.close()
        one.relays.clear()

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert self.behind is not None
        task = asyncio.current_task()
        assert task is not None
        self._relaying.add(task)
        try:
            with contextlib.suppress(OSError):
                there_reader, there_writer = await asyncio.open_connection(*self.behind)
                await asyncio.gather(_pump(reader, there_writer), _pump(there_reader, writer))
        finally:
            self._relaying.discard(task)
            writer.close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    finally:
        writer.close()


async def _wait(late: Linger | None) -> None:
    if late is not None:
        late.reached.set()
        await late.released.wait()
