"""WebSockets through one port: kept while the job moves, nothing lost, nothing twice."""

from __future__ import annotations

import asyncio
import json

import pytest

from gateway.config import Limits, Timeouts
from gateway.proxy.frames import Opcode, close_frame, frame
from gateway.types import GateState, JobStatus, WebSocketPolicy
from tests.peers import Conversation, backend, eventually

from .harness import Port, gateway

TEXT = 0x80 | Opcode.TEXT
CLOSE = 0x80 | Opcode.CLOSE
PONG = 0x80 | Opcode.PONG
PING = 0x80 | Opcode.PING
KERNEL = "/api/kernels/k1/channels?session_id=s1"
UPGRADE = ("Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: eA==")


def accept(protocol: str = "") -> bytes:
    line = f"Sec-WebSocket-Protocol: {protocol}\r\n" if protocol else ""
    return f"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n{line}\r\n".encode()


async def dial(gate: Port, path: str = KERNEL, *lines: str) -> tuple[Conversation, bytes]:
    client = await gate.client()
    await client.say(gate.get(path, *UPGRADE, *lines))
    return client, await client.head()


def text(words: str) -> bytes:
    """A client's text frame."""
    return frame(Opcode.TEXT, words.encode(), masked=True)


class Echo:
    """A server that records what it reads, answers pings, and echoes text."""

    def __init__(self, protocol: str = "") -> None:
        self.heads: list[bytes] = []
        self.read: list[bytes] = []
        self.closes: list[bytes] = []
        self.peers: list[Conversation] = []
        self._protocol = protocol

    async def __call__(self, peer: Conversation) -> None:
        self.heads.append(await peer.head())
        await self.talk(peer)

    async def talk(self, peer: Conversation) -> None:
        """From the handshake's answer on."""
        await peer.say(accept(self._protocol))
        self.peers.append(peer)
        while True:
            first, payload = await peer.frame()
            if first == PING:
                await peer.say(frame(Opcode.PONG, payload, masked=False))
            elif first == CLOSE:
                self.closes.append(payload)
                await peer.say(frame(Opcode.CLOSE, payload, masked=False))
                return
            elif first != PONG:
                self.read.append(payload)
                await peer.say(frame(Opcode.TEXT, b"echo " + payload, masked=False))


async def test_the_handshake_is_the_jobs_own() -> None:
    echo = Echo("v1.kernel")
    async with backend(echo) as (_, host, port), gateway(host, port) as gate:
        client, head = await dial(gate, KERNEL, "Sec-WebSocket-Protocol: v1.kernel, v0", "Origin: http://x")
        assert head.startswith(b"HTTP/1.1 101") and b"Sec-WebSocket-Protocol: v1.kernel\r\n" in head
        assert b"Sec-WebSocket-Protocol: v1.kernel, v0\r\n" in echo.heads[0] and b"Origin: http://x" in echo.heads[0]
        await client.say(text("hello"))
        assert await client.frame() == (TEXT, b"echo hello")
        await client.close()
        await eventually(lambda: not gate.gate.relays, "the relay ends with its browser")


async def test_a_refused_handshake_reaches_the_browser_as_it_is() -> None:
    async def script(peer: Conversation) -> None:
        await peer.head()
        await peer.say(b"HTTP/1.1 403 No\r\nX-Why: so\r\nContent-Length: 2\r\n\r\nno")

    async with backend(script) as (_, host, port), gateway(host, port) as gate:
        client, head = await dial(gate)
        assert head.startswith(b"HTTP/1.1 403 No") and b"X-Why: so" in head
        assert await client.exactly(2) == b"no"
        await client.close()


async def test_a_kernel_socket_lives_through_a_move() -> None:
    old, new = Echo(), Echo()
    async with backend(old) as (_, host, port), backend(new) as (_, new_host, new_port):
        async with gateway(host, port) as gate:
            client, _ = await dial(gate)
            await client.say(text("before"))
            assert await client.frame() == (TEXT, b"echo before")
            await gate.hold()
            assert old.closes, "the job's side was closed in good order"
            for number in range(50):
                await client.say(text(f"during {number}"))
            await client.say(frame(Opcode.PING, b"alive?", masked=True))
            assert await client.frame() == (PONG, b"alive?"), "the browser is answered while the job is away"
            await gate.open(new_host, new_port)
            await client.say(text("after"))
            expected = [f"during {number}".encode() for number in range(50)] + [b"after"]
            for one in expected:
                assert await client.frame() == (TEXT, b"echo " + one)
            assert old.read == [b"before"] and new.read == expected
            assert new.heads[0].split(b"\r\n")[0] == old.heads[0].split(b"\r\n")[0]
            assert gate.reports[-1].websockets == 1 and gate.reports[-1].lost_websockets == 0
            await client.close()


async def test_what_was_sent_last_is_read_before_the_job_is_let_go() -> None:
    """The barrier: the gate reports `drained` only when the server has read everything."""
    echo, slow = Echo(), asyncio.Event()

    async def script(peer: Conversation) -> None:
        echo.heads.append(await peer.head())
        await peer.say(accept())
        await slow.wait()
        while True:
            first, payload = await peer.frame()
            if first == PING:
                await peer.say(frame(Opcode.PONG, payload, masked=False))
            elif first == CLOSE:
                await peer.say(frame(Opcode.TEXT, b"last words", masked=False))
                await peer.say(frame(Opcode.CLOSE, payload, masked=False))
                return
            else:
                echo.read.append(payload)

    async with backend(script) as (_, host, port), gateway(host, port) as gate:
        client, _ = await dial(gate)
        await client.say(text("one"))
        holding = asyncio.create_task(gate.hold())
        await eventually(lambda: not gate.gate.is_open, "held")
        assert not any(one.drained for one in gate.reports)
        slow.set()
        await holding
        assert echo.read == [b"one"]
        assert await client.frame() == (TEXT, b"last words"), "what the job still says goes to the browser"
        await client.close()


async def test_a_fragmented_message_is_finished_before_the_job_is_let_go() -> None:
    old, new = Echo(), Echo()
    async with backend(old) as (_, host, port), backend(new) as (_, new_host, new_port):
        async with gateway(host, port) as gate:
            client, _ = await dial(gate)
            await client.say(b"\x01\x82\0\0\0\0ab")  # a text frame that is not final
            assert await client.frame() == (TEXT, b"echo ab")
            holding = asyncio.create_task(gate.hold())
            await eventually(lambda: not gate.gate.is_open, "held")
            await client.say(b"\x80\x82\0\0\0\0cd" + text("next"))
            await holding
            assert old.read == [b"ab", b"cd"]
            await gate.open(new_host, new_port)
            await eventually(lambda: new.read == [b"next"], "what followed went to the new host")
            await client.close()


async def test_frames_that_wait_are_bounded_by_back_pressure() -> None:
    echo = Echo()
    limit = 64 << 10
    async with gateway(limits=Limits(parked_frames=limit)) as gate, backend(echo) as (_, host, port):
        await gate.open(host, port)
        client, _ = await dial(gate)
        await gate.hold()
        big = text("x" * 100_000)
        sending = asyncio.create_task(client.say(big * 200))
        relay = next(iter(gate.gate.relays))
        await eventually(lambda: relay._waiting_size > limit, "the bound is reached")  # type: ignore[attr-defined]
        done, _ = await asyncio.wait({sending}, timeout=0.3)
        assert not done and relay._waiting_size < 2_000_000  # type: ignore[attr-defined]
        async with backend(echo) as (_, new_host, new_port):
            await gate.open(new_host, new_port)

            async def drain() -> None:
                for _ in range(200):
                    await client.frame()

            await asyncio.gather(sending, drain())
            assert len(echo.read) == 200
            await client.close()


async def test_other_protocols_are_told_to_come_back() -> None:
    old, new = Echo(), Echo()
    async with backend(old) as (_, host, port), backend(new) as (_, new_host, new_port):
        async with gateway(host, port) as gate:
            client, _ = await dial(gate, "/p/terminal")
            await gate.hold()
            await gate.open(new_host, new_port)
            first, payload = await client.frame()
            assert first == CLOSE and int.from_bytes(payload[:2]) == 1012
            assert await client.rest() == b""
        assert new.heads == []
        async with gateway(host, port, policy=WebSocketPolicy.RESUME) as gate:
            client, _ = await dial(gate, "/p/terminal")
            await gate.hold()
            await gate.open(new_host, new_port)
            await client.say(text("still here"))
            assert await client.frame() == (TEXT, b"echo still here")
            await client.close()


async def test_close_codes_are_mirrored_both_ways() -> None:
    async def script(peer: Conversation) -> None:
        await peer.head()
        await peer.say(accept() + close_frame(4404, "no such room", masked=False))
        first, payload = await peer.frame()
        assert (first, payload) == (CLOSE, (4404).to_bytes(2))

    async with backend(script) as (_, host, port), gateway(host, port) as gate:
        client, _ = await dial(gate)
        assert await client.frame() == (CLOSE, (4404).to_bytes(2) + b"no such room")
        await client.say(close_frame(4404, "", masked=True))
        assert await client.rest() == b""


async def test_a_lost_server_is_dialled_again_under_a_kernel_socket() -> None:
    echo = Echo()
    async with backend(echo) as (_, host, port), gateway(host, port, timeouts=Timeouts(confirm=0.02)) as gate:
        client, _ = await dial(gate)
        await client.say(text("one"))
        await client.frame()
        (relay,) = gate.gate.relays
        await eventually(lambda: not relay._doubt.exists, "the job has confirmed what was sent")  # type: ignore[attr-defined]
        echo.peers[0].reset()
        await eventually(lambda: len(echo.peers) == 2, "dialled again")
        await client.say(text("two"))
        assert await client.frame() == (TEXT, b"echo two")
        assert gate.losses
        await client.close()


async def test_the_last_closed_is_dialled_first() -> None:
    """Jupyter keeps its replay buffer for the session whose socket closed last."""
    old, new = Echo(), Echo()
    async with backend(old) as (_, host, port), backend(new) as (_, new_host, new_port):
        async with gateway(host, port) as gate:
            clients = [(await dial(gate, f"/api/kernels/k/channels?session_id={name}"))[0] for name in ("a", "b", "c")]
            await gate.hold()
            closed = [relay.parked_at for relay in gate.gate.relays]
            assert len(set(closed)) == 3
            last = max(gate.gate.relays, key=lambda one: one.parked_at)
            await gate.open(new_host, new_port)
            assert new.heads[0].split(b" ")[1] == last._head.split(b" ")[1]  # type: ignore[attr-defined]
            for client in clients:
                await client.close()


async def test_a_broken_frame_ends_both_sides_with_1002() -> None:
    echo = Echo()
    async with backend(echo) as (_, host, port), gateway(host, port) as gate:
        client, _ = await dial(gate)
        await client.say(b"\x81\x01a")  # not masked
        first, payload = await client.frame()
        assert first == CLOSE and int.from_bytes(payload[:2]) == 1002


async def test_a_server_that_comes_back_with_another_subprotocol_is_not_used() -> None:
    old, new = Echo("v1"), Echo("v2")
    async with backend(old) as (_, host, port), backend(new) as (_, new_host, new_port):
        async with gateway(host, port) as gate:
            client, _ = await dial(gate)
            await gate.hold()
            await gate.open(new_host, new_port)
            first, payload = await client.frame()
            assert first == CLOSE and int.from_bytes(payload[:2]) == 1012
            assert gate.reports[-1].lost_websockets == 1


@pytest.mark.parametrize("known", [0, 3, 5])
async def test_a_terminals_replay_is_cut(known: int) -> None:
    chunks = ["$ ls\r\n", "a b c\r\n", "$ ", "echo", "\r\n"]

    def say(kind: str, value: object) -> bytes:
        return frame(Opcode.TEXT, json.dumps([kind, value]).encode(), masked=False)

    def server(first: list[bytes]):  # type: ignore[no-untyped-def]
        async def script(peer: Conversation) -> None:
            await peer.head()
            await peer.say(accept() + b"".join(first))
            while (got := await peer.frame())[0] != CLOSE:
                if got[0] == PING:
                    await peer.say(frame(Opcode.PONG, got[1], masked=False))

        return script

    old = server([say("setup", {})] + [say("stdout", chunk) for chunk in chunks[:known]])
    new = server([say("setup", {}), say("stdout", "".join(chunks)), say("stdout", "new")])
    async with backend(old) as (_, host, port), backend(new) as (_, new_host, new_port):
        async with gateway(host, port, timeouts=Timeouts(close=0.2)) as gate:
            client, _ = await dial(gate, "/terminals/websocket/1")
            got = [json.loads((await client.frame())[1]) for _ in range(known + 1)]
            await gate.hold()
            await gate.open(new_host, new_port)
            while got[-1] != ["stdout", "new"]:
                got.append(json.loads((await client.frame())[1]))
            await client.close()
    assert sum(one[0] == "setup" for one in got) == 1
    assert "".join(one[1] for one in got if one[0] == "stdout") == "".join(chunks) + "new"


OFFER = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits"
ALONE = "permessage-deflate; client_no_context_takeover; server_no_context_takeover"


def agree(extension: str) -> bytes:
    return accept().replace(b"\r\n\r\n", f"\r\nSec-WebSocket-Extensions: {extension}\r\n\r\n".encode())


@pytest.mark.parametrize("answered", [ALONE, "permessage-deflate"])
async def test_deflate_carries_on_only_without_context(answered: str) -> None:
    """A compressed frame that refers to earlier ones means nothing on a new connection."""
    heads: list[bytes] = []

    async def script(peer: Conversation) -> None:
        heads.append(await peer.head())
        await peer.say(agree(answered))
        while True:
            first, payload = await peer.frame()
            if first == PING:
                await peer.say(frame(Opcode.PONG, payload, masked=False))
            elif first == CLOSE:
                await peer.say(frame(Opcode.CLOSE, payload, masked=False))
                return
            else:
                await peer.say(bytes((first, len(payload))) + payload)

    async with backend(script) as (_, host, port), backend(script) as (_, new_host, new_port):
        async with gateway(host, port) as gate:
            client, _ = await dial(gate, KERNEL, OFFER)
            assert f"Sec-WebSocket-Extensions: {ALONE}\r\n".encode() in heads[0]
            compressed = b"\xc1\x83\0\0\0\0abc"
            await client.say(compressed)
            assert await client.frame() == (0xC1, b"abc")
            await gate.hold()
            await gate.open(new_host, new_port)
            first, payload = await client.frame() if answered != ALONE else (0, b"")
            if answered == ALONE:
                await client.say(compressed)
                assert await client.frame() == (0xC1, b"abc")
            else:
                assert first == CLOSE and int.from_bytes(payload[:2]) == 1012


async def test_what_does_not_carry_on_may_agree_on_any_extension() -> None:
    heads: list[bytes] = []

    async def script(peer: Conversation) -> None:
        heads.append(await peer.head())
        await peer.say(accept())

    async with backend(script) as (_, host, port), gateway(host, port) as gate:
        await dial(gate, "/other", OFFER)
        assert OFFER.encode() in heads[0]


async def test_a_gate_that_opens_while_it_still_drains_loses_no_socket() -> None:
    """The checkpoint failed at once, or nobody waited for the drain: the relay parks to its end, then goes on."""
    echo, silent = Echo(), asyncio.Event()

    async def slow(peer: Conversation) -> None:
        await peer.head()
        await peer.say(accept())
        while (got := await peer.frame())[0] != CLOSE:
            if got[0] == PING:
                silent.set()  # and no pong: the barrier's deadline has to pass
        await peer.say(frame(Opcode.CLOSE, got[1], masked=False))

    patient = Timeouts(barrier=0.3)
    async with backend(slow) as (_, host, port), backend(echo) as (_, new_host, new_port):
        async with gateway(host, port, timeouts=patient, policy=WebSocketPolicy.RESUME) as gate:
            client, _ = await dial(gate)
            gate.follow(gate=GateState.HELD, status=JobStatus.FLOATING)
            await silent.wait()
            await gate.open(new_host, new_port)
            first, payload = await client.frame()
            assert first == CLOSE and int.from_bytes(payload[:2]) == 1012, "not confirmed, so it is told to come back"
            assert not gate.gate.relays


async def test_the_question_whether_a_frame_was_read_never_stands_inside_of_one() -> None:
    echo = Echo()
    quick = Timeouts(confirm=0.01)
    async with backend(echo) as (_, host, port), gateway(host, port, timeouts=quick) as gate:
        client, _ = await dial(gate)
        whole = text("x" * 1000)
        await client.say(whole[:500])
        (relay,) = gate.gate.relays
        await eventually(lambda: relay._doubt.exists, "half a frame went on")  # type: ignore[attr-defined]
        first = relay._doubt.timer  # type: ignore[attr-defined]
        await eventually(lambda: relay._doubt.timer is not first, "the question's time came")  # type: ignore[attr-defined]
        await client.say(whole[500:])
        assert await client.frame() == (TEXT, b"echo " + b"x" * 1000)
        await eventually(lambda: not relay._doubt.exists, "asked after its end")  # type: ignore[attr-defined]
        assert echo.read == [b"x" * 1000]


async def test_the_rest_of_a_message_does_not_go_to_another_connection() -> None:
    """Its first fragment was read for certain; the server that has it is lost."""
    read: list[tuple[int, tuple[int, bytes]]] = []
    count = 0

    async def script(peer: Conversation) -> None:
        nonlocal count
        await peer.head()
        count += 1
        me = count
        await peer.say(accept())
        while True:
            first, payload = await peer.frame()
            if first == PING:
                await peer.say(frame(Opcode.PONG, payload, masked=False))
                if me == 1:
                    await settled.wait()
                    peer.reset()
                    return
            else:
                read.append((me, (first, payload)))

    settled = asyncio.Event()
    async with backend(script) as (_, host, port), gateway(host, port, timeouts=Timeouts(confirm=0.02)) as gate:
        client, _ = await dial(gate)
        await client.say(b"\x01\x85\0\0\0\0Hello")
        (relay,) = gate.gate.relays
        await eventually(lambda: relay._doubt.sent > 0 and not relay._doubt.exists, "confirmed")  # type: ignore[attr-defined]
        settled.set()
        first, payload = await client.frame()
        assert first == CLOSE and int.from_bytes(payload[:2]) == 1012
    assert read == [(1, (1, b"Hello"))]
