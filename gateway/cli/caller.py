"""Who calls which OpCenter: the global flags, the environment and the saved session become one client.

Address: `-a`, else `MMC_ADDRESS` (its first), else the session's, else this machine. Login: `-O`, else `-u` and
`-p`, else the session when it is of that OpCenter, else `MMC_USERNAME` and `MMC_PASSWORD`. A login that a single
command needs is ended after it.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from gateway.config import DEFAULT_OPCENTER_PORT
from gateway.errors import Code, Refusal

from .printing import Format, write_doc
from .session import load_session, to_url

if TYPE_CHECKING:
    from gateway.client import OpCenterClient


@dataclass(slots=True)
class Caller:
    """The global flags of one command line, given before or after the command."""

    address: str | None = None
    username: str | None = None
    password: str | None = None
    token: str | None = None
    format: Format | None = None
    verbose: bool = False

    def url(self) -> str:
        """The OpCenter's URL. Raises Refusal."""
        given = self.address or os.environ.get("MMC_ADDRESS", "").split(",")[0]
        if given:
            return to_url(given)
        session = load_session()
        return to_url(session.address) if session else f"http://127.0.0.1:{DEFAULT_OPCENTER_PORT}"

    def style(self, default: Format = Format.YAML) -> Format:
        """How to print."""
        return self.format or default

    def print(self, doc: Any) -> None:
        """One document in the wanted format, yaml by default."""
        write_doc(doc, self.style())

    @contextlib.asynccontextmanager
    async def anonymous(self) -> AsyncIterator[OpCenterClient]:
        """A client that is not logged in."""
        from gateway.client import OpCenterClient

        async with OpCenterClient(self.url(), trace=_trace if self.verbose else None) as client:
            yield client

    @contextlib.asynccontextmanager
    async def client(self) -> AsyncIterator[OpCenterClient]:
        """A client that is logged in. Raises Refusal."""
        async with self.anonymous() as client:
            if await self._use_token(client):
                yield client
                return
            await client.login(*self._credentials())
            try:
                yield client
            finally:
                with contextlib.suppress(Refusal):
                    await client.post("/logout")

    async def _use_token(self, client: OpCenterClient) -> bool:
        """Is there a token to call with? One that has ended is no matter when the environment can log in."""
        client.token = bearer(self.token) if self.token else self._saved_token(client.address)
        if client.token and not self.token and os.environ.get("MMC_PASSWORD"):
            try:
                await client.get("/session")
            except Refusal as refusal:
                if refusal.code is not Code.NOT_LOGGED_IN:
                    raise
                client.token = None
        return client.token is not None

    def _saved_token(self, url: str) -> str | None:
        """The session's token, when it is for this OpCenter and this user."""
        session = load_session()
        username = self.username or os.environ.get("MMC_USERNAME")
        if session is None or self.password or to_url(session.address) != url:
            return None
        return session.token if username in (None, session.username) else None

    def _credentials(self) -> tuple[str, str]:
        username = self.username or os.environ.get("MMC_USERNAME")
        if not username:
            raise Refusal(Code.NOT_LOGGED_IN, f"You are not logged in to {self.url()}: run float login")
        return username, self.password or os.environ.get("MMC_PASSWORD") or ask_password(f"Password for {username}")


def ask_password(prompt: str, instead: str = "Use -p, or MMC_PASSWORD, or a pipe") -> str:
    """From the terminal, unseen; from a pipe, its next line. Raises Refusal, which says `instead`, if there is none."""
    if sys.stdin.isatty():
        return str(click.prompt(prompt, hide_input=True, err=True))
    return read_password(prompt, instead)


def read_password(prompt: str, instead: str = "Write it there as one line") -> str:
    """The next line of standard input, whatever that is. Raises Refusal, which says `instead`, if there is none."""
    line = sys.stdin.readline().rstrip("\r\n")
    if not line:
        raise Refusal(Code.INVALID_ARGUMENT, f"{prompt}: none was given. {instead}")
    return line


def confirm(question: str, force: bool) -> None:
    """Ask before something that cannot be undone: on a terminal only, and not with `--force`."""
    if not force and sys.stdin.isatty():
        click.confirm(question, abort=True, err=True)


def bearer(token: str) -> str:
    """A token as the Authorization header has it."""
    return token if " " in token else f"Bearer {token}"


def _trace(line: str) -> None:
    click.echo(line, err=True)
