"""An unmodified JupyterLab with a kernel, moved by CRIU: the kernel and its variable are still there."""

from __future__ import annotations

import importlib.util
import json
import sys
import time
import uuid
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from gateway.engines.base import PlacementId, Program
from tests.engines.bench import DEADLINE, until
from tests.engines.makers import FOUND, capsules
from tests.engines.test_capsules import nothing_left
from tests.ports import free_port

pytestmark = [
    pytest.mark.root,
    pytest.mark.criu,
    pytest.mark.skipif(FOUND.tools is None, reason="no capsules here"),
    pytest.mark.skipif(importlib.util.find_spec("jupyterlab") is None, reason="no JupyterLab here"),
]
_TOKEN = "a-token-of-this-test"
_WORDS = ("-m", "jupyter", "lab", "--no-browser", "--allow-root", "--ServerApp.ip={address}")


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[Any]:
    engine = capsules(tmp_path / "state")
    await engine.open()
    yield engine
    for placement in engine.known():
        await engine.stop(placement, 1)
    await engine.close()
    nothing_left(tmp_path)


@pytest.fixture
def lab(tmp_path: Path) -> Program:
    port = free_port()
    more = (f"--ServerApp.port={port}", f"--IdentityProvider.token={_TOKEN}", "--ServerApp.root_dir=.")
    environ = {"PATH": str(Path(sys.executable).parent) + ":/usr/bin:/bin", "HOME": str(tmp_path)}
    program = Program((sys.executable, *_WORDS, *more), environ, tmp_path, tmp_path / "out", tmp_path / "err")
    return replace(program, ports=(port,))


async def test_a_kernel_moves_with_its_variable(engine: Any, lab: Program, tmp_path: Path) -> None:
    old, new, image = PlacementId("old"), PlacementId("new"), tmp_path / "image"
    running = await engine.start(old, lab)
    headers = {"Authorization": f"token {_TOKEN}"}
    async with aiohttp.ClientSession(headers=headers, timeout=aiohttp.ClientTimeout(DEADLINE)) as client:
        here = f"http://{running.address}:{lab.ports[0]}"
        await _answers(client, here)
        async with client.post(f"{here}/api/kernels", json={"name": "python3"}) as response:
            kernel = (await response.json())["id"]
        assert await _run(client, here, kernel, "kept = 41; import os; print(os.getpid())") != ""
        await engine.sever(old)
        begun = time.monotonic()
        await engine.checkpoint(old, image)
        saved = time.monotonic()
        running = await engine.restore(new, lab, image)
        back = time.monotonic()
        there = f"http://{running.address}:{lab.ports[0]}"
        assert there != here
        await _answers(client, there)
        assert await _run(client, there, kernel, "print(kept + 1)") == "42\n"
    size = sum(path.stat().st_size for path in image.iterdir()) >> 20
    print(f"checkpoint {saved - begun:.2f} s, restore {back - saved:.2f} s, image {size} MiB")
    await engine.stop(new, 10)
    await engine.discard(image)


async def _answers(client: aiohttp.ClientSession, url: str) -> None:
    async def so() -> bool:
        try:
            async with client.get(f"{url}/api/status") as response:
                return response.status == 200
        except aiohttp.ClientConnectionError:
            return False

    await until(so)


async def _run(client: aiohttp.ClientSession, url: str, kernel: str, code: str) -> str:
    """Run code in a kernel: what it prints."""
    message = uuid.uuid4().hex
    header = {
        "msg_id": message,
        "msg_type": "execute_request",
        "session": uuid.uuid4().hex,
        "username": "",
        "version": "5.3",
    }
    content = {"code": code, "silent": False, "store_history": True, "user_expressions": {}, "allow_stdin": False}
    request = {"header": header, "parent_header": {}, "metadata": {}, "content": content, "channel": "shell"}
    printed = ""
    async with client.ws_connect(f"{url}/api/kernels/{kernel}/channels") as socket:
        await socket.send_str(json.dumps(request))
        async for frame in socket:
            reply = json.loads(frame.data)
            if reply["parent_header"].get("msg_id") != message:
                continue
            if reply["msg_type"] == "stream":
                printed += reply["content"]["text"]
            if reply["msg_type"] == "status" and reply["content"]["execution_state"] == "idle":
                return printed
    raise AssertionError(f"the kernel's socket ended: {printed!r}")
