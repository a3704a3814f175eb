"""`float log`: what a job printed. `log -j ID ls`, `log -j ID cat NAME`, `log tail --follow NAME -j ID`."""

from __future__ import annotations

import sys

import click

from gateway.client import OpCenterClient, part
from gateway.errors import Code, Refusal

from .caller import Caller
from .framework import Command
from .options import job_option, pass_caller
from .printing import Format, say

_VERBS = ("ls", "cat", "tail")
_SHORT = {"stdout": "stdout.autosave", "stderr": "stderr.autosave", "output": "stdout.autosave"}


@click.command(cls=Command)
@job_option("The job.")
@click.option("--follow", is_flag=True, help="Go on with what the job prints.")
@click.option("-n", "--lines", type=click.IntRange(min=0), default=10, show_default=True, help="Of tail.")
@click.argument("words", nargs=-1, required=True, metavar="ls | cat NAME | tail NAME")
@pass_caller
async def log(caller: Caller, job_id: str, follow: bool, lines: int, words: tuple[str, ...]) -> None:
    """Read a job's logs: stdout.autosave and stderr.autosave."""
    verb, names = words[0], words[1:]
    if verb not in _VERBS or len(names) != (0 if verb == "ls" else 1):
        raise Refusal(Code.INVALID_ARGUMENT, "Say float log -j ID ls, or cat NAME, or tail NAME")
    path = f"/jobs/{part(job_id)}/log"
    async with caller.client() as client:
        if verb == "ls":
            _list(caller, await client.get(path))
            return
        path = f"{path}/{part(_SHORT.get(names[0], names[0]))}"
        text = b"".join([chunk async for chunk in client.text(path)])
        _put(text if verb == "cat" else _last(text, lines))
        if follow:
            await _follow(client, path, len(text))


def _list(caller: Caller, names: list[str]) -> None:
    if caller.format in (Format.JSON, Format.YAML):
        caller.print(names)
        return
    for name in names:
        say(name)


async def _follow(client: OpCenterClient, path: str, seen: int) -> None:
    """What comes after the first `seen` bytes, until the job ends or the user has enough."""
    async for chunk in client.text(path, follow="1"):
        _put(chunk[seen:])
        seen = max(0, seen - len(chunk))


def _last(text: bytes, lines: int) -> bytes:
    return b"".join(text.splitlines(keepends=True)[-lines:]) if lines else b""


def _put(text: bytes) -> None:
    sys.stdout.buffer.write(text)
    sys.stdout.buffer.flush()
