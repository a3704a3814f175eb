"""How long held requests wait on after a move: from the snapshot that opens the gate until the last is answered."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass

from .floatgate import FloatGate, held, opened
from .link import OpCenter, opcenter
from .load import Sample, Take, spent
from .peer import Peer
from .processes import BenchFailed
from .stage import Stage

DEADLINE = 120.0  # seconds for all answers


def release(count: int) -> Take:
    """Seconds for all, and the proxy's CPU time for each, from arrival to answer."""

    def take(stage: Stage, peer: Peer, seconds: float) -> Sample:
        return asyncio.run(_release(stage, count))

    return take


async def _release(stage: Stage, count: int) -> Sample:
    async with opcenter() as center:
        with stage.private("floatgate") as room:
            gateway = FloatGate(room, [room.backends.documents], opcenter=center.url)
            await asyncio.to_thread(gateway.start)
            return await _move(center, gateway, count)


async def _move(center: OpCenter, gateway: FloatGate, count: int) -> Sample:
    await center.until("it is linked", lambda: bool(center.links))
    await center.publish(held(gateway.snapshot, 2))
    await center.acked(2)
    before = spent(gateway.proxy)
    requests = [asyncio.create_task(_ask(gateway.ports[0], number)) for number in range(count)]
    await center.waiting(count)
    opening = time.monotonic()
    await center.publish(opened(gateway.snapshot, 3))
    answers = await asyncio.gather(*requests)
    right = [one for one in answers if one.right]
    if not right:
        raise BenchFailed("none of the held requests was answered with 200")
    times = sorted(one.at - opening for one in right)
    values = {"first_s": times[0], "last_s": times[-1], "cpu_us": (spent(gateway.proxy) - before) / count * 1e6}
    return Sample(values, count - len(right))


@dataclass(frozen=True, slots=True)
class _Answer:
    at: float
    right: bool


async def _ask(port: int, number: int) -> _Answer:
    """Each asks for a target of its own: a gateway may answer the same question once."""
    try:
        async with asyncio.timeout(DEADLINE):
            own = (f"127.0.0.{2 + number % 8}", 0)  # a gateway bounds the connections of one address
            reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=own)
            head = f"GET /1k?{number} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAccept: */*\r\nConnection: close\r\n\r\n"
            writer.write(head.encode())
            answer = await reader.read()
            writer.close()
    except (OSError, TimeoutError):
        answer = b""
    begin = answer.find(b"\r\n\r\n") + 4
    return _Answer(time.monotonic(), answer.startswith(b"HTTP/1.1 200") and len(answer) - begin == 1024)
