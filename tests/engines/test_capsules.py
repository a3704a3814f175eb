"""Capsules: the contract with real moves, and what is their own. Needs root and a working CRIU."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gateway.engines.base import (
    Absent,
    CheckpointFailed,
    Ended,
    EngineError,
    ImageState,
    PlacementId,
    Program,
    RestoreFailed,
    Running,
    Unknown,
)
from gateway.engines.local.network import NetworkFailed, tag
from gateway.engines.local.processes import gone
from tests.engines.bench import COUNTER, DEADLINE, Bench, ask, closing, opcenter, process, processes, until, until_seen
from tests.engines.contract import Contract
from tests.engines.makers import FOUND, capsules

_LACKS = ", ".join(one.what for one in FOUND.missing)
pytestmark = [
    pytest.mark.root,
    pytest.mark.criu,
    pytest.mark.skipif(FOUND.tools is None, reason=f"no capsules here, missing: {_LACKS}"),
]
# CRIU saves no such device; the first that this machine has.
DEVICES = ("/dev/loop-control", "/dev/fuse", "/dev/kvm", "/dev/btrfs-control", "/dev/vhost-net")


@contextlib.asynccontextmanager
async def _fails(engine: Any, running: Running, image: Path) -> AsyncIterator[None]:
    """The program holds something that CRIU refuses: the dump begins and really fails."""
    device = next((path for path in DEVICES if Path(path).exists()), None)
    if device is None:
        pytest.skip("this machine has no device that CRIU refuses")
    assert await ask(running.address, engine.bench_port, f"/open?{device}")
    yield
    assert await ask(running.address, engine.bench_port, "/close")


@contextlib.asynccontextmanager
async def _fails_to_restore(engine: Any, program: Program) -> AsyncIterator[Program]:
    """The job's log is not where it was: CRIU begins and really fails."""
    away = program.stdout.rename(program.stdout.with_name("away"))
    yield program
    away.rename(program.stdout)


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    def made() -> Any:
        engine: Any = capsules(tmp_path / "state")
        engine.bench_port = one.port
        return engine

    one = Bench(tmp_path, made, _fails, _fails_to_restore, maker="capsules")
    yield one
    await one.clean()
    nothing_left(tmp_path)


def nothing_left(folder: Path) -> None:
    """No process, namespace, device, nftables table or file of this engine's."""
    bridge = f"fg{tag(folder / 'state')}"
    assert processes(folder) == []
    assert [path.name for path in Path("/sys/class/net").iterdir() if path.name.startswith(bridge)] == []
    assert list(Path("/run/netns").glob(f"{bridge}-*")) == []
    assert bridge not in _output("nft", "list", "tables")
    assert list((folder / "state/placements").iterdir()) == []
    assert list((folder / "state/runs").iterdir()) == []


class TestCapsules(Contract):
    """The contract."""

    async def test_a_restored_program_still_has_an_exit_status(self, bench: Bench) -> None:
        engine, one, two, image = await bench.engine(), bench.placement(), bench.placement(), bench.image()
        await bench.ask(await engine.start(one, bench.program()))
        await engine.checkpoint(one, image)
        await bench.ask(await engine.restore(two, bench.program(), image), "/exit?7")
        assert await until_seen(engine, two, Ended) == Ended(7)

    async def test_a_terminal_whose_number_is_taken_on_the_host(self, bench: Bench) -> None:
        """Every capsule has pseudo-terminals of its own: a user who logs in meanwhile takes none of its numbers."""
        engine, one, two, image = await bench.engine(), bench.placement(), bench.placement(), bench.image()
        running = await engine.start(one, bench.program())
        name = await ask(running.address, engine.bench_port, "/terminal")
        assert name == "/dev/pts/0", "the first of its own"
        await engine.checkpoint(one, image)
        taken = [os.openpty() for _ in range(8)]
        try:
            running = await engine.restore(two, bench.program(), image)
            assert await ask(running.address, engine.bench_port, "/echo?hello") == "hello"
        finally:
            for number in (one for pair in taken for one in pair):
                os.close(number)

    async def test_a_severed_connection_that_the_job_keeps(self, bench: Bench) -> None:
        """Dead, but bound to the old address: the restore needs that address on the loopback."""
        engine, one = await bench.engine(), bench.placement()
        running = await engine.start(one, bench.program())
        await bench.ask(running)
        server = await asyncio.start_server(lambda *_: asyncio.sleep(0), "0.0.0.0", 0)
        port = server.sockets[0].getsockname()[1]
        bridge = str(_first(running.address))
        for turn in range(2, 5):
            await bench.ask(running, f"/dial?{bridge}:{port}")
            image, two = bench.image(), bench.placement()
            await engine.checkpoint(one, image)
            running, one = await engine.restore(two, bench.program(), image), two
            assert await bench.ask(running) == str(turn)
        server.close()

    async def test_connections_from_outside_are_reset_and_inner_ones_kept(self, bench: Bench) -> None:
        engine, one, two, image = await bench.engine(), bench.placement(), bench.placement(), bench.image()
        running = await engine.start(one, bench.program())
        await bench.ask(running)
        await bench.ask(running, f"/dial?127.0.0.1:{bench.port}")
        netns = _netns(bench.folder)
        reader, writer = await asyncio.open_connection(running.address, bench.port)
        async with closing(writer):
            await engine.sever(one)
            with pytest.raises(ConnectionResetError):
                await reader.read()
        inner = _output("nsenter", f"--net={netns}", "ss", "-Htn", "state", "established")
        assert inner.count("127.0.0.1") == 4
        await engine.checkpoint(one, image)
        await bench.ask(await engine.restore(two, bench.program(), image))
        inner = _output("nsenter", f"--net={_netns(bench.folder)}", "ss", "-Htn", "state", "established")
        assert inner.count("127.0.0.1") == 4

    async def test_capsules_do_not_reach_each_other(self, bench: Bench) -> None:
        engine, one, two = await bench.engine(), bench.placement(), bench.placement()
        mine, theirs = await engine.start(one, bench.program()), await engine.start(two, bench.program())
        await bench.ask(mine), await bench.ask(theirs)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1):
                await bench.ask(mine, f"/dial?{theirs.address}:{bench.port}")

    async def test_two_engines_at_once(self, bench: Bench, tmp_path: Path) -> None:
        (tmp_path / "other").mkdir()
        other = capsules(tmp_path / "other/state")
        await other.open()
        engine, one = await bench.engine(), PlacementId("same")
        mine, theirs = await asyncio.gather(engine.start(one, bench.program()), other.start(one, bench.program()))
        assert _first(mine.address) != _first(theirs.address)
        assert [await bench.ask(mine), await bench.ask(theirs)] == ["1", "1"]
        await other.stop(one, 5)
        await other.close()
        nothing_left(tmp_path / "other")
        assert await bench.ask(mine) == "2"

    async def test_too_little_room(self, bench: Bench) -> None:
        """A disk of 1 MiB, really."""
        engine, one = await bench.engine(), bench.placement()
        running = await engine.start(one, bench.program())
        await bench.ask(running)
        with _disk(bench.folder / "disk", "1m") as disk:
            with pytest.raises(CheckpointFailed, match="too little room"):
                await engine.checkpoint(one, disk / "image")
            assert list(disk.iterdir()) == []
        assert await bench.ask(running) == "2"

    async def test_a_disk_that_is_full_before_the_last_byte(self, bench: Bench) -> None:
        """CRIU has written all, the marker does not fit: the job goes on, and so do its connections inside."""
        _wrap(bench, post_dump=f"cat /dev/zero > {bench.folder}/disk/other")
        engine, one = await bench.engine(), bench.placement()
        program = replace(bench.program(), notes=bench.folder / "move.log")
        with _disk(bench.folder / "disk", "200m") as disk:
            running = await engine.start(one, program)
            await bench.ask(running)
            await bench.ask(running, f"/dial?127.0.0.1:{bench.port}")
            with pytest.raises(CheckpointFailed, match="the disk is full"):
                await engine.checkpoint(one, disk / "image")
            assert "Writing image inventory" in (bench.folder / "move.log").read_text(), "CRIU had come that far"
            assert [path.name for path in disk.iterdir()] == ["other"]
        assert await engine.look(one) == running
        assert await bench.ask(running) == "2"
        inner = _output("nsenter", f"--net={_netns(bench.folder)}", "ss", "-Htn", "state", "established")
        assert inner.count("127.0.0.1") == 4

    async def test_a_checkpoint_for_which_nobody_waits_any_more(self, bench: Bench) -> None:
        """It goes on: until its end nothing is certain, and nobody takes its image away."""
        gate = bench.folder / "gate"
        _wrap(bench, after_dump=f"until [ -e {gate} ]; do sleep 0.02; done")
        engine, one, image = await bench.engine(), bench.placement(), bench.image()
        await bench.ask(await engine.start(one, bench.program()))
        caller = asyncio.create_task(engine.checkpoint(one, image))

        async def dead() -> bool:
            return (image / "floatgate.json").exists() and not _runs(bench)

        try:
            await until(dead)
            caller.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await caller
            assert isinstance(await engine.look(one), Unknown)
            assert [host.job for host in await engine.hosts()] == [one, None]
            with pytest.raises(CheckpointFailed, match="being saved already"):
                await engine.checkpoint(one, bench.image())
            with pytest.raises(EngineError, match="being written"):
                await engine.discard(image)
        finally:
            gate.touch()
        assert await until_seen(engine, one, Absent) == Absent()
        assert await bench.ask(await engine.restore(bench.placement(), bench.program(), image)) == "2"

    async def test_criu_ends_badly_after_all_was_saved(self, bench: Bench) -> None:
        """The tree is gone and the image is complete: whatever CRIU says, that is the session."""
        _wrap(bench, after_dump="exit 1")
        engine, one, image = await bench.engine(), bench.placement(), bench.image()
        await bench.ask(await engine.start(one, bench.program()))
        await engine.checkpoint(one, image)
        assert await engine.look(one) == Absent()
        assert await bench.ask(await engine.restore(bench.placement(), bench.program(), image)) == "2"

    async def test_its_network_has_been_deleted(self, bench: Bench) -> None:
        """By somebody else: it cannot be saved any more, is told so, and runs on until it is stopped."""
        engine, one, image = await bench.engine(), bench.placement(), bench.image()
        await engine.start(one, bench.program())
        await asyncio.to_thread(_output, "ip", "netns", "delete", _netns(bench.folder).name)
        for _ in range(2):
            with pytest.raises(CheckpointFailed, match="its network was deleted"):
                await engine.checkpoint(one, image)
        assert isinstance(await engine.look(one), Running)
        await engine.stop(one, 1.0)
        assert await engine.look(one) == Absent()

    async def test_a_restore_that_cannot_be_written_down(self, bench: Bench) -> None:
        """Nothing runs that nobody knows: the next restore is the only one."""
        spoil = f"rm -f {bench.folder}/state/runs/*/pid.json.new && mkdir {bench.folder}/state/runs/c2/pid.json.new"
        _wrap(bench, after_restore=f"[ ! -e {bench.folder}/state/runs/c2 ] || {{ {spoil}; }}")
        engine, one, two, image = await bench.engine(), bench.placement(), bench.placement(), bench.image()
        await bench.ask(await engine.start(one, bench.program()))
        await engine.checkpoint(one, image)
        with pytest.raises(RestoreFailed):
            await engine.restore(two, bench.program(), image)
        assert await engine.look(two) == Absent()
        assert not _runs(bench)
        assert await bench.ask(await engine.restore(bench.placement(), bench.program(), image)) == "2"
        assert len(_runs(bench)) == 2, "tini and the program"

    async def test_an_image_that_cannot_be_deleted(self, bench: Bench) -> None:
        """The OpCenter tries again: it knows this error, and no other."""
        engine, blocked = await bench.engine(), bench.folder / "images"
        blocked.touch()
        with pytest.raises(EngineError, match="cannot be deleted"):
            await engine.discard(blocked / "1")
        blocked.unlink()
        await engine.discard(blocked / "1")

    async def test_the_disk_is_full_from_criu_restore_to_the_jobs_end(self, bench: Bench) -> None:
        """What is to be written about a run has its room before the run begins."""
        with _disk(bench.folder / "state", "40m") as disk:
            _wrap(bench, after_restore=f"cat /dev/zero > {disk}/other")
            engine, one, two, image = await bench.engine(), bench.placement(), bench.placement(), bench.image()
            await bench.ask(await engine.start(one, bench.program()))
            await engine.checkpoint(one, image)
            running = await engine.restore(two, bench.program(), image)
            await bench.ask(running, "/exit?7")
            assert await until_seen(engine, two, Ended) == Ended(7)
            (disk / "other").unlink()
            await bench.clean()
            nothing_left(bench.folder)
        (bench.folder / "state").rmdir()

    async def test_an_address_comes_again_but_not_while_somebody_has_it(self, bench: Bench) -> None:
        """After 4093 placements; of a placement that has no seat yet, too, and there may be no address left."""
        engine, one, two = await bench.engine(), bench.placement(), bench.placement()
        first = await engine.start(one, bench.program())
        numbers = bench.folder / "state/network.json"
        doc = json.loads(numbers.read_text())
        numbers.write_text(json.dumps({**doc, "next": doc["next"] + 4092}))
        second = await engine.start(two, bench.program())
        assert second.address != first.address
        assert await bench.ask(first) == "1"
        subnet = ipaddress.ip_interface(f"{first.address}/20").network
        *_, free = set(map(str, subnet.hosts())) - {first.address, second.address, _first(first.address)}
        everything = set(map(str, subnet))
        assert engine._network.reserve(everything - {free}).address == free
        with pytest.raises(NetworkFailed, match="every address"):
            engine._network.reserve(everything)

    async def test_the_machine_was_started_anew(self, bench: Bench) -> None:
        """No job has ended then: its host was lost, and its image is there."""
        engine, one, two, image = await bench.engine(), bench.placement(), bench.placement(), bench.image()
        await bench.ask(await engine.start(one, bench.program()))
        await engine.checkpoint(one, image)
        await bench.ask(await engine.restore(two, bench.program(), image))
        run = engine._records.run(engine._records.get(two).run)
        who, keeper = run.identity(), run.keeper()
        keeper.kill(signal.SIGKILL)
        who.kill(signal.SIGKILL)
        await gone(who, DEADLINE)
        for name in ("pid.json", "keeper.json"):
            doc = json.loads((run.path / name).read_text())
            (run.path / name).write_text(json.dumps({**doc, "boot": "another"}))
        assert await engine.look(two) == Absent()
        again = await bench.engine()
        assert (await again.look(two), again.image(image)) == (Absent(), ImageState.COMPLETE)
        assert await bench.ask(await again.restore(bench.placement(), bench.program(), image)) == "2"

    async def test_the_opcenter_is_killed_while_it_saves(self, bench: Bench) -> None:
        """SIGKILL in the middle of a dump: the dump goes on without it, and the next OpCenter finds the image."""
        engine, one, image = await bench.engine(), bench.placement(), bench.image()
        await bench.ask(await engine.start(one, bench.program()))
        call = f"checkpoint({one!r}, Path({str(image)!r}))"

        async def dumping() -> bool:
            return (image / "dump.log").exists()

        with opcenter("capsules", bench.folder / "state", call):
            await until(dumping)
        second = await bench.engine()

        async def settled() -> bool:
            return second.known() == [] and second.image(image) is ImageState.COMPLETE

        await until(settled)
        assert await second.look(one) == Absent()
        assert list((bench.folder / "state/placements").iterdir()) == [], "Absent is said when nothing is left"
        assert await bench.ask(await second.restore(bench.placement(), bench.program(), image)) == "2"

    async def test_the_opcenter_is_killed_after_the_record(self, bench: Bench) -> None:
        """The intent was saved and nothing came of it: the checkpoint never began, the job runs."""
        engine, one, image = await bench.engine(), bench.placement(), bench.image()
        running = await engine.start(one, bench.program())
        engine._records.checkpointing(engine._records.get(one), image)
        second = await bench.engine()
        assert await second.look(one) == running
        assert await bench.ask(running) == "1"

    async def test_why_a_move_failed_is_said_and_its_log_is_left(self, bench: Bench) -> None:
        """Of the restore that failed, then of the checkpoint that did, whatever else is cleared up."""
        engine, one, two, image = await bench.engine(), bench.placement(), bench.placement(), bench.image()
        notes = bench.folder / "move.log"
        program = replace(bench.program(), notes=notes)
        await bench.ask(await engine.start(one, program))
        await engine.checkpoint(one, image)
        async with bench.break_restore(engine, program) as broken:
            with pytest.raises(RestoreFailed, match=r"put it back and try again \(CRIU: .*out") as failed:
                await engine.restore(two, broken, image)
        assert failed.value.public.endswith(").") and "Restoring FAILED" in notes.read_text()
        running = await engine.restore(bench.placement(), program, image)
        async with bench.break_checkpoint(engine, running, bench.image()):
            with pytest.raises(CheckpointFailed, match="CRIU: "):
                await engine.checkpoint(engine.known()[0], bench.images[-1])
        assert "Dumping FAILED" in notes.read_text()

    async def test_its_keeper_is_killed(self, bench: Bench) -> None:
        """The program goes on; only its exit status will be lost."""
        engine, one = await bench.engine(), bench.placement()
        running = await engine.start(one, bench.program())
        await bench.ask(running)
        engine._records.run(engine._records.get(one).run).keeper().kill(signal.SIGKILL)
        assert await bench.ask(running) == "2"
        assert await engine.look(one) == running
        await bench.ask(running, "/exit?3")
        assert await until_seen(engine, one, Ended) == Ended(None)


async def test_the_way_out(bench: Bench) -> None:
    """A job reaches a machine beyond the host, by masquerade; that machine cannot open a connection to the job."""
    with _world() as inside:
        server = (sys.executable, str(bench.folder / COUNTER.name), "0.0.0.0", "8000")
        engine, one = await bench.engine(), bench.placement()
        running = await engine.start(one, bench.program())
        with process(*inside, *server):
            await ask("10.63.255.2", 8000)
            assert await bench.ask(running, "/dial?10.63.255.2:8000")
            dial = f"import socket; socket.create_connection(({running.address!r}, {bench.port}), timeout=1)"
            with process(*inside, sys.executable, "-c", dial) as refused:
                assert await asyncio.to_thread(refused.wait) == 1


@contextlib.contextmanager
def _disk(path: Path, size: str) -> Iterator[Path]:
    """A small disk of its own, really."""
    path.mkdir()
    _output("mount", "-t", "tmpfs", "-o", f"size={size}", "floatgate-test", str(path))
    try:
        yield path
    finally:
        _output("umount", "--lazy", str(path))


def _wrap(bench: Bench, after_dump: str = "", after_restore: str = "", post_dump: str = "") -> None:
    """Shell commands around CRIU: after its good end, or when it has written all and the tree still stands."""
    assert FOUND.tools is not None
    before, wrapped = bench.folder / "before", bench.folder / "wrapped"
    before.write_text(
        f'#!/bin/sh\n[ "$CRTOOLS_SCRIPT_ACTION" != post-dump ] || {{ {post_dump or "true"}; }} 2>/dev/null\ntrue\n'
    )
    wrapped.write_text(
        f"""#!/bin/sh
{FOUND.tools.criu.path} "$@" {"--action-script " + str(before) if post_dump else ""} || exit
[ $1 != dump ] || {{ {after_dump or "true"}; }} 2>/dev/null
[ $1 != restore ] || {{ {after_restore or "true"}; }} 2>/dev/null
true
"""
    )
    for path in (before, wrapped):
        path.chmod(0o755)
    tools = replace(FOUND.tools, criu=replace(FOUND.tools.criu, path=wrapped))
    plain = bench.make

    def made() -> Any:
        engine = plain()
        engine._tools = tools
        return engine

    bench.make = made


def _runs(bench: Bench) -> list[str]:
    """What runs of the program, not of what is around it."""
    return [line for line in processes(bench.folder) if COUNTER.name in line]


@contextlib.contextmanager
def _world() -> Iterator[tuple[str, ...]]:
    """Another machine, 10.63.255.2; gives the words that run a command there."""
    name = f"fgw{os.getpid() % 10000}"
    _output("ip", "netns", "add", name)
    try:
        _output("ip", "link", "add", name, "type", "veth", "peer", "name", "eth0", "netns", name)
        _output("ip", "address", "add", "10.63.255.1/30", "dev", name)
        _output("ip", "link", "set", name, "up")
        _output("ip", "-n", name, "address", "add", "10.63.255.2/30", "dev", "eth0")
        _output("ip", "-n", name, "link", "set", "eth0", "up")
        _output("ip", "-n", name, "route", "add", "default", "via", "10.63.255.1")
        yield "nsenter", f"--net=/run/netns/{name}"
    finally:
        _output("ip", "netns", "del", name)


def _first(address: str) -> str:
    """The host's own address on the bridge of this capsule."""
    return str(ipaddress.ip_interface(f"{address}/20").network[1])


def _netns(folder: Path) -> Path:
    return next(Path("/run/netns").glob(f"fg{tag(folder / 'state')}-*"))


def _output(*words: str) -> str:
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout
