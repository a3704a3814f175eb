"""How the engine calls a keeper: write what it is to do, hand it the run's lock, wait for its word."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gateway.engines.base import Program
from gateway.engines.local import keeper
from gateway.engines.local.records import Run

NETNS_FD = 9  # the number under which criu finds the namespace to restore into
DUMPER = "dumper.json"  # in a run's folder: who saves it, beside the keeper that waits for it
MARKER = "floatgate.json"  # in an image: written last
_ENVIRON = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"}


def program_spec(program: Program, address: str, init: Sequence[str] = (), netns: Path | None = None) -> dict[str, Any]:
    """What `keeper.py start` is to run. `address` stands where the program's arguments say `{address}`."""
    return {
        "argv": [word.replace("{address}", address) for word in program.argv],
        "env": dict(program.env),
        "cwd": str(program.cwd),
        "stdout": str(program.stdout),
        "stderr": str(program.stderr),
        "init": list(init),
        "netns": None if netns is None else str(netns),
    }


def criu_spec(command: Sequence[str], netns: Path | None, **more: object) -> dict[str, Any]:
    """What `keeper.py restore` or `dump` is to run."""
    return {"criu": list(command), "netns": None if netns is None else str(netns), "netns_fd": NETNS_FD,
            "init": ["tini"], **more}  # fmt: skip


async def keep(verb: str, run: Run, spec: Mapping[str, Any], lock: str = "lock") -> bool:
    """Run `keeper.py VERB` for a run. Returns whether it did what it should; its own words are in keeper.log.

    Cancelling this ends the waiting only: the keeper goes on, and `run.state()` tells of it. Raises Locked.
    """
    held = run.take(lock)
    try:
        path = run.path / f"{verb}.json"
        who = "keeper.json" if lock == "lock" else DUMPER
        path.touch(mode=0o600)
        path.write_text(json.dumps({**spec, "run": str(run.path), "lock_fd": held, "who": who}))
        with (run.path / "keeper.log").open("ab") as log:
            outer = await asyncio.create_subprocess_exec(
                sys.executable, "-I", "-S", keeper.__file__, verb, str(path),
                pass_fds=(held,), stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log,
                env=_ENVIRON, cwd="/", start_new_session=True,
            )  # fmt: skip
        return await outer.wait() == 0
    finally:
        os.close(held)


def unfit(program: Program) -> str | None:
    """Why a program cannot be started here, as a sentence for its owner; None when it can."""
    if not program.cwd.is_dir():
        return f"The job's working directory {program.cwd} does not exist."
    if not program.argv or shutil.which(program.argv[0], path=program.env.get("PATH", os.defpath)) is None:
        return f"The program {program.argv[0] if program.argv else ''!r} was not found or may not be executed."
    if not all(path.parent.is_dir() for path in (program.stdout, program.stderr)):
        return "The folder for the job's output does not exist."
    return None
