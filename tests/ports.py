"""Ports for servers that a test starts later, by number.

They lie below those that the kernel gives to outgoing connections: one of those may be in use at any moment. No port is
given twice, and tests that run side by side take theirs from spans of their own.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

_LOWEST = 10000
_EPHEMERAL = Path("/proc/sys/net/ipv4/ip_local_port_range")


def free_ports(count: int) -> range:
    """So many free ports next to each other."""
    for low in _lows(count):
        if all(_is_free(port) for port in range(low, low + count)):
            return range(low, low + count)
    raise AssertionError(f"no {count} free ports next to each other")


def free_port() -> int:
    """One of them."""
    return free_ports(1)[0]


def _span() -> range:
    """This process's share. `pytest -n` names its processes gw0, gw1 and so on."""
    count = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    mine = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    size = (int(_EPHEMERAL.read_text().split()[0]) - _LOWEST) // count
    assert size > 1000, "there are hardly any ports but those of outgoing connections"
    return range(_LOWEST + mine * size, _LOWEST + (mine + 1) * size)


_SPAN = _span()
_next = os.getpid() * 97 % len(_SPAN)  # another run of the tests begins elsewhere


def _lows(count: int) -> Iterator[int]:
    global _next  # what was given is known to the whole process
    for _ in range(len(_SPAN)):
        if _next + count > len(_SPAN):
            _next = 0
        low = _SPAN[_next]
        _next += count
        yield low


def _is_free(port: int) -> bool:
    """On every address, and nothing of an earlier server is left: so SO_REUSEADDR is not set."""
    with socket.socket() as one:
        try:
            one.bind(("0.0.0.0", port))  # it never listens
        except OSError:
            return False
    return True
