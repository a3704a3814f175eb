"""What one program leaves to the next, and what becomes of old workers."""

from __future__ import annotations

import asyncio
import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from gateway.config import Config, Limits, Timeouts
from gateway.proxy import succession
from gateway.proxy.channel import Channel
from gateway.proxy.child import Child
from gateway.proxy.crew import Crew
from gateway.proxy.succession import Estate
from gateway.proxy.worker import Worker
from gateway.types import GateState, JobId, JobStatus, Listener
from tests.peers import backend, connect, eventually
from tests.proxy.test_group import ok
from widget.limits import Limits as WidgetLimits
from widget.sessions import Sessions

DOC = Listener(0, JobId("abcdefghijklmnopqrstu"), "probe", 80, GateState.OPEN, JobStatus.EXECUTING, 1, 0)


def test_an_estate_is_the_same_after_the_change() -> None:
    told = {"5": json.loads(json.dumps(asdict(DOC)))}
    worker = {"number": 0, "generation": 3, "pid": 9, "channel": 7, "told": told, "acked": 4}
    estate = Estate(3, 4, ("127.0.0.1", 5), {6: 8}, [{**worker, "retired": True}], {"reports": []}, {6: {"a": 1}})
    assert Estate.from_json(json.loads(json.dumps(estate.to_json()))) == estate
    assert sorted(estate.descriptors()) == [3, 4, 7, 8]


@pytest.mark.parametrize("change", [{"format": 99}, {"workers": [{}]}, {"lock": None}, {"sockets": {"x": 1}}])
def test_an_estate_that_is_not_understood_is_refused(change: dict[str, object]) -> None:
    with pytest.raises((KeyError, TypeError, ValueError)):
        Estate.from_json({**Estate(3).to_json(), **change})


async def test_who_is_not_ready_is_not_become(tmp_path: Path) -> None:
    """The folder has no gateway.json, so the new program ends with 1; nothing of ours is touched."""
    with (tmp_path / "pid").open("w") as lock:
        assert not await succession.is_ready(Estate(lock.fileno()), str(tmp_path), 60)
        assert not os.get_inheritable(lock.fileno())
    assert not await succession.is_ready(Estate(0), str(tmp_path), 0.001), "nor who takes too long"


def test_logins_of_the_widget_go_on() -> None:
    old, new = Sessions(WidgetLimits()), Sessions(WidgetLimits())
    token = old.open("ada", "user", "opcenter-token", 5.0)
    new.take_over(json.loads(json.dumps(old.to_json())))
    found = new.find(token, 6.0)
    assert found == old.find(token, 6.0) and found is not None and token not in json.dumps(new.to_json())


def spawn(*argv: str) -> int:
    return os.posix_spawn(argv[0], argv, os.environ)


@contextmanager
def sleeper() -> Iterator[tuple[int, socket.socket, socket.socket]]:
    """A child that lives, and both ends of its channel."""
    pid = spawn("/bin/sleep", "60")
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    theirs.setblocking(False)
    with ours, theirs:
        yield pid, ours, theirs


async def test_too_many_generations_end_the_oldest() -> None:
    with sleeper() as first, sleeper() as second, sleeper() as third:
        limits = replace(Limits(), generations=2)
        crew = Crew(1, Timeouts(), limits, lambda *_: None, lambda *_: None, lambda *_: None)
        base = {"number": 0, "told": {}, "acked": 0, "retired": True}
        docs = [
            {**base, "generation": number, "pid": pid, "channel": os.dup(ours.fileno())}
            for number, (pid, ours, _) in enumerate((first, second, third), 1)
        ]
        crew.adopt(docs)
        assert json.loads(first[2].recv(100)) == {"stop": True}
        for _, _, theirs in (second, third):
            with pytest.raises(BlockingIOError):
                theirs.recv(100)
        for worker in crew.everyone:
            worker.child.kill()
        await crew.stop()
        assert [worker.child.code for worker in crew.everyone] == [-9, -9, -9]


async def test_a_child_s_end_is_seen_with_its_code() -> None:
    for script, code in (("exit 3", 3), ("kill -TERM $$", -15)):
        child = Child(spawn("/bin/sh", "-c", script))
        async with asyncio.timeout(10):
            assert await child.wait() == code
        child.kill()  # nobody is hit
    with pytest.raises(ProcessLookupError):
        Child(1 << 22)


@pytest.mark.parametrize("deadline", [60.0, 0.3])
async def test_a_retired_worker_ends_with_its_last_connection_or_at_the_deadline(deadline: float) -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    parent = Channel(ours)
    worker = asyncio.create_task(Worker(Channel(theirs), Config(Path())).run())
    async with backend(ok) as (_, host, target):
        with socket.create_server(("127.0.0.1", 0)) as sock:
            port = sock.getsockname()[1]
            rule = {"port_min": 1, "port_max": 65535, "source": "127.0.0.0/8"}
            config = {"control_port": 1, "names": [], "rules": [rule], "trusted_proxies": [], "workers": 1}
            parent.send({"config": config})
            doc = replace(DOC, port=port, address=host, target_port=target)
            parent.send({"listener": asdict(doc)}, (sock.fileno(),))
            kept = await connect("127.0.0.1", port)
            await kept.say(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            head, _ = await kept.answer()
            assert b"connection" not in head.lower()
            parent.send({"retire": deadline})
            parent.send({"commit": 7})
            while (said := await parent.receive()) is not None and "ack" not in said[0]:
                pass
            if deadline > 1:  # idle is no reason to be closed
                await kept.say(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
                head, body = await kept.answer()
                assert body == b"ok" and b"\r\nconnection: close\r\n" in head.lower()
            assert await kept.rest() == b""
            await eventually(worker.done, "it has ended")
            await kept.close()
            waiting = await connect("127.0.0.1", port)  # the socket listens on: another worker has it
            await waiting.close()
    await worker
    parent.close()
