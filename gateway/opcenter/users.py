"""Who may call: users with argon2 hashes, and signed tokens whose sessions can be revoked.

A login for a name that nobody has costs the same hash and gets the same answer as a wrong password.
"""

from __future__ import annotations

import asyncio
import re
import secrets
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import argon2
import sqlalchemy as sa
from itsdangerous import BadSignature, URLSafeSerializer

from gateway.errors import Code, Refusal

from .policy import Policy
from .store import STORE_ERRORS, Store
from .tables import sessions, users

ADMIN = "admin"
ROLES = ("admin", "user")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")
_WRONG = "Invalid username or password: try again, or ask an admin for a new password"


@dataclass(frozen=True, slots=True)
class Who:
    """The caller. `number` is FLOAT_USER_ID; `session` is the row that logout removes."""

    name: str
    role: str
    number: int
    session: str = ""

    @property
    def admin(self) -> bool:
        """Whether everything may be seen and done."""
        return self.role == "admin"


class Users:
    """Logins, tokens and the table of users. Times are ms since the epoch."""

    def __init__(self, store: Store, secret: bytes, policy: Policy, clock: Callable[[], int]) -> None:
        self._store = store
        self._signer = URLSafeSerializer(secret, salt="floatgate session")
        self._policy = policy
        self._clock = clock
        self._hasher = argon2.PasswordHasher(time_cost=policy.hash_passes, memory_cost=policy.hash_memory)
        self._dummy = ""
        self._turns = asyncio.Semaphore(policy.hashing)
        self._queue = 0
        self._failures: OrderedDict[str, list[int]] = OrderedDict()

    async def open(self) -> str | None:
        """Make the first admin when there is no user at all; returns their password then, else None."""
        self._dummy = await self._hash(secrets.token_urlsafe())
        async with self._store.read() as connection:
            if (await connection.execute(sa.select(users.c.name).limit(1))).first() is not None:
                return None
        password = secrets.token_urlsafe(12)
        await self.add(ADMIN, password, "admin")
        return password

    async def login(self, name: str, password: str) -> tuple[str, Who]:
        """A new token. Raises Refusal."""
        self._throttle(name)
        async with self._store.read() as connection:
            row = (await connection.execute(sa.select(users).where(users.c.name == name))).first()
        right = await self._try(name, self._dummy if row is None else row.password, password)
        if row is None or not right:
            raise Refusal(Code.NOT_LOGGED_IN, _WRONG)
        return await self._begin(Who(row.name, row.role, row.number))

    async def admin_token(self) -> str:
        """A fresh login as an admin, without a password: for who runs this process. Raises Refusal."""
        async with self._store.read() as connection:
            row = (await connection.execute(_first_admin())).first()
        if row is None:
            raise Refusal(Code.FORBIDDEN, "There is no admin in this OpCenter: nobody can use it")
        token, _ = await self._begin(Who(row.name, row.role, row.number))
        return token

    async def who(self, token: str) -> Who:
        """Whose token it is; notes its use. Raises Refusal."""
        refusal = Refusal(Code.NOT_LOGGED_IN, "Not logged in: log in with float login -u <name>")
        try:
            session = str(self._signer.loads(token.removeprefix("Bearer ").strip()))
        except BadSignature as error:
            raise refusal from error
        query = sa.select(sessions, users.c.role, users.c.number).join(users).where(sessions.c.id == session)
        async with self._store.read() as connection:
            row = (await connection.execute(query)).first()
        now = self._clock()
        if row is None or self._void(row.created, row.seen, now):
            raise refusal
        if now - row.seen >= self._policy.session_touch * 1000:
            with suppress(*STORE_ERRORS):  # a full disk: who may look may still look
                async with self._store.write() as connection:
                    await connection.execute(sa.update(sessions).where(sessions.c.id == session).values(seen=now))
        return Who(row.name, row.role, row.number, session)

    async def logout(self, who: Who) -> None:
        """The token is void from now on."""
        async with self._store.write() as connection:
            await connection.execute(sa.delete(sessions).where(sessions.c.id == who.session))

    async def list(self) -> list[dict[str, str | int]]:
        """Every user, by name."""
        async with self._store.read() as connection:
            rows = await connection.execute(sa.select(users).order_by(users.c.name))
            return [{"username": row.name, "role": row.role, "id": row.number} for row in rows]

    async def add(self, name: str, password: str, role: str) -> None:
        """A new user. Raises Refusal."""
        _check_name(name)
        if role not in ROLES:
            raise Refusal(Code.INVALID_ARGUMENT, f"Invalid argument, invalid role: {role!r} is not admin or user")
        hashed = await self._hash(_checked(password))
        async with self._store.write() as connection:
            if (await connection.execute(sa.select(users.c.name).where(users.c.name == name))).first():
                raise Refusal(Code.CONFLICT, f"There is a user {name} already: choose another name")
            last = (await connection.execute(sa.select(sa.func.max(users.c.number)))).scalar()
            number = 0 if last is None else last + 1
            await connection.execute(
                sa.insert(users).values(name=name, number=number, role=role, password=hashed, created=self._clock())
            )

    async def remove(self, name: str) -> None:
        """The user and their sessions; their jobs stay. Raises Refusal."""
        async with self._store.write() as connection:
            role = (await connection.execute(sa.select(users.c.role).where(users.c.name == name))).scalar()
            if role is None:
                raise _nobody(name)
            admins = (await connection.execute(sa.select(sa.func.count()).where(users.c.role == "admin"))).scalar()
            if role == "admin" and admins == 1:
                raise Refusal(Code.CONFLICT, f"{name} is the last admin: add another admin first")
            await connection.execute(sa.delete(sessions).where(sessions.c.name == name))
            await connection.execute(sa.delete(users).where(users.c.name == name))

    async def set_password(self, who: Who, name: str, password: str, old: str | None) -> None:
        """Change it and end that user's sessions. Own ones need `old`, an admin may set others'. Raises Refusal."""
        if name != who.name and not who.admin:
            raise Refusal(Code.FORBIDDEN, "Only an admin may set somebody else's password: change your own")
        if name == who.name:
            await self._confirm(name, old)
        hashed = await self._hash(_checked(password))
        async with self._store.write() as connection:
            change = sa.update(users).where(users.c.name == name).values(password=hashed)
            if (await connection.execute(change)).rowcount == 0:
                raise _nobody(name)
            await connection.execute(sa.delete(sessions).where(sessions.c.name == name))

    async def reset(self, name: str | None, password: str | None) -> tuple[str, str]:
        """Whose password is new, and which: one is made up when none is given. Ends that user's sessions.

        For who owns the database: nobody is asked for an old one. `name` None: the first admin. Raises Refusal.
        """
        chosen = secrets.token_urlsafe(12) if password is None else _checked(password)
        hashed = await self._hash(chosen)
        async with self._store.write() as connection:
            wanted = _first_admin() if name is None else sa.select(users).where(users.c.name == name)
            row = (await connection.execute(wanted)).first()
            if row is None:
                raise _nobody(name) if name else Refusal(Code.NOT_FOUND, "Resource not found: there is no admin")
            await connection.execute(sa.update(users).where(users.c.name == row.name).values(password=hashed))
            await connection.execute(sa.delete(sessions).where(sessions.c.name == row.name))
        return row.name, chosen

    async def _confirm(self, name: str, old: str | None) -> None:
        self._throttle(name)
        async with self._store.read() as connection:
            hashed = (await connection.execute(sa.select(users.c.password).where(users.c.name == name))).scalar()
        if not await self._try(name, hashed or self._dummy, old or ""):
            raise Refusal(Code.FORBIDDEN, "The old password is wrong: give the one that you log in with")

    async def _begin(self, who: Who) -> tuple[str, Who]:
        session, now = secrets.token_urlsafe(24), self._clock()
        oldest, idle = (now - int(one * 1000) for one in (self._policy.session_life, self._policy.session_idle))
        async with self._store.write() as connection:
            void = sa.or_(sessions.c.created < oldest, sessions.c.seen < idle)
            await connection.execute(sa.delete(sessions).where(void))
            values = {"id": session, "name": who.name, "created": now, "seen": now}
            await connection.execute(sa.insert(sessions).values(**values))
        return "Bearer " + str(self._signer.dumps(session)), Who(who.name, who.role, who.number, session)

    def _void(self, created: int, seen: int, now: int) -> bool:
        return now - created > self._policy.session_life * 1000 or now - seen > self._policy.session_idle * 1000

    def _throttle(self, name: str) -> None:
        window, now = int(self._policy.login_window * 1000), self._clock()
        recent = [time for time in self._failures.get(name, []) if now - time < window]
        if len(recent) >= self._policy.login_tries:
            wait = max(1, (recent[0] + window - now) // 1000)
            raise Refusal(Code.UNAVAILABLE, f"Too many failed logins for this name: wait {wait} s and try again")

    async def _try(self, name: str, hashed: str, password: str) -> bool:
        """`_verify`, counted as a failure before it begins: of tries at once no more pass than one by one."""
        self._throttle(name)
        self._fail(name)
        try:
            right = await self._verify(hashed, password)
        except Refusal:
            self._failures.get(name, [0]).pop()
            raise
        if right:
            self._failures.pop(name, None)
        return right

    def _fail(self, name: str) -> None:
        times = self._failures.setdefault(name, [])
        times.append(self._clock())
        del times[: -self._policy.login_tries]
        self._failures.move_to_end(name)
        while len(self._failures) > self._policy.login_names:
            self._failures.popitem(last=False)

    async def _hash(self, password: str) -> str:
        async with self._turns:
            return await asyncio.to_thread(self._hasher.hash, password)

    async def _verify(self, hashed: str, password: str) -> bool:
        if self._queue >= self._policy.hashing_queue:
            raise Refusal(Code.UNAVAILABLE, "Too many logins at once: try again in a few seconds")
        self._queue += 1
        try:
            async with self._turns:
                return await asyncio.to_thread(self._hasher.verify, hashed, password)
        except (argon2.exceptions.VerificationError, argon2.exceptions.InvalidHashError):
            return False
        finally:
            self._queue -= 1


def _first_admin() -> sa.Select[Any]:
    """The admin of the first start, else whoever became one first."""
    ranked = sa.select(users).where(users.c.role == "admin").order_by(users.c.name != ADMIN, users.c.number)
    return ranked.limit(1)


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise Refusal(
            Code.INVALID_ARGUMENT,
            "Invalid argument, invalid username: use 1 to 64 letters, digits, dots, dashes, underscores or @",
        )


def _checked(password: str) -> str:
    if not 8 <= len(password) <= 1024:
        raise Refusal(Code.INVALID_ARGUMENT, "Invalid argument, invalid password: use 8 to 1024 characters")
    return password


def _nobody(name: str) -> Refusal:
    return Refusal(Code.NOT_FOUND, f"Resource not found: no user {name}; float user list names them")
