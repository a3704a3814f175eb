"""What this machine can do: real moves, or simulated ones, and what is missing for the real ones."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from gateway.engines.base import Capabilities, Host, Missing
from gateway.engines.local import criu
from gateway.engines.local.provision import which

PROVISION = "python -m gateway.engines.local.provision"
_PROBE_SECONDS = 10.0  # takes 0.02 s; where the kernel makes it hang there are no capsules

# Everything that a capsule's network needs, in namespaces that are gone when this ends.
_PROBE = "ip link add fg0 type bridge && ip link add fg1 type veth peer name fg2 && ip link set fg1 master fg0"


@dataclass(frozen=True, slots=True)
class Tools:
    """What capsules are made with."""

    criu: criu.Criu
    tini: str


@dataclass(frozen=True, slots=True)
class Machine:
    """What was found. `tools` is None when moves can only be simulated."""

    tools: Tools | None
    found: tuple[str, ...]
    missing: tuple[Missing, ...]

    def capabilities(self, engine: str) -> Capabilities:
        """For `float doctor`, `float hosts` and the widget."""
        real = engine == "capsules"
        summary = (
            "Jobs run in capsules: a move is real, by checkpoint and restore with CRIU."
            if real
            else "Jobs run as plain processes: a move is simulated, only the address changes and nothing is saved."
        )
        return Capabilities(engine, real, summary, self.found, self.missing)


def examine(prefix: Path | None = None) -> Machine:
    """Look at this machine; a quarter of a second at most. Changes nothing."""
    found, missing = [], []
    names = ("ip", "ss", "nsenter", "tini", "nft")
    paths = {name: which(name) for name in names}
    if os.geteuid() == 0:
        found.append("root")
    else:
        missing.append(Missing("root", "run the OpCenter as root"))
    for name in names:
        path = paths[name]
        if path is not None:
            found.append(f"{name} ({path})")
        else:
            missing.append(Missing(name, f"as root: {PROVISION}"))
    if _namespaces_work():
        found.append("namespaces, bridge and veth")
    else:
        missing.append(Missing("network and PID namespaces", "a kernel or container that allows them to root"))
    working = criu.find(prefix)
    if working is not None:
        found.append(f"CRIU {working.version} ({working.path})")
    else:
        missing.append(Missing("a CRIU that works on this kernel", f"as root: {PROVISION}"))
    return Machine(_tools(working, paths["tini"], missing), tuple(found), tuple(missing))


def room() -> Host:
    """This machine as a host that is free: its CPUs and memory."""
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return Host("local", "", "free", None, os.cpu_count() or 1, pages >> 30)


def _tools(working: criu.Criu | None, tini: str | None, missing: list[Missing]) -> Tools | None:
    needed = [one for one in missing if one.what != "nft"]  # without nft only the way out is closed
    return Tools(working, tini) if working is not None and tini is not None and not needed else None


def _namespaces_work() -> bool:
    command = ["unshare", "--net", "--pid", "--fork", "sh", "-c", _PROBE]
    try:
        done = subprocess.run(command, capture_output=True, timeout=_PROBE_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0
