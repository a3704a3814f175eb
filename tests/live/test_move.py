"""The heart: a real JupyterLab in a real Chromium keeps printing while its job moves for real."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.ports import free_ports

from .notebook import Notebook, browser, notebook, screenshot_folder
from .product import Product, product

pytestmark = [pytest.mark.live, pytest.mark.browser, pytest.mark.criu, pytest.mark.root]

HOLD = "import os\nvalue = 'kept in memory'\nprint(os.getpid(), value)"
PRINT = """import time
for number in range(100_000):
    print('tick', number, flush=True)
    time.sleep(0.1)"""
STILL = "print(os.getpid(), value)"


async def lines(page: Notebook) -> list[int]:
    """The numbers that the printing cell shows."""
    return [int(one) for one in re.findall(r"tick (\d+)", await page.output(1))]


async def printing_goes_on(page: Notebook) -> None:
    """New lines come."""
    seen = await lines(page)
    await page.until(1, f"tick {seen[-1] + 5}")


async def picture(page: Notebook, name: str) -> None:
    folder = screenshot_folder()
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        await page.page.screenshot(path=folder / f"{name}.png")


async def wait_for(running: Product, status: str) -> dict[str, object]:
    job = await running.job()
    await running.float("wait", "-j", str(job["id"]), "--status", status)
    return await running.job()


async def test_two_moves_and_a_suspend_while_a_cell_prints(tmp_path: Path) -> None:
    low, *_, high = free_ports(12)
    async with product(tmp_path, (low, high - 1), high) as running, browser() as chrome:
        first = await running.job()
        assert first["gateway"]["accessURLs"][0] == running.access_url  # type: ignore[index]
        async with notebook(chrome, running.access_url, [HOLD, PRINT, STILL]) as page:
            await page.run(0)
            await page.until(0, "kept in memory")
            held = await page.output(0)
            await page.run(1)
            await page.until(1, "tick 10")
            hosts = [first["address"]]
            for number in (1, 2):
                await running.float("migrate", "-j", str(first["id"]), "-f", "--sync")
                moved = await running.job()
                assert moved["status"] == "Executing"
                hosts.append(moved["address"])
                await printing_goes_on(page)
                await picture(page, f"after-move-{number}")
            await running.float("suspend", "-j", str(first["id"]), "-f")
            await wait_for(running, "Suspended")
            assert not _namespaces_of(hosts), "a suspended job has no host"
            await picture(page, "suspended")
            await running.float("resume", "-j", str(first["id"]))
            last = await wait_for(running, "Executing")
            hosts.append(last["address"])
            await printing_goes_on(page)

            await page.page.locator(".jp-CodeCell .cm-content").nth(1).click()
            await page.page.keyboard.press("Escape")
            await page.page.keyboard.press("i")
            await page.page.keyboard.press("i")
            await page.until(1, "KeyboardInterrupt")
            shown = await lines(page)
            assert shown == list(range(len(shown))), "every line there, once, in order"
            await page.run(2)
            await page.until(2, "kept in memory")
            assert await page.output(2) == held, "the same process, the variable in its memory"

            assert page.loads == 0, "the page was never loaded again"
            assert page.sockets and not page.closed, "no kernel WebSocket closed"
            assert await page.dialogs() == []
            assert len(set(hosts)) == 4, f"a different host each time: {hosts}"
            assert last["id"] == first["id"] and last["gateway"] == first["gateway"]
            assert (await page.page.goto(running.access_url.partition("?")[0])).status == 200  # type: ignore[union-attr]
            assert "/login" not in page.page.url, "the login is unchanged"
    assert "saved" in running.said.lower()
    assert not _namespaces_of(hosts), "Ctrl-C leaves no namespace"


def _namespaces_of(hosts: list[object]) -> list[str]:
    """Network namespaces that have one of these addresses."""
    names = subprocess.run(["ip", "-json", "netns", "list"], capture_output=True, text=True, check=True).stdout
    found = []
    for one in json.loads(names or "[]"):
        shown = subprocess.run(
            ["ip", "-json", "-n", one["name"], "addr"], capture_output=True, text=True, check=False
        ).stdout
        if any(str(host) in shown for host in hosts):
            found.append(one["name"])
    return found


async def test_ctrl_c_and_the_same_session_again(tmp_path: Path) -> None:
    low, *_, high = free_ports(12)
    async with product(tmp_path, (low, high - 1), high) as running, browser() as chrome:
        before, url, (user, password) = await running.job(), running.access_url, running.login
        async with notebook(chrome, url, [HOLD, STILL]) as page:
            await page.run(0)
            await page.until(0, "kept in memory")
            held = await page.output(0)
    async with product(tmp_path, (low, high - 1), high) as running, browser() as chrome:
        after = await running.job()
        assert (after["id"], running.access_url) == (before["id"], url)
        assert password not in running.said, "a password is shown once"
        await running.float("login", "-u", user, "-p", password, "-a", f"http://127.0.0.1:{high}")
        page = await (await chrome.new_context(viewport={"width": 1280, "height": 900})).new_page()
        again = Notebook(page)
        await page.goto(f"{urlsplit(url).scheme}://{urlsplit(url).netloc}/lab/tree/probe.ipynb?{urlsplit(url).query}")
        await page.locator(".jp-CodeCell .cm-content").nth(1).wait_for(timeout=90_000)
        await again.run(1)
        await again.until(1, "kept in memory")
        assert await again.output(1) == held, "the kernel came back with its memory"
