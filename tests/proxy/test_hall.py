"""Bounds of the whole gateway on what waits, over the jobs of one worker."""

from __future__ import annotations

import asyncio

from gateway.proxy.hall import Hall
from tests.peers import Conversation, backend, eventually
from tests.proxy.harness import gateway

MIB = 1 << 20


async def ok(peer: Conversation) -> None:
    while True:
        head = await peer.head()
        length = head.lower().partition(b"content-length: ")[2].partition(b"\r")[0]
        await peer.exactly(int(length or 0))
        await peer.say(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")


def test_the_oldest_of_all_is_shed() -> None:
    hall, shed = Hall(6, 10), []
    hall.share(2)
    for name in "abcd":
        hall.enter(name, lambda name=name: shed.append(name))  # type: ignore[misc]
    assert (shed, hall.waiting) == (["a"], 3)
    hall.leave("b")
    hall.leave("b")
    hall.enter("e", lambda: shed.append("e"))
    assert (shed, hall.waiting) == (["a"], 3)


def test_bytes_are_shared() -> None:
    hall = Hall(6, 10)
    assert hall.take(10) and not hall.take(1)
    hall.give(4)
    assert hall.take(4) and not hall.take(1)
    hall.share(2)
    hall.give(9)
    assert not hall.take(5) and hall.take(4)


async def test_the_one_that_waits_longest_makes_room_whichever_job_it_waits_for() -> None:
    hall, shed = Hall(3, 1 << 30), []
    async with backend(ok) as (_, host, port), gateway(hall=hall) as gate:
        tasks = [asyncio.create_task(gate.ask(gate.get("/first")))]
        await eventually(lambda: hall.waiting == 1, "the first waits")
        hall.enter("another job's", lambda: shed.append(True))
        for path in ("/second", "/third"):
            tasks.append(asyncio.create_task(gate.ask(gate.get(path))))
            await eventually(lambda: hall.waiting == 3, "it waits")
        head, body = await tasks[0]
        assert head.startswith(b"HTTP/1.1 503") and b"GATEWAY_FULL" in body
        assert b"\r\nretry-after: 5\r\n" in head.lower()
        assert not shed and not any(task.done() for task in tasks[1:])
        tasks.append(asyncio.create_task(gate.ask(gate.get("/fourth"))))
        await eventually(lambda: bool(shed), "the other job's is the oldest now")
        await gate.open(host, port)
        assert [body for _, body in await asyncio.gather(*tasks[1:])] == [b"ok"] * 3
        assert hall.waiting == 0


async def test_bodies_of_other_jobs_fill_the_gateway_and_nothing_is_lost() -> None:
    """A body is not read while there is no room for it; it goes on when the job is back."""
    hall = Hall(10, 8 * MIB)
    assert hall.take(7 * MIB), "another job's"
    async with backend(ok) as (_, host, port), gateway(hall=hall) as gate:
        size = 4 * MIB
        head = f"PUT /x HTTP/1.1\r\nHost: 127.0.0.1:{gate.number}\r\nContent-Length: {size}\r\n\r\n"
        upload = asyncio.create_task(gate.ask(head.encode() + b"x" * size))
        await eventually(lambda: hall.waiting == 1, "it waits")
        await eventually(lambda: hall.room < MIB, "what there is room for is taken in")
        await gate.open(host, port)
        assert (await upload)[1] == b"ok"
        await eventually(lambda: hall.room == MIB, "every byte was given back")
