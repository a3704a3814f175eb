"""Finding, compiling and running the programs that make load."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from .processes import BenchFailed, Command, pinned

HERE = Path(__file__).parent
HOME = Path(os.environ.get("FLOATGATE_BENCH_HOME") or HERE.parent.parent / "build" / "bench")  # setup.sh writes here
PATH = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin", str(HOME / "npm/node_modules/.bin")])
SLACK = 60.0  # seconds that a load program may take beyond what it was asked for


def found(name: str) -> Path | None:
    """The program, of the system or of setup.sh's; None when it is missing."""
    path = shutil.which(name, path=PATH)
    return Path(path) if path else None


def compiled(name: str) -> Path:
    """c/NAME.c as a program, compiled when it is new. Raises BenchFailed when that fails."""
    source, program = HERE / "c" / f"{name}.c", HOME / name
    newest = max(one.stat().st_mtime for one in [source, *source.parent.glob("*.h")])
    if program.exists() and program.stat().st_mtime > newest:
        return program
    HOME.mkdir(parents=True, exist_ok=True)
    compiler = found("cc") or found("gcc")
    if compiler is None:
        raise BenchFailed("there is no C compiler: apt-get install gcc libc6-dev")
    done = subprocess.run([compiler, "-O2", "-Wall", "-pthread", "-o", program, source], capture_output=True, text=True)
    if done.returncode:
        raise BenchFailed(f"{source.name} does not compile: {done.stderr[-400:]}")
    return program


def run_json(command: Command, cores: tuple[int, ...], seconds: float) -> dict[str, Any]:
    """Run a load program pinned to `cores`; its last line is its result. Raises BenchFailed."""
    name = Path(command[0]).name
    try:
        done = subprocess.run(
            [str(part) for part in pinned(cores, command)], capture_output=True, text=True, timeout=seconds + SLACK
        )
    except subprocess.TimeoutExpired:
        raise BenchFailed(f"{name} did not end") from None
    lines = done.stdout.strip().splitlines()
    if done.returncode or not lines or not lines[-1].startswith("{"):
        raise BenchFailed(f"{name} ended with {done.returncode}: {(done.stderr or done.stdout)[-300:].strip()}")
    result: dict[str, Any] = json.loads(lines[-1])
    return result


def local(url: str) -> tuple[str, str]:
    """Port and path of a URL on this machine, as the C programs take them."""
    parts = urlsplit(url)
    return str(parts.port), parts.path or "/"


def wrk(
    url: str, cores: tuple[int, ...], seconds: float, connections: int, headers: Mapping[str, str]
) -> dict[str, Any]:
    """requests, bytes, us (duration), bad (other than 2xx and 3xx), lost (socket errors)."""
    program = found("wrk")
    if program is None:
        raise BenchFailed("there is no wrk: apt-get install wrk")
    given = [part for name, value in headers.items() for part in ("-H", f"{name}: {value}")]
    plan = ["-t", str(min(len(cores), connections)), "-c", str(connections), "-d", f"{max(round(seconds), 1)}s"]
    return run_json([program, *plan, "--timeout", "20s", "-s", HERE / "report.lua", *given, url], cores, seconds)
