"""`float hosts`, `float status`, `float version`."""

from __future__ import annotations

import contextlib

import click

import gateway
from gateway.errors import Refusal

from .caller import Caller
from .framework import Command
from .options import pass_caller
from .printing import Column, Format, note, write_list

_COLUMNS = [
    Column("NAME", lambda one: one["name"]),
    Column("ADDRESS", lambda one: one["address"]),
    Column("STATE", lambda one: one["state"]),
    Column("JOB", lambda one: one.get("job")),
    Column("CPU", lambda one: one["cpu"]),
    Column("MEM", lambda one: one["mem"]),
]


@click.command(cls=Command)
@pass_caller
async def hosts(caller: Caller) -> None:
    """List the hosts that jobs run on (also: sinfo)."""
    async with caller.client() as client:
        found = await client.get("/hosts")
        engine = {}
        with contextlib.suppress(Refusal):
            engine = (await client.get("/status"))["engine"]
    if engine:
        note(f"Engine {engine['name']}: {engine['summary']}")
    write_list(found, _COLUMNS, caller.style(Format.TABLE), "No hosts")


@click.command(cls=Command)
@pass_caller
async def status(caller: Caller) -> None:
    """Show the OpCenter's state, and what its engine can do."""
    async with caller.client() as client:
        caller.print(await client.get("/status"))


@click.command(cls=Command)
@pass_caller
async def version(caller: Caller) -> None:
    """Print the version of this command and of the OpCenter, if one answers."""
    told = {"float": gateway.__version__}
    with contextlib.suppress(Refusal):
        async with caller.anonymous() as client:
            told["opcenter"] = (await client.get("/version"))["version"]
    caller.print(told)
