"""`float login` and `float logout`."""

from __future__ import annotations

import contextlib
import getpass
import os
import sys

import click

from gateway.errors import Refusal

from .caller import Caller, ask_password, bearer
from .framework import Command
from .options import pass_caller
from .printing import say
from .session import Session, forget_session, load_session, save_session


@click.command(cls=Command)
@click.option("--info", is_flag=True, help="Show who is logged in, and where; exit 1 when nobody is.")
@pass_caller
async def login(caller: Caller, info: bool) -> None:
    """Log in to an OpCenter; later commands use it."""
    if info:
        async with caller.client() as client:
            session = await client.get("/session")
        caller.print({"address": client.address, "username": session["username"], "role": session["role"]})
        return
    async with caller.anonymous() as client:
        if caller.token:
            client.token = bearer(caller.token)
            username = (await client.get("/session"))["username"]
        else:
            username = caller.username or os.environ.get("MMC_USERNAME") or _ask_name()
            password = caller.password or os.environ.get("MMC_PASSWORD") or ask_password("Password")
            await client.login(username, password)
        save_session(Session(client.address, username, client.token or ""))
    say("Login Succeeded!")


@click.command(cls=Command)
@pass_caller
async def logout(caller: Caller) -> None:
    """Log out: the token is worth nothing any more."""
    session = load_session()
    if session is None:
        say("You are not logged in")
        return
    async with caller.anonymous() as client:
        client.token = session.token
        with contextlib.suppress(Refusal):  # an OpCenter that is gone cannot keep anybody logged in
            await client.post("/logout")
    forget_session()
    say("Logout Succeeded!")


def _ask_name() -> str:
    if not sys.stdin.isatty():
        return "admin"
    return str(click.prompt("Username", default="admin" if os.geteuid() == 0 else getpass.getuser(), err=True))
