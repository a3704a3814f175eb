"""The way out for capsules: masquerade and forwarding, best effort, undone when the last bridge goes.

A table of our own in nftables for each bridge; no rule of the host's is touched. Forwarding is one switch for the
whole machine: who opens first notes what it was, who closes last puts it back.
"""

from __future__ import annotations

import contextlib
import fcntl
import ipaddress
import json
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import structlog

from gateway.engines.local import keeper

_RUN = Path("/run/floatgate")
_FORWARD_NOTE = _RUN / "forward.json"
_FORWARD = Path("/proc/sys/net/ipv4/ip_forward")
_DEVICES = Path("/sys/class/net")
_DEFAULT_MTU = 1500

# Replies come back in; nobody else is let through to a capsule, whose server may have no password.
_TABLE = """
table ip {bridge} {{
    chain postrouting {{
        type nat hook postrouting priority srcnat; policy accept;
        ip saddr {subnet} oifname != "{bridge}" masquerade
    }}
    chain forward {{
        type filter hook forward priority filter; policy accept;
        oifname "{bridge}" ct state established,related accept
        oifname "{bridge}" drop
    }}
}}
"""

_log = structlog.get_logger(__name__)


@contextlib.contextmanager
def machine_lock() -> Iterator[None]:
    """One at a time on this machine: subnets and the forwarding switch are everybody's."""
    _RUN.mkdir(parents=True, exist_ok=True)
    with (_RUN / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def open_(bridge: str, subnet: ipaddress.IPv4Network) -> None:
    """Let capsules on this bridge reach the world. Without nftables they cannot, and that is logged."""
    if not _nft(f"add table ip {bridge}\ndelete table ip {bridge}\n" + _TABLE.format(bridge=bridge, subnet=subnet)):
        _log.warning("no_way_out_for_jobs", bridge=bridge, why="nftables does not work here")
        return
    was, bridges = _load()
    was = was if bridges else _FORWARD.read_text().strip()
    _save(was, [*(other for other in bridges if other != bridge), bridge])
    _FORWARD.write_text("1")


def close(bridge: str) -> None:
    """Undo `open_`. Idempotent."""
    was, bridges = _load()
    if bridge not in bridges:
        return
    _nft(f"add table ip {bridge}\ndelete table ip {bridge}\n")
    left = [other for other in bridges if other != bridge and (_DEVICES / other).exists()]
    if left:
        _save(was, left)
    else:
        _FORWARD.write_text(was)
        _FORWARD_NOTE.unlink()


def mtu(routes: Sequence[Mapping[str, str]]) -> int:
    """The MTU of the way out: a larger one inside would make connections hang."""
    devices = [route["dev"] for route in routes if route.get("dst") == "default" and "dev" in route]
    sizes = [int((_DEVICES / device / "mtu").read_text()) for device in devices if (_DEVICES / device).exists()]
    return min(sizes, default=_DEFAULT_MTU)


def _load() -> tuple[str, list[str]]:
    """What the switch was before us, and the bridges that need it on."""
    with contextlib.suppress(FileNotFoundError):
        doc = json.loads((_FORWARD_NOTE).read_text())
        return str(doc["was"]), list(doc["bridges"])
    return "0", []


def _save(was: str, bridges: list[str]) -> None:
    keeper.write(_FORWARD_NOTE, {"was": was, "bridges": bridges})


def _nft(script: str) -> bool:
    try:
        done = subprocess.run(["nft", "-f", "-"], input=script, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return False
    if done.returncode != 0:
        _log.warning("nft_failed", stderr=done.stderr.strip())
    return done.returncode == 0
