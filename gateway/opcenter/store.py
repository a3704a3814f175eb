"""The database: open it, bring it up to date, and hand out transactions.

SQLite in one file by default, PostgreSQL by URL. One OpCenter writes; its writes go one after the other.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry

from gateway.errors import Code, Refusal

from .tables import MIGRATIONS, Migration, meta

STORE_ERRORS = (OSError, sa.exc.SQLAlchemyError)
"""What a loop survives: a PostgreSQL that restarts, a disk that is full for a while."""

_WAY_BACK = 5.0  # seconds for a connection whose request was cancelled: a rollback
_VERSION = "schema"
_HOME = "home"


def sqlite_url(path: Path) -> str:
    """The URL of a database in this file."""
    return str(sa.URL.create("sqlite+aiosqlite", database=str(path)))


def async_url(url: str) -> sa.URL:
    """The URL with the driver that we use: `postgresql://…` as people write it is understood.

    Raises Refusal for what is not a database's URL.
    """
    try:
        parsed = sa.make_url(url)
    except sa.exc.ArgumentError as error:
        sentence = "The database URL is not understood: write postgresql://user:password@host/name"
        raise Refusal(Code.INVALID_ARGUMENT, sentence) from error
    drivers = {"postgresql": "postgresql+asyncpg", "postgres": "postgresql+asyncpg", "sqlite": "sqlite+aiosqlite"}
    return parsed.set(drivername=drivers.get(parsed.drivername, parsed.drivername))


class Store:
    """`async with store.read() as connection`, `async with store.write() as connection`."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._writing = asyncio.Lock()
        self._closed = False

    @staticmethod
    async def open(url: str, home: str = "", migrations: Sequence[Migration] = MIGRATIONS) -> Store:
        """Connect and migrate. `home` names the only OpCenter that may use this database. Raises Refusal."""
        parsed = async_url(url)
        try:
            ping = parsed.get_backend_name() != "sqlite"
            engine = create_async_engine(parsed, pool_pre_ping=ping, hide_parameters=True)  # they hold secrets
        except (sa.exc.ArgumentError, ImportError) as error:
            sentence = f"The driver for {parsed.drivername} is missing: pip install floatgate[postgresql]"
            raise Refusal(Code.UNAVAILABLE, sentence) from error
        store = Store(engine)
        if parsed.get_backend_name() == "sqlite":
            _check_folder(parsed)
            sa.event.listen(engine.sync_engine, "connect", _sqlite_connect)
            sa.event.listen(engine.sync_engine, "begin", _sqlite_begin)
        try:
            if parsed.get_backend_name() == "sqlite":
                _keep_private(parsed)
            await store._prepare(home, migrations)
        except (OSError, sa.exc.DBAPIError) as error:
            await store.close()
            where = parsed.render_as_string(hide_password=True)
            raise Refusal(Code.UNAVAILABLE, f"The database {where} cannot be used: {_first_line(error)}") from error
        except BaseException:
            await store.close()
            raise
        return store

    async def close(self) -> None:
        """Close every connection. Those of requests that were just cancelled are still on their way back."""
        self._closed = True
        pool = self._engine.pool
        assert isinstance(pool, sa.QueuePool)
        with suppress(TimeoutError):
            async with asyncio.timeout(_WAY_BACK):
                while pool.checkedout():  # noqa: ASYNC110  # the pool tells nobody
                    await asyncio.sleep(0.005)
        await self._engine.dispose()

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """A transaction that only reads. Raises Refusal after `close`."""
        self._check_open()
        async with self._engine.connect() as connection:
            yield connection

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        """A transaction: all of it is saved when the block ends, nothing when it raises.

        Raises Refusal after `close`.
        """
        async with self._writing:
            self._check_open()
            async with self._engine.begin() as connection:
                yield connection

    def _check_open(self) -> None:
        """SQLAlchemy would open the database anew, and nobody would close it."""
        if self._closed:
            raise Refusal(Code.UNAVAILABLE, "The OpCenter is ending: start it again, then ask again")

    async def _prepare(self, home: str, migrations: Sequence[Migration]) -> None:
        async with self.write() as connection:
            await connection.run_sync(_migrate, migrations)
            await connection.run_sync(_claim, home)


def _check_folder(url: sa.URL) -> None:
    """Before the driver finds out in a thread of its own, which outlives the error."""
    if url.database and not Path(url.database).absolute().parent.is_dir():
        raise Refusal(Code.UNAVAILABLE, f"The database {url.database} cannot be used: there is no such folder")


def _keep_private(url: sa.URL) -> None:
    """The file is readable by us alone before anything is in it; SQLite gives its other files the same mode.

    Never opened when it exists: closing it would drop the locks that this process has on it (fcntl(2)). Raises OSError.
    """
    if not url.database or url.database == ":memory:" or url.database.startswith("file:"):
        return
    path = Path(url.database)
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_EXCL, 0o600))
    for one in (path, *(path.with_name(path.name + end) for end in ("-wal", "-shm", "-journal"))):
        with suppress(FileNotFoundError, PermissionError):  # somebody else's: their business
            if one.stat().st_mode & 0o077:
                one.chmod(0o600)


def _sqlite_connect(connection: DBAPIConnection, _record: ConnectionPoolEntry) -> None:
    """WAL: readers do not wait for the writer. FULL: what was answered survives a power cut."""
    connection.isolation_level = None  # the driver begins nothing by itself
    cursor: Any = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "busy_timeout=10000"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _sqlite_begin(connection: sa.Connection) -> None:
    connection.exec_driver_sql("BEGIN")


def _migrate(connection: sa.Connection, migrations: Sequence[Migration]) -> None:
    meta.create(connection, checkfirst=True)
    row = connection.execute(sa.select(meta.c.value).where(meta.c.key == _VERSION)).first()
    version = 0 if row is None else int(row[0])
    if version > len(migrations):
        raise Refusal(
            Code.UNAVAILABLE,
            f"The database is of a newer floatgate (schema {version}, not {len(migrations)}): update floatgate",
        )
    for migration in migrations[version:]:
        migration(connection)
    _put(connection, _VERSION, str(len(migrations)))


def _claim(connection: sa.Connection, home: str) -> None:
    row = connection.execute(sa.select(meta.c.value).where(meta.c.key == _HOME)).first()
    if row is not None and home and row[0] != home:
        raise Refusal(
            Code.CONFLICT,
            "The database belongs to another OpCenter: give each its own, or use the other's --home",
        )
    if row is None and home:
        _put(connection, _HOME, home)


def _put(connection: sa.Connection, key: str, value: str) -> None:
    connection.execute(sa.delete(meta).where(meta.c.key == key))
    connection.execute(sa.insert(meta).values(key=key, value=value))


def _first_line(error: BaseException) -> str:
    cause = getattr(error, "orig", None) or error
    return (str(cause).splitlines() or [type(cause).__name__])[0]
