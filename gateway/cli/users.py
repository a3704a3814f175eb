"""`float user`: add, list, delete, passwd."""

from __future__ import annotations

import sys

import click

from gateway.client import part
from gateway.errors import Code, Refusal

from .caller import Caller, ask_password, confirm, read_password
from .framework import Group
from .options import force_option, new_password_option, pass_caller
from .printing import Column, Format, say, write_list

_COLUMNS = [Column("NAME", lambda one: one["username"]), Column("ROLE", lambda one: one["role"])]


_INSTEAD = "Run this in a terminal, which asks for it, or pipe it in and say --password-stdin"


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
@new_password_option()
@pass_caller
async def add(caller: Caller, name: str, role: str, password_stdin: bool) -> None:
    """Add a user; asks for their password twice (-p is the password that you log in with)."""
    async with caller.client() as client:
        password = _new_password(name, password_stdin)
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
@new_password_option()
@pass_caller
async def passwd(caller: Caller, name: str | None, password_stdin: bool) -> None:
    """Change a password: your own, or as an admin anybody's. Ends that user's sessions.

    Your own needs the old one first: without a terminal, a line before the new one's.
    """
    async with caller.client() as client:
        session = await client.get("/session")
        who = name or session["username"]
        body = {}
        if who == session["username"]:
            body["old"] = ask_password(f"Old password for {who}", _INSTEAD)
        body["password"] = _new_password(who, password_stdin)
        await client.post(f"/users/{part(who)}/password", body)
    say(f"The password of {who} is changed" + (": log in again" if "old" in body else ""))


def _new_password(name: str, from_stdin: bool) -> str:
    """Asked for twice on a terminal; one line from a pipe."""
    prompt = f"New password for {name}"
    if from_stdin:
        return read_password(prompt)
    first = ask_password(prompt, _INSTEAD)
    if sys.stdin.isatty() and ask_password("Once more") != first:
        raise Refusal(Code.INVALID_ARGUMENT, "The two passwords differ: nothing was changed")
    return first
