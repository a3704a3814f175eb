"""`float opcenter`: start, stop, status. An OpCenter of its own, without a first session.

Starting and stopping is done to a process, not by the API: this file and `up` are the two that know it.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import os
import select
import signal
import sys
from pathlib import Path

import click

from gateway.config import DEFAULT_OPCENTER_PORT
from gateway.errors import Code, Refusal

from .caller import Caller, read_password
from .framework import Group
from .homes import choose_home, home_option, make_home
from .options import new_password_option, pass_caller
from .printing import say

_ANSWER = 30.0  # seconds from the start of a detached OpCenter until it answers: it takes one or two
_END = 60.0  # seconds from SIGTERM until its process is gone


@click.group(cls=Group)
def opcenter() -> None:
    """The control plane as a process of its own."""


@opcenter.command()
@home_option()
@click.option("--host", default="127.0.0.1", show_default=True, help="The IP to listen on.")
@click.option("--port", type=click.IntRange(1, 65535), default=DEFAULT_OPCENTER_PORT, show_default=True)
@click.option("--detach", is_flag=True, help="Leave it running and return.")
async def start(home: Path | None, host: str, port: int, detach: bool) -> None:
    """Start an OpCenter in the foreground; ending it stops no job and no gateway."""
    home = make_home(home)
    command = [sys.executable, "-m", "gateway.opcenter", "--home", str(home), "--host", host, "--port", str(port)]
    if detach:
        await _detach(home, command)
    else:
        await _foreground(command)


async def _foreground(command: list[str]) -> None:
    """Its first line says where it answers; then wait for its end, which Ctrl-C reaches by itself."""
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    loop = asyncio.get_running_loop()
    for one in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(one, _pass_on, process, one)
    try:
        await _greet(process)
        code = await process.wait()
    finally:
        for one in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(one)
    if code:
        raise SystemExit(1)  # it has said why


def _pass_on(process: asyncio.subprocess.Process, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(number)


async def _greet(process: asyncio.subprocess.Process) -> bool:
    """Say where it answers, and the first password if there is one. False when it ended instead."""
    assert process.stdout is not None
    line = await process.stdout.readline()
    if not line:
        return False
    opened = json.loads(line)
    say(f"OpCenter and console: {opened['address']}/")
    if opened["first_password"]:
        say(f"Login: admin / {opened['first_password']}    (shown this once)")
    return True


async def _detach(home: Path, command: list[str]) -> None:
    """In a session of its own. What it says after its first line goes nowhere: its log is a file."""
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    try:
        async with asyncio.timeout(_ANSWER):
            answers = await _greet(process)
    except TimeoutError:
        raise Refusal(Code.UNAVAILABLE, f"It does not answer yet; {home / 'opcenter.log'} says more") from None
    if not answers:
        assert process.stderr is not None
        sys.stderr.write((await process.stderr.read()).decode("utf-8", "replace"))
        raise SystemExit(1)
    say(f"It goes on in the background, process {process.pid}. float opcenter stop ends it")


@opcenter.command()
@home_option()
async def stop(home: Path | None) -> None:
    """End the OpCenter of this home; jobs and gateways go on."""
    home = choose_home(home)
    pid = _owner(home)
    if pid is None:
        say(f"No OpCenter uses {home}")
        return
    descriptor = os.pidfd_open(pid)
    try:
        signal.pidfd_send_signal(descriptor, signal.SIGTERM)
        ended: list[int] = (await asyncio.to_thread(select.select, [descriptor], [], [], _END))[0]
    finally:
        os.close(descriptor)
    if not ended:
        raise Refusal(
            Code.UNAVAILABLE, f"Process {pid} has been asked to end and has not yet: wait, or look at its log"
        )
    say("The OpCenter has ended; jobs and gateways go on")


@opcenter.command()
@pass_caller
async def status(caller: Caller) -> None:
    """Say whether an OpCenter answers, and what it runs (also: float status)."""
    async with caller.client() as client:
        caller.print({"address": client.address, **await client.get("/status")})


@opcenter.command("reset-password")
@home_option()
@click.argument("name", required=False)
@new_password_option()
async def reset_password(home: Path | None, name: str | None, password_stdin: bool) -> None:
    """Set a lost password anew, the admin's without a name; the OpCenter must not run meanwhile.

    Prints one that it made up, or takes yours with --password-stdin. Ends that user's sessions. No old password is
    asked for: the state folder is yours, and nobody else can do this.
    """
    from gateway.opcenter.reset import reset_password as reset  # brings the whole OpCenter: only this needs it

    given = read_password(f"New password for {name or 'the admin'}") if password_stdin else None
    who, password = await reset(choose_home(home), name, given, os.environ.get("FLOATGATE_DATABASE_URL"))
    if given is None:
        say(f"Login: {who} / {password}    (shown this once)")
    else:
        say(f"The password of {who} is changed")


def _owner(home: Path) -> int | None:
    """The process that holds the lock of this home; None when nobody does."""
    try:
        with (home / "opcenter.lock").open("r") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return int(file.read(20))
            return None
    except (OSError, ValueError):
        return None
