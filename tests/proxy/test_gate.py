"""Before a job that moves: who waits, who goes on when, what is cut, and what is sent again."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from gateway.config import Limits, Timeouts
from gateway.types import GateState, JobStatus
from tests.peers import Conversation, backend, eventually

from .harness import NAVIGATION, OK, gateway, keep_answering, values_of


async def test_held_requests_wait_and_go_on_in_order_to_the_new_address() -> None:
    order: list[bytes] = []

    async def script(peer: Conversation) -> None:
        head = await peer.head()
        order.append(head.split(b" ")[1])
        await peer.say(OK)

    async with gateway(limits=Limits(release_width=1)) as gate, backend(script) as (_, host, port):
        asks = []
        for number in range(20):
            asks.append(asyncio.create_task(gate.ask(gate.get(f"/{number}"))))
            await eventually(lambda n=number: gate.gate.waiting == n + 1, "in line")  # type: ignore[misc]
        await gate.open(host, port)
        answers = await asyncio.gather(*asks)
    assert all(body == b"ok" for _, body in answers)
    assert order == [b"/%d" % number for number in range(20)]
    assert gate.reports[-1].waited == 20


async def test_what_was_held_goes_on_a_few_at_a_time_and_long_polls_hold_nobody_up() -> None:
    now, most, answer = 0, 0, asyncio.Event()

    async def script(peer: Conversation) -> None:
        nonlocal now, most
        head = await peer.head()
        now, most = now + 1, max(most, now + 1)
        if b"/poll" in head:
            now -= 1  # it only waits
            await answer.wait()
        else:
            await asyncio.sleep(0.01)
            now -= 1
        await peer.say(OK)

    times, limits = Timeouts(release=0.5), Limits(release_width=4)
    async with gateway(timeouts=times, limits=limits) as gate, backend(script) as (_, host, port):
        paths = [f"/{'poll' if number % 10 == 0 else 'page'}/{number}" for number in range(60)]
        asks = [asyncio.create_task(gate.ask(gate.get(path))) for path in paths]
        await eventually(lambda: gate.gate.waiting == len(paths), "in line")
        await gate.open(host, port)
        pages = [ask for ask, path in zip(asks, paths, strict=True) if "page" in path]
        await asyncio.wait_for(asyncio.gather(*pages), 10)
        assert not asks[0].done() and 2 <= most <= 4
        answer.set()
        assert all(body == b"ok" for _, body in await asyncio.gather(*asks))


async def test_an_upload_under_way_does_not_hold_a_move_up_and_arrives_whole_once() -> None:
    got: list[bytes] = []
    begun = asyncio.Event()

    async def script(peer: Conversation) -> None:
        await peer.head()
        begun.set()
        got.append(await peer.exactly(10))
        await peer.say(OK)

    times = Timeouts(drain=30.0, drain_replayable=0.05)
    async with backend(script) as (_, host, port), backend(script) as (_, new_host, new_port):
        async with gateway(host, port, timeouts=times) as gate:
            client = await gate.client()
            await client.say(b"PUT /file HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 10\r\n\r\n01234")
            await begun.wait()
            await asyncio.wait_for(gate.hold(), 5)
            await client.say(b"56789")
            await gate.open(new_host, new_port)
            assert (await client.answer())[1] == b"ok"
    assert got == [b"0123456789"]


async def test_a_slow_reader_does_not_hold_a_move_up() -> None:
    async def script(peer: Conversation) -> None:
        await peer.head()
        await peer.say(b"HTTP/1.1 200 OK\r\nContent-Length: 50000000\r\n\r\n")
        with suppress(ConnectionError):
            await peer.say(b"x" * 50_000_000)

    async with backend(script) as (_, host, port), gateway(host, port, timeouts=Timeouts(drain=0.3)) as gate:
        for method in (b"GET", b"POST"):  # the straight path, and the other
            client = await gate.client()
            await client.say(method + b" / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            await client.head()
        await asyncio.wait_for(gate.hold(), 5)
        assert not gate.gate.hold.inside


async def test_identical_requests_that_wait_are_asked_once_and_all_answered() -> None:
    asked: list[bytes] = []

    async def script(peer: Conversation) -> None:
        while True:
            head = await peer.head()
            asked.append(head.split(b" ")[1])
            size = 100_000 if b"/large" in head else 5
            await peer.say(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nX-Job: 1\r\n\r\n" % size + b"x" * size)

    async with gateway() as gate, backend(script) as (_, host, port):
        me, other = "Cookie: login=me", "Cookie: login=other"
        polls = [asyncio.create_task(gate.ask(gate.get("/poll", me))) for _ in range(8)]
        polls += [asyncio.create_task(gate.ask(gate.get("/poll", other)))]
        large = [asyncio.create_task(gate.ask(gate.get("/large", me))) for _ in range(3)]
        await eventually(lambda: gate.gate.counts["shared"] == 9 and gate.gate.waiting == 3, "they wait for each other")
        leaver = await gate.client()
        await leaver.say(gate.get("/poll", me))
        await eventually(lambda: gate.gate.counts["shared"] == 10, "one more")
        await leaver.close()
        await gate.open(host, port)
        answers = await asyncio.gather(*polls)
        assert {(head.split(b"\r\n")[0], body) for head, body in answers} == {(b"HTTP/1.1 200 OK", b"xxxxx")}
        assert all(len(body) == 100_000 for _, body in await asyncio.gather(*large))
        assert all(b"X-Job: 1" in head for head, _ in answers)
    assert asked.count(b"/poll") == 2, "once for each login"
    assert asked.count(b"/large") == 3, "a large answer is not shared"


async def test_who_waits_for_anothers_answer_asks_itself_if_that_one_leaves() -> None:
    async def script(peer: Conversation) -> None:
        await peer.head()
        await peer.say(OK)

    async with gateway() as gate, backend(script) as (_, host, port):
        first = await gate.client()
        await first.say(gate.get("/poll"))
        await eventually(lambda: gate.gate.waiting == 1, "in line")
        second = asyncio.create_task(gate.ask(gate.get("/poll")))
        await eventually(lambda: gate.gate.counts["shared"] == 1, "behind the first")
        await first.close()
        await eventually(lambda: gate.gate.counts["held"] == 2 and gate.gate.waiting == 1, "in line itself")
        await gate.open(host, port)
        assert (await second)[1] == b"ok"


async def test_a_navigation_gets_the_waiting_page_and_an_api_call_waits() -> None:
    async with gateway() as gate:
        head, body = await gate.ask(gate.get("/lab", NAVIGATION))
        assert head.startswith(b"HTTP/1.1 503 ") and values_of(head, b"retry-after")
        assert b"<!doctype html>" in body.lower() and b"/.gw/l." in body
        gate.follow(gate=GateState.SUSPENDED, status=JobStatus.SUSPENDED)
        _, body = await gate.ask(gate.get("/lab", NAVIGATION))
        assert b"resume" in body.lower()
        gate.follow(gate=GateState.ENDED, status=JobStatus.CANCELLED)
        head, body = await gate.ask(gate.get("/api/kernels"))
        assert head.startswith(b"HTTP/1.1 503 ") and b"ENDED" in body


async def test_the_hold_has_an_end_and_a_full_line_sheds_its_oldest() -> None:
    async with gateway(timeouts=Timeouts(hold=0.2)) as gate:
        head, body = await gate.ask(gate.get("/"))
        assert head.startswith(b"HTTP/1.1 503 ") and b"HOLD_TIMEOUT" in body and values_of(head, b"retry-after")
    async with gateway(limits=Limits(waiting_per_job=1)) as gate:
        first = asyncio.create_task(gate.ask(gate.get("/1")))
        await eventually(lambda: gate.gate.waiting == 1, "in line")
        second = asyncio.create_task(gate.ask(gate.get("/2")))
        assert b"HOLD_FULL" in (await first)[1]
        second.cancel()
        await asyncio.gather(second, return_exceptions=True)
        await eventually(lambda: gate.gate.waiting == 0, "a client that leaves gives its place up")


async def test_a_request_inside_may_finish_while_the_gate_drains() -> None:
    arrived, finish = asyncio.Event(), asyncio.Event()

    async def script(peer: Conversation) -> None:
        await peer.answer()
        arrived.set()
        await finish.wait()
        await peer.say(OK)

    async with backend(script) as (_, host, port), gateway(host, port) as gate:
        ask = asyncio.create_task(gate.ask(b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1\r\n\r\nx"))
        await arrived.wait()
        draining = asyncio.create_task(gate.hold())
        await eventually(lambda: not gate.gate.is_open, "held")
        assert not gate.reports[-1].drained
        finish.set()
        assert (await ask)[1] == b"ok"
        await draining


async def test_a_long_poll_is_sent_again_after_the_move_and_a_post_gets_an_honest_error() -> None:
    seen: list[bytes] = []

    async def stuck(peer: Conversation) -> None:
        seen.append((await peer.answer())[0].split(b"\r\n")[0])
        await peer.rest()

    async def alive(peer: Conversation) -> None:
        seen.append((await peer.answer())[0].split(b"\r\n")[0])
        await peer.say(OK)

    fast = Timeouts(drain=0.3, drain_replayable=0.05)
    async with backend(stuck) as (_, host, port), gateway(host, port, timeouts=fast) as gate:
        poll = asyncio.create_task(gate.ask(gate.get("/poll")))
        post = asyncio.create_task(gate.ask(b"POST /rpc HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1\r\n\r\nx"))
        await eventually(lambda: len(seen) == 2, "both arrived")
        await gate.hold()
        head, body = await post
        assert head.startswith(b"HTTP/1.1 503 ") and b"LOST" in body
        async with backend(alive) as (_, new_host, new_port):
            await gate.open(new_host, new_port)
            assert (await poll)[1] == b"ok"
    assert seen.count(b"POST /rpc HTTP/1.1") == 1 and seen.count(b"GET /poll HTTP/1.1") == 2


async def test_a_job_that_refuses_connections_is_reported_and_waited_for() -> None:
    async with backend(keep_answering) as (server, host, port), gateway(host, port) as gate:
        await server.stop()
        ask = asyncio.create_task(gate.ask(gate.get("/")))
        await eventually(lambda: bool(gate.losses), "reported as lost")
        async with backend(keep_answering) as (_, new_host, new_port):
            await gate.open(new_host, new_port)
            assert (await ask)[1] == b"ok"


async def test_a_held_upload_is_taken_in_and_one_that_was_cut_is_sent_again() -> None:
    """A PUT of several MiB: read to disk while the job is away, repeated when its server goes in the middle."""
    payload = bytes(range(256)) * (16 << 10)
    begun, seen = asyncio.Event(), []

    async def stuck(peer: Conversation) -> None:
        await peer.head()
        await peer.exactly(1000)
        begun.set()
        await peer.rest()

    async def alive(peer: Conversation) -> None:
        seen.append((await peer.answer())[1])
        await peer.say(OK)

    fast = Timeouts(drain=0.3, drain_replayable=0.05)
    async with gateway(timeouts=fast) as gate:
        client = await gate.client()
        await client.say(b"PUT /file HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: %d\r\n\r\n" % len(payload))
        async with asyncio.timeout(5):
            await client.say(payload)  # nobody answers yet, and yet it is taken
            await eventually(lambda: gate.gate._held_bytes >= len(payload), "on disk")
        async with backend(stuck) as (_, host, port):
            await gate.open(host, port)
            await begun.wait()
            await gate.hold()
        async with backend(alive) as (_, host, port):
            await gate.open(host, port)
            assert (await client.answer())[1] == b"ok"
        assert seen == [payload]
        await eventually(lambda: gate.gate._held_bytes == 0, "its space is free again")


async def test_held_bodies_have_a_budget_and_then_push_back() -> None:
    async with gateway(limits=Limits(held_bytes_per_job=2 << 20)) as gate:
        client = await gate.client()
        await client.say(b"PUT /file HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: %d\r\n\r\n" % (64 << 20))
        sending = asyncio.create_task(client.say(bytes(64 << 20)))
        await eventually(lambda: gate.gate._held_bytes >= 1 << 20, "the budget is used")
        done, _ = await asyncio.wait({sending}, timeout=0.3)
        assert not done and gate.gate._held_bytes <= 2 << 20
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
        client.reset()
        await eventually(lambda: gate.gate._held_bytes == 0, "a client that leaves frees its space")
