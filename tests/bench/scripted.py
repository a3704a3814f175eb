"""configurable-http-proxy and jupyter-server-proxy: what users of notebooks have today."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Mapping

from tests.ports import free_port

from .peer import Proxy, Room
from .processes import Command
from .tools import HOME, found

CHP = "configurable-http-proxy"
JUPYTER = HOME / "jupyter" / "bin" / "jupyter"  # an environment of its own, made by setup.sh


def start_configurable(room: Room) -> Proxy:
    """One port; the echo is a route of its own. The API's port opens with the proxy's."""
    port, api = free_port(), free_port()
    targets = f"http://127.0.0.1:{room.backends.documents}"
    command = [str(found(CHP)), "--ip", "127.0.0.1", "--port", str(port), "--api-ip", "127.0.0.1"]
    command += ["--api-port", str(api), "--default-target", targets, "--log-level", "error"]
    process = room.processes.start(CHP, command, room.cores, [port, api], {"CONFIGPROXY_AUTH_TOKEN": ""})
    for path in ("ws", "up"):
        _post(f"http://127.0.0.1:{api}/api/routes/{path}", {"target": f"http://127.0.0.1:{room.backends.echo}"})
    return Proxy(f"http://127.0.0.1:{port}", f"http://127.0.0.1:{port}", process.pid)


def _post(url: str, document: Mapping[str, str]) -> None:
    request = urllib.request.Request(url, json.dumps(document).encode(), {"Content-Type": "application/json"})
    urllib.request.urlopen(request, timeout=10).close()


def start_jupyter(room: Room) -> Proxy:
    """Without login, so that its sign-in is not what is measured."""
    port, own = free_port(), str(room.folder)
    options = {
        "ip": "127.0.0.1", "port": port, "port_retries": 0, "open_browser": False, "allow_root": True, "root_dir": own,
        "disable_check_xsrf": True, "log_level": "ERROR",
    }  # fmt: skip
    given = [f"--ServerApp.{name}={value}" for name, value in options.items()]
    folders = {f"JUPYTER_{name}_DIR": own for name in ("CONFIG", "DATA", "RUNTIME")}
    command: Command = [
        JUPYTER,
        "server",
        *given,
        "--IdentityProvider.token=",
        "--MappingKernelManager.cull_interval=0",
    ]
    process = room.processes.start("jupyter", command, room.cores, [port], {**folders, "HOME": own})
    base = f"http://127.0.0.1:{port}/proxy"
    return Proxy(f"{base}/{room.backends.documents}", f"{base}/{room.backends.echo}", process.pid)
