"""What a user's session survives: the OpCenter killed, a worker killed, `float up` started again over what runs."""

from __future__ import annotations

import json
import os
import signal
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from tests.peers import eventually
from tests.ports import free_ports

from .notebook import browser, notebook
from .product import Product, children, product

pytestmark = [pytest.mark.live, pytest.mark.browser, pytest.mark.criu, pytest.mark.root]

COUNT = """import time
value = 'kept in memory'
for number in range(100_000):
    print('tick', number, flush=True)
    time.sleep(0.1)"""


def gateway_pid(running: Product) -> int:
    (pid,) = (running.home / "state" / "gateways").glob("*/pid")
    found: int = json.loads(pid.read_text())["pid"]
    return found


async def test_the_opcenter_is_killed_and_the_user_goes_on_working(tmp_path: Path) -> None:
    low, *_, high = free_ports(12)
    async with browser() as chrome, AsyncExitStack() as stack:
        async with product(tmp_path, (low, high - 1), high) as running:
            url, before = running.access_url, await running.job()
            page = await stack.enter_async_context(notebook(chrome, url, [COUNT]))
            await page.run(0)
            await page.until(0, "tick 5")
            running.process.kill()
            await running.process.wait()
            await page.until(0, "tick 30")
            assert not page.closed and not page.loads
        async with product(tmp_path, (low, high - 1), high) as again:
            assert (await again.job())["id"] == before["id"] and again.access_url == url
            await again.float("migrate", "-j", str(before["id"]), "-f", "--sync")
            last = (await page.output(0)).split()[-1]
            await page.until(0, f"tick {int(last) + 10}")
            assert (await again.job())["address"] != before["address"]
            assert not page.closed and not page.loads and await page.dialogs() == []


async def test_a_worker_is_killed_and_a_reload_finds_everything(tmp_path: Path) -> None:
    low, *_, high = free_ports(12)
    async with product(tmp_path, (low, high - 1), high) as running, browser() as chrome:
        async with notebook(chrome, running.access_url, ["value = 41", "print(value + 1)"]) as page:
            await page.run(0)
            await page.until_done(0)
            workers = children(gateway_pid(running))
            assert workers
            for worker in workers:
                os.kill(worker, signal.SIGKILL)
            await page.page.reload()
            await page.page.get_by_text("| Idle").wait_for(timeout=60_000)
            await page.run(1)
            await page.until(1, "42")
            await eventually(lambda: not set(workers) & set(children(gateway_pid(running))), "new workers")
