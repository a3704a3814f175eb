"""A lost password: whoever owns the state folder sets a new one, while no OpCenter uses it."""

from __future__ import annotations

import os
from pathlib import Path

from gateway.errors import Code, Refusal
from gateway.secret import secret_of

from .policy import Policy
from .server import lock_home, now_ms
from .store import Store, sqlite_url
from .users import Users


async def reset_password(
    home: Path, name: str | None, password: str | None, database_url: str | None = None, policy: Policy | None = None
) -> tuple[str, str]:
    """Whose password was set, and which: one is made up when none is given. Ends that user's sessions.

    `name` None: the admin. Raises Refusal; nothing was changed then.
    """
    _check_owner(home)
    with lock_home(home):
        url = database_url or sqlite_url(home / "opcenter.db")
        store = await Store.open(url, secret_of(home / "id").hex())
        try:
            users = Users(store, secret_of(home / "secret"), policy or Policy(), now_ms)
            return await users.reset(name, password)
        finally:
            await store.close()


def _check_owner(home: Path) -> None:
    """A file that root makes in somebody's folder would keep them out of it: so not even root, but as them."""
    try:
        owner = (home / "id").stat().st_uid
    except OSError as error:
        sentence = f"There is no OpCenter's state in {home}: name its folder with --home"
        raise Refusal(Code.NOT_FOUND, sentence) from error
    if owner != os.geteuid():
        raise Refusal(Code.FORBIDDEN, f"The folder {home} is user {owner}'s: only they can reset a password in it")
