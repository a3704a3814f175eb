"""Everything that is compared, in the order of the tables."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

from .floatgate import start_floatgate
from .native import start_caddy, start_haproxy, start_nginx, start_tuned_nginx
from .peer import Peer, Proxy, Room
from .scripted import CHP, JUPYTER, start_configurable, start_jupyter
from .tools import found


def _direct(room: Room) -> Proxy:
    return Proxy(f"http://127.0.0.1:{room.backends.documents}", f"http://127.0.0.1:{room.backends.echo}")


def _lack(program: str | Path, how: str) -> Callable[[], str]:
    return lambda: "" if found(str(program)) else f"there is no {Path(program).name} ({how})"


def _said(program: str | Path, *arguments: str) -> Callable[[], str]:
    """What it says of its version: the first word that looks like one."""

    def version() -> str:
        path = found(str(program))
        if path is None:
            return ""
        done = subprocess.run([path, *arguments], capture_output=True, text=True, check=False)
        words = (done.stdout + done.stderr).replace("/", " ").split()
        return next((word for word in words if word[:1].isdigit() and "." in word), "")

    return version


_PYTHON = JUPYTER.with_name("python")
_VERSION = "import importlib.metadata as m; print(m.version('jupyter-server-proxy'))"
_SETUP = "sh tests/bench/setup.sh"

PEERS = [
    Peer("direct", lambda: "", _direct),
    Peer("floatgate", lambda: "", start_floatgate),
    Peer("nginx", _lack("nginx", "apt-get install nginx"), start_nginx, _said("nginx", "-v")),
    Peer(
        "nginx-tuned",
        _lack("nginx", "apt-get install nginx"),
        start_tuned_nginx,
        _said("nginx", "-v"),
        only=("hundred", "down", "up", "ws64k"),
    ),
    Peer("haproxy", _lack("haproxy", "apt-get install haproxy"), start_haproxy, _said("haproxy", "-v")),
    Peer("caddy", _lack("caddy", "apt-get install caddy"), start_caddy, _said("caddy", "version")),
    Peer(CHP, _lack(CHP, _SETUP), start_configurable, _said(CHP, "--version")),
    Peer("jupyter-server-proxy", _lack(JUPYTER, _SETUP), start_jupyter, _said(_PYTHON, "-c", _VERSION)),
]
