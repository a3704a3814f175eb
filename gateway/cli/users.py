"""`float user`: add, list, delete, passwd."""

from __future__ import annotations

import sys

import click

from gateway.client import part
from gateway.errors import Code, Refusal

from .caller import Caller, ask_password, confirm
from .framework import Group
from .options import force_option, pass_caller
from .printing import Column, Format, say, write_list

_COLUMNS = [Column("NAME", lambda one: one["username"]), Column("ROLE", lambda one: one["role"])]


@click.group(cls=Group)
def user() -> None:
    """Users of the OpCenter."""


@user.command()
@click.argument("name")
@click.option(
    "--role",
    type=click.Choice(["user", "admin"]),
    default="user",
    show_default=True,
    help="Users see and move their own jobs, admins all.",
)
@pass_caller
async def add(caller: Caller, name: str, role: str) -> None:
    """Add a user; asks for the password twice."""
    async with caller.client() as client:
        password = _new_password(name)
        await client.post("/users", {"username": name, "password": password, "role": role})
    say(f"User {name} is added")


@user.command("list")
@pass_caller
async def list_users(caller: Caller) -> None:
    """List the users."""
    async with caller.client() as client:
        found = await client.get("/users")
    write_list(found, _COLUMNS, caller.style(Format.TABLE), "No users")


@user.command()
@click.argument("name")
@force_option()
@pass_caller
async def delete(caller: Caller, name: str, force: bool) -> None:
    """Delete a user."""
    confirm(f"Delete user {name}?", force)
    async with caller.client() as client:
        await client.delete(f"/users/{part(name)}")
    say(f"User {name} is deleted")


@user.command()
@click.argument("name", required=False)
@pass_caller
async def passwd(caller: Caller, name: str | None) -> None:
    """Change a password: your own, or as an admin anybody's. Ends that user's sessions."""
    async with caller.client() as client:
        session = await client.get("/session")
        who = name or session["username"]
        body = {}
        if who == session["username"]:
            body["old"] = ask_password(f"Old password for {who}")
        body["password"] = _new_password(who)
        await client.post(f"/users/{part(who)}/password", body)
    say(f"The password of {who} is changed" + (": log in again" if "old" in body else ""))


def _new_password(name: str) -> str:
    """Asked for twice on a terminal; one line from a pipe."""
    first = ask_password(f"New password for {name}")
    if sys.stdin.isatty() and ask_password("Once more") != first:
        raise Refusal(Code.INVALID_ARGUMENT, "The two passwords differ: nothing was changed")
    return first
