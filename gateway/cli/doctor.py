"""`float doctor`: what this machine can do, what was found, what is missing and how to get it.

With `up` and `opcenter` the one command that looks past the public API: it asks the engine itself, so that it
can answer before anything is started.
"""

from __future__ import annotations

import importlib.util
import platform
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

import gateway
from gateway.config import DEFAULT_OPCENTER_PORT

from .caller import Caller
from .framework import Command
from .options import pass_caller
from .printing import say
from .sockets import busy_ports, parse_range

if TYPE_CHECKING:
    from gateway.engines.base import Capabilities

_RANGE = "10000:10100"
_PYTHON = (3, 11)


@dataclass(frozen=True, slots=True)
class Finding:
    """One line. `level`: ok; note (something is less than it could be); missing (nothing runs without it)."""

    level: str
    what: str
    says: str
    how: str = ""


@click.command(cls=Command)
@click.option("--ports", default=_RANGE, show_default=True, metavar="MIN:MAX", help="The gateway's range.")
@click.option("--opcenter-port", type=int, default=DEFAULT_OPCENTER_PORT, show_default=True)
@pass_caller
async def doctor(caller: Caller, ports: str, opcenter_port: int) -> int:
    """Say what this machine can do, and what is missing. Exit 1 only if floatgate cannot run here."""
    low, high = parse_range(ports)
    findings = [
        _python(),
        *_libraries(),
        *await _engine(),
        *_jupyter(),
        _ports(low, high),
        _opcenter(opcenter_port),
    ]
    if caller.format:
        caller.print([asdict(one) for one in findings])
    else:
        _print(findings)
    return 1 if any(one.level == "missing" for one in findings) else 0


def _print(findings: list[Finding]) -> None:
    say(f"floatgate {gateway.__version__}, {platform.system()} {platform.release()}\n")
    for one in findings:
        say(f"  {one.level:<8}{one.what:<14}{one.says}")
        if one.how:
            say(f"  {'':<22}-> {one.how}")
    say("")
    if any(one.level == "missing" for one in findings):
        say("floatgate cannot run here until what is marked as missing is there.")
    else:
        say("floatgate can run here: make run, or float up.")


def _python() -> Finding:
    if sys.version_info < _PYTHON:
        return Finding("missing", "Python", platform.python_version(), "Python 3.11 or later is needed")
    return Finding("ok", "Python", platform.python_version())


def _libraries() -> Iterator[Finding]:
    """aiohttp without its C parser is refused: the Python one reads some requests otherwise."""
    if importlib.util.find_spec("aiohttp._http_parser") is None:
        how = "install aiohttp from a wheel, or with a C compiler"
        yield Finding("missing", "aiohttp", "without its C extensions", how)
    else:
        yield Finding("ok", "aiohttp", f"{_module_version('aiohttp')} with its C extensions")


async def _engine() -> list[Finding]:
    """Ask the engine, in a folder of its own so that a running OpCenter is not disturbed."""
    try:
        can = await _capabilities()
    except ImportError as error:
        return [Finding("missing", "Engine", f"{error.name or 'a library'} is not installed", "make run installs it")]
    kind = "real" if can.real else "simulated"
    lines = [Finding("ok" if can.real else "note", "Migration", f"{kind}: {can.summary}")]
    lines += [Finding("ok", "", one) for one in can.found]
    return lines + [Finding("note", "", f"missing: {one.what}", one.how) for one in can.missing]


async def _capabilities() -> Capabilities:
    from gateway.engines.local import local_engine

    with tempfile.TemporaryDirectory(prefix="floatgate-doctor-") as folder:
        engine = local_engine(Path(folder))
        await engine.open()
        try:
            return engine.capabilities()
        finally:
            await engine.close()


def _jupyter() -> Iterator[Finding]:
    if importlib.util.find_spec("jupyterlab"):
        yield Finding("ok", "JupyterLab", _module_version("jupyterlab"))
    else:
        how = "pip install 'floatgate[jupyter]' (make run does)"
        yield Finding("note", "JupyterLab", "not installed: the template jupyter cannot start", how)


def _ports(low: int, high: int) -> Finding:
    busy = busy_ports("127.0.0.1", low, high)
    if not busy:
        return Finding("ok", "Ports", f"{low}-{high} are free")
    says = f"of {low}-{high} in use: {', '.join(map(str, busy[:5]))}{' …' if len(busy) > 5 else ''}"
    return Finding("note", "Ports", says, "a gateway that runs uses them; else float up --ports MIN:MAX takes others")


def _opcenter(port: int) -> Finding:
    if not busy_ports("127.0.0.1", port, port):
        return Finding("ok", "OpCenter", f"port {port} is free")
    return Finding("note", "OpCenter", f"port {port} is in use", "float status says whether by an OpCenter")


def _module_version(name: str) -> str:
    from importlib import metadata

    return metadata.version(name)
