"""The control port's server: what cookies of jobs' pages do to it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from gateway.proxy.control import ControlPort
from gateway.types import GatewayId, Rule, Snapshot
from tests.cookieless import SECRET, ask, check
from tests.peers import connect
from tests.ports import free_port
from widget.desk import Desk


async def _control(home: Path) -> tuple[ControlPort, int]:
    port = free_port()
    desk = Desk("http://127.0.0.1:9", Snapshot(1, GatewayId("g"), "", "127.0.0.1", "127.0.0.1", 1, 2, port, 1))
    made = ControlPort(desk, home)
    made.set([Rule(1, 65535, "127.0.0.0/8")], [], [])
    await made.serve("127.0.0.1", port)
    return made, port


async def test_cookies_of_jobs_neither_lock_it_nor_get_out(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    control, port = await _control(tmp_path)
    try:
        with capture_logs() as logged:
            await check("127.0.0.1", port, "/metrics")
    finally:
        await control.close()
    assert "not HTTP" in [one["event"] for one in logged]
    assert "SECRET" not in "".join([*map(str, logged), *capfd.readouterr(), caplog.text])


async def test_a_fault_of_ours_is_logged_without_its_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    control, port = await _control(tmp_path)

    def fail() -> None:
        raise RuntimeError(SECRET.decode())

    monkeypatch.setattr(control.metrics, "collect", fail)
    try:
        with capture_logs() as logged:
            head, body = await ask("127.0.0.1", port, b"GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
    finally:
        await control.close()
    assert head.startswith(b"HTTP/1.1 503 ") and b"nosniff" in head
    (fault,) = [one for one in logged if one["log_level"] == "error"]
    assert fault["why"] == "RuntimeError" and "test_control.py" in str(fault["at"])
    assert b"SECRET" not in head + body
    assert "SECRET" not in "".join([*map(str, logged), *capfd.readouterr(), caplog.text])


async def test_many_large_lines_are_not_one_jar(tmp_path: Path) -> None:
    """One field may be as large as a jar, not each of 128."""
    control, port = await _control(tmp_path)
    line = b"X: " + b"x" * (1 << 19) + b"\r\n"
    peer = await connect("127.0.0.1", port)
    try:
        await peer.say(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n")
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            for _ in range(64):
                await peer.say(line)
            await peer.answer()
    finally:
        await peer.close()
        await control.close()
