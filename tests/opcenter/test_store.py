"""The database: migrations forward, transactions that are whole, and both kinds of database."""

from __future__ import annotations

import asyncio
import gc
import os
import shutil
import signal
import subprocess
import warnings
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import sqlalchemy as sa

from gateway.errors import Code, Refusal
from gateway.opcenter import rows
from gateway.opcenter.book import Book
from gateway.opcenter.events import Bus, Event, JobChanged
from gateway.opcenter.model import Gateway, Job, Lease, Order, Size, move
from gateway.opcenter.security_groups import SecurityGroup
from gateway.opcenter.store import Store, async_url, sqlite_url
from gateway.opcenter.tables import MIGRATIONS, history, jobs
from gateway.opcenter.users import Users
from gateway.types import GatewayId, JobId, JobStatus, Rule, new_job_id
from tests.ports import free_port

from .test_users import QUICK

PG = Path("/usr/lib/postgresql")


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    """A PostgreSQL of our own on loopback, ended with the tests; skipped where there is none."""
    pytest.importorskip("asyncpg", reason="pip install floatgate[postgresql]")
    found = shutil.which("initdb") or next(iter(sorted(map(str, PG.glob("*/bin/initdb")))), None)
    if found is None:
        pytest.skip("no PostgreSQL server on this machine")
    user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"] if os.geteuid() == 0 else []
    with TemporaryDirectory(prefix="pg-") as folder:  # not among pytest's, where another user may not go
        if user:
            shutil.chown(folder, "postgres")
        with _server(user, Path(found).resolve().parent, Path(folder)) as port:
            yield f"postgresql://floatgate@127.0.0.1:{port}/postgres"


@contextmanager
def _server(user: list[str], programs: Path, folder: Path) -> Iterator[int]:
    """A PostgreSQL with its data in this folder; its port."""
    data, port = folder / "d", free_port()
    make = [*user, str(programs / "initdb"), "-D", data, "-A", "trust", "-U", "floatgate"]
    subprocess.run(make, check=True, capture_output=True, cwd=folder)
    command = [*user, str(programs / "postgres"), "-D", data, "-p", str(port), "-h", "127.0.0.1", "-k", folder]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL, cwd=folder) as server:
        try:
            ready = [programs / "pg_isready", "-h", "127.0.0.1", "-p", str(port), "-t", "1"]
            while subprocess.run(ready, capture_output=True, check=False).returncode != 0:
                assert server.poll() is None
            yield port
        finally:
            server.send_signal(signal.SIGINT)  # at once, whoever is still connected


@pytest.fixture(params=["sqlite", "postgresql"])
async def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return sqlite_url(tmp_path / "db")
    server: str = request.getfixturevalue("postgresql")
    store = await Store.open(server)
    name = f"t{os.getpid()}_{abs(hash(request.node.name)) % 10**9}"
    engine = store._engine.execution_options(isolation_level="AUTOCOMMIT")
    async with engine.connect() as connection:
        await connection.execute(sa.text(f"CREATE DATABASE {name}"))
    await store.close()
    return server.rpartition("/")[0] + "/" + name


@pytest.fixture
async def store(url: str) -> AsyncIterator[Store]:
    store = await Store.open(url, "home")
    yield store
    await store.close()


def new_job(**more: object) -> Job:
    return replace(Job(new_job_id(), Order("one", "ada", 0, ("serve",)), Size(1, 1), "t", 5), **more)  # type: ignore[arg-type]


def gateway() -> Gateway:
    return Gateway(
        GatewayId("g-1"), "one", "ada", "127.0.0.1", "gw", True, 10000, 10010, 10010, Size(2, 4), ("sg-a",), "hash", 1
    )


async def test_a_change_of_status_is_saved_with_its_history_or_not_at_all(store: Store) -> None:
    bus = Bus(10, 10)
    told: list[Event] = []
    bus.listeners.append(told.append)
    book, job = Book(store, bus, lambda: 7), new_job()
    async with store.write() as connection:
        await book.add(connection, job)

    def broken(current: Job) -> Job:
        move(current, JobStatus.INITIALIZING, 6)
        raise Refusal(Code.CONFLICT, "No.")

    with pytest.raises(Refusal):
        await book.change(job.id, broken)
    assert (await book.get(job.id), told) == (job, [])
    saved = await book.change(job.id, lambda current: move(current, JobStatus.INITIALIZING, 6))
    assert (saved.version, told) == (1, [JobChanged(saved)])
    assert await book.get(job.id) == saved
    async with store.read() as connection:
        entries = await rows.job_history(connection, job.id, 10)
    assert [(one.time, one.status) for one in entries] == [(0, JobStatus.SUBMITTED), (6, JobStatus.INITIALIZING)]


async def test_a_failure_between_job_and_history_leaves_neither(store: Store) -> None:
    job = new_job()
    with pytest.raises(ZeroDivisionError):
        async with store.write() as connection:
            await rows.add_job(connection, job)
            raise ZeroDivisionError
    async with store.read() as connection:
        counts = [
            (await connection.execute(sa.select(sa.func.count()).select_from(one))).scalar() for one in (jobs, history)
        ]
    assert counts == [0, 0]


async def test_requests_that_are_cancelled_leave_no_connection_behind(tmp_path: Path) -> None:
    async def read(store: Store) -> None:
        async with store.read() as connection:
            await connection.execute(sa.text("SELECT 1"))

    for pause in range(40):  # in the middle of connecting, of asking, of giving back
        store = await Store.open(sqlite_url(tmp_path / "some.db"))
        tasks = [asyncio.create_task(read(store)) for _ in range(4)]
        await asyncio.sleep(pause * 0.0002)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await store.close()
    await asyncio.sleep(0.05)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        gc.collect()
    assert not [str(one.message) for one in said]


async def test_a_closed_store_stays_closed(tmp_path: Path) -> None:
    store = await Store.open(sqlite_url(tmp_path / "some.db"))
    await store.close()
    for use in (store.read, store.write):
        with pytest.raises(Refusal, match="is ending"):
            async with use():
                pass


async def test_a_job_that_somebody_else_changed_is_not_overwritten(store: Store) -> None:
    job = new_job()
    async with store.write() as connection:
        await rows.add_job(connection, job)
        with pytest.raises(RuntimeError):
            await rows.save_job(connection, replace(job, version=9), job)


async def test_leases_follow_their_job_and_gateway(store: Store) -> None:
    one, two = new_job(), new_job()
    async with store.write() as connection:
        await rows.put_gateway(connection, gateway())
        for job, port in ((one, 10000), (two, 10001)):
            await rows.add_job(connection, job)
            await rows.put_lease(connection, Lease(gateway().id, port, job.id, 8888, 1))
        await rows.release_job(connection, one.id, 9)
        assert [lease.released for lease in await rows.leases_of(connection)] == [9, None]
        assert [lease.port for lease in await rows.leases_of(connection, job=two.id)] == [10001]
        assert await rows.get_gateway(connection, gateway().id) == gateway()
        await rows.delete_gateway(connection, gateway().id)
        assert await rows.leases_of(connection) == []
    with pytest.raises(sa.exc.IntegrityError):  # foreign keys are on
        async with store.write() as connection:
            await rows.put_lease(connection, Lease(gateway().id, 10000, JobId("nobody"), 1, 1))


async def test_security_groups_and_users(store: Store) -> None:
    group = SecurityGroup("sg-a", "a", "ada", "", (Rule(1, 2, "10.0.0.0/8"),))
    async with store.write() as connection:
        await rows.put_group(connection, group)
        assert await rows.list_groups(connection) == [group]
    users = Users(store, b"secret", QUICK, lambda: 5)
    password = await users.open() or ""
    assert (await users.who((await users.login("admin", password))[0])).admin


async def test_reads_do_not_wait_for_the_writer(store: Store) -> None:
    job = new_job()
    async with store.write() as writing:
        await rows.add_job(writing, job)
        async with store.read() as connection:
            assert await rows.get_job(connection, job.id) is None


async def test_migrations_run_once_each_in_order(url: str) -> None:
    def add_column(connection: sa.Connection) -> None:
        connection.execute(sa.text("ALTER TABLE jobs ADD COLUMN colour VARCHAR(8)"))

    first = await Store.open(url)
    async with first.write() as connection:
        await rows.add_job(connection, new_job())
    await first.close()
    for _ in range(2):
        second = await Store.open(url, migrations=(*MIGRATIONS, add_column))
        async with second.read() as connection:
            assert len(list(await connection.execute(sa.text("SELECT colour FROM jobs")))) == 1
        await second.close()
    with pytest.raises(Refusal) as info:
        await Store.open(url)
    assert info.value.sentence == "The database is of a newer floatgate (schema 2, not 1): update floatgate"


async def test_a_migration_that_fails_leaves_the_database_as_it_was(url: str) -> None:
    def half(connection: sa.Connection) -> None:
        connection.execute(sa.text("CREATE TABLE half (a INTEGER)"))
        raise ZeroDivisionError

    await (await Store.open(url)).close()
    with pytest.raises(ZeroDivisionError):
        await Store.open(url, migrations=(*MIGRATIONS, half))
    store = await Store.open(url)
    async with store.read() as connection:
        names = await connection.run_sync(lambda sync: sa.inspect(sync).get_table_names())
    await store.close()
    assert "half" not in names


async def test_a_database_belongs_to_one_opcenter(store: Store, url: str) -> None:
    with pytest.raises(Refusal) as info:
        await Store.open(url, "another home")
    assert info.value.sentence.startswith("The database belongs to another OpCenter: ")


@pytest.mark.parametrize("bad", ["nonsense", "postgresql://nobody@127.0.0.1:1/x", "sqlite:////no/such/folder/db"])
async def test_a_database_that_cannot_be_used(bad: str) -> None:
    with pytest.raises(Refusal) as info:
        await Store.open(bad)
    assert info.value.code in (Code.INVALID_ARGUMENT, Code.UNAVAILABLE)
    assert "\n" not in info.value.sentence


async def test_a_password_in_the_url_is_not_told() -> None:
    with pytest.raises(Refusal) as info:
        await Store.open("postgresql://ada:hunter2@127.0.0.1:1/x")
    assert "hunter2" not in info.value.sentence


def test_urls_as_people_write_them() -> None:
    assert async_url("postgres://a@b/c").drivername == "postgresql+asyncpg"
    assert async_url("sqlite:///x.db").drivername == "sqlite+aiosqlite"
