"""Logins: what is kept, what expires, what is limited, and that nothing tells whether a name exists."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.errors import Code, Refusal
from gateway.opcenter.policy import Policy
from gateway.opcenter.store import Store, sqlite_url
from gateway.opcenter.users import Users, Who

QUICK = replace(Policy(), hash_passes=1, hash_memory=64, login_tries=3)
HOUR = 3_600_000


class Clock:
    now = 1_000_000_000_000

    def __call__(self) -> int:
        return self.now


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    store = await Store.open(sqlite_url(tmp_path / "db"))
    yield store
    await store.close()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def users(store: Store, clock: Clock) -> Users:
    users = Users(store, b"secret", QUICK, clock)
    await users.open()
    await users.add("ada", "correct horse", "user")
    return users


async def refusal(call: object) -> Refusal:
    with pytest.raises(Refusal) as info:
        await call  # type: ignore[misc]
    return info.value


async def test_a_lost_password_is_set_anew(users: Users) -> None:
    """By the owner of the folder: no old one is asked for, and whoever is logged in is so no longer."""
    token, _ = await users.login("ada", "correct horse")
    name, made = await users.reset("ada", None)
    assert name == "ada" and len(made) >= 16
    assert (await refusal(users.who(token))).code is Code.NOT_LOGGED_IN
    assert (await refusal(users.login("ada", "correct horse"))).code is Code.NOT_LOGGED_IN
    await users.login("ada", made)
    assert await users.reset(None, "another horse") == ("admin", "another horse")
    assert (await users.login("admin", "another horse"))[1].admin
    assert (await refusal(users.reset("bob", None))).code is Code.NOT_FOUND
    assert (await refusal(users.reset("ada", "short"))).code is Code.INVALID_ARGUMENT
    await users.login("ada", made)


async def test_the_first_start_makes_an_admin_and_no_later_one(store: Store, clock: Clock) -> None:
    first = Users(store, b"secret", QUICK, clock)
    password = await first.open()
    assert password
    _, who = await first.login("admin", password)
    assert who == Who("admin", "admin", 0, who.session)
    assert await Users(store, b"secret", QUICK, clock).open() is None


async def test_a_token_names_its_user_until_logout(users: Users) -> None:
    token, _ = await users.login("ada", "correct horse")
    who = await users.who(token)
    assert (who.name, who.role, who.number, who.admin) == ("ada", "user", 1, False)
    assert await users.who(token.removeprefix("Bearer ")) == who
    await users.logout(who)
    assert (await refusal(users.who(token))).code is Code.NOT_LOGGED_IN


async def test_a_token_signed_by_somebody_else(users: Users, store: Store, clock: Clock) -> None:
    other = Users(store, b"another secret", QUICK, clock)
    await other.open()
    token, _ = await other.login("ada", "correct horse")
    assert (await refusal(users.who(token))).code is Code.NOT_LOGGED_IN


async def test_an_idle_token_is_void_and_one_in_use_is_not(users: Users, clock: Clock) -> None:
    idle, _ = await users.login("ada", "correct horse")
    used, _ = await users.login("ada", "correct horse")
    for _ in range(3):
        clock.now += 10 * HOUR
        await users.who(used)
    assert (await refusal(users.who(idle))).code is Code.NOT_LOGGED_IN


async def test_every_token_is_void_in_the_end(users: Users, clock: Clock) -> None:
    token, _ = await users.login("ada", "correct horse")
    for _ in range(36):
        clock.now += 20 * HOUR
        await users.who(token)
    clock.now += 20 * HOUR
    assert (await refusal(users.who(token))).code is Code.NOT_LOGGED_IN


async def test_an_unknown_name_and_a_wrong_password_are_answered_alike(users: Users) -> None:
    unknown = await refusal(users.login("nobody", "correct horse"))
    wrong = await refusal(users.login("ada", "wrong"))
    assert (unknown.code, unknown.sentence) == (wrong.code, wrong.sentence)


async def test_and_take_the_same_time(store: Store, clock: Clock) -> None:
    slow = Users(store, b"s", replace(QUICK, hash_passes=2, hash_memory=1 << 16, login_tries=100), clock)
    await slow.open()

    async def quickest(name: str) -> float:
        times = []
        for _ in range(5):
            began = time.perf_counter()
            await refusal(slow.login(name, "wrong password"))
            times.append(time.perf_counter() - began)
        return min(times)

    known, unknown = await quickest("admin"), await quickest("nobody")
    assert 0.4 < known / unknown < 2.5


async def test_too_many_failures_of_a_name_make_it_wait_known_or_not(users: Users, clock: Clock) -> None:
    for name in ("ada", "nobody"):
        for _ in range(3):
            assert (await refusal(users.login(name, "wrong"))).code is Code.NOT_LOGGED_IN
        for password in ("wrong", "correct horse"):
            limited = await refusal(users.login(name, password))
            assert limited.sentence == "Too many failed logins for this name: wait 60 s and try again"
    clock.now += 61_000
    await users.login("ada", "correct horse")


async def test_no_more_tries_pass_at_once_than_one_by_one(users: Users) -> None:
    tries = await asyncio.gather(*(refusal(users.login("ada", f"guess {one}")) for one in range(12)))
    assert [one.code for one in tries].count(Code.NOT_LOGGED_IN) == 3
    assert [one.code for one in tries].count(Code.UNAVAILABLE) == 9


async def test_the_names_that_are_remembered_are_bounded(users: Users) -> None:
    users._policy = replace(QUICK, login_names=2)
    for name in ("a", "b", "c"):
        await refusal(users.login(name, "wrong"))
    assert list(users._failures) == ["b", "c"]


async def test_passwords(users: Users) -> None:
    token, who = await users.login("ada", "correct horse")
    assert (await refusal(users.set_password(who, "ada", "new password", "wrong"))).code is Code.FORBIDDEN
    assert (await refusal(users.set_password(who, "ada", "short", "correct horse"))).code is Code.INVALID_ARGUMENT
    await users.set_password(who, "ada", "new password", "correct horse")
    assert (await refusal(users.who(token))).code is Code.NOT_LOGGED_IN  # every session ended
    await users.login("ada", "new password")
    admin = Who("admin", "admin", 0)
    await users.set_password(admin, "ada", "third password", None)
    await users.login("ada", "third password")
    assert (await refusal(users.set_password(admin, "nobody", "third password", None))).code is Code.NOT_FOUND


async def test_users_come_and_go(users: Users) -> None:
    token, _ = await users.login("ada", "correct horse")
    assert (await refusal(users.add("ada", "correct horse", "user"))).code is Code.CONFLICT
    for name, password, role in (("a b", "12345678", "user"), ("eve", "12345678", "root"), ("eve", "1", "user")):
        assert (await refusal(users.add(name, password, role))).code is Code.INVALID_ARGUMENT
    await users.remove("ada")
    assert (await refusal(users.who(token))).code is Code.NOT_LOGGED_IN
    assert (await refusal(users.remove("ada"))).code is Code.NOT_FOUND
    assert (await refusal(users.remove("admin"))).sentence == "admin is the last admin: add another admin first"
    assert await users.list() == [{"username": "admin", "role": "admin", "id": 0}]


async def test_who_runs_the_process_needs_no_password(users: Users) -> None:
    assert (await users.who(await users.admin_token())).name == "admin"
