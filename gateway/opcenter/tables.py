"""The database's tables, and how an older database becomes this one.

A row's `doc` is the whole record as JSON (`codec.py`); the columns beside it are what is searched for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import sqlalchemy as sa

metadata = sa.MetaData()

meta = sa.Table(
    "meta", metadata, sa.Column("key", sa.String(64), primary_key=True), sa.Column("value", sa.Text, nullable=False)
)
users = sa.Table(
    "users",
    metadata,
    sa.Column("name", sa.String(64), primary_key=True),
    sa.Column("number", sa.Integer, nullable=False, unique=True),  # FLOAT_USER_ID, 0 is the first admin
    sa.Column("role", sa.String(16), nullable=False),
    sa.Column("password", sa.Text, nullable=False),  # argon2 hash
    sa.Column("created", sa.BigInteger, nullable=False),
)
sessions = sa.Table(
    "sessions",
    metadata,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("name", sa.String(64), sa.ForeignKey("users.name", ondelete="CASCADE"), nullable=False, index=True),
    sa.Column("created", sa.BigInteger, nullable=False),
    sa.Column("seen", sa.BigInteger, nullable=False),
)
jobs = sa.Table(
    "jobs",
    metadata,
    sa.Column("id", sa.String(32), primary_key=True),
    sa.Column("owner", sa.String(64), nullable=False, index=True),
    sa.Column("status", sa.String(32), nullable=False, index=True),
    sa.Column("clean", sa.Boolean, nullable=False, index=True),
    sa.Column("submitted", sa.BigInteger, nullable=False, index=True),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("doc", sa.Text, nullable=False),
)
history = sa.Table(
    "history",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("job", sa.String(32), sa.ForeignKey("jobs.id", ondelete="CASCADE"), nullable=False, index=True),
    sa.Column("time", sa.BigInteger, nullable=False),
    sa.Column("status", sa.String(32), nullable=False),
    sa.Column("step", sa.String(32)),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("host", sa.Text),
    sa.Column("address", sa.Text),
)
gateways = sa.Table(
    "gateways",
    metadata,
    sa.Column("id", sa.String(32), primary_key=True),
    sa.Column("created", sa.BigInteger, nullable=False),
    sa.Column("doc", sa.Text, nullable=False),
)
leases = sa.Table(
    "leases",
    metadata,
    sa.Column("gateway", sa.String(32), sa.ForeignKey("gateways.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("port", sa.Integer, primary_key=True),
    sa.Column("job", sa.String(32), sa.ForeignKey("jobs.id", ondelete="CASCADE"), nullable=False, index=True),
    sa.Column("target", sa.Integer, nullable=False),
    sa.Column("leased", sa.BigInteger, nullable=False),
    sa.Column("released", sa.BigInteger),
    sa.Column("shown", sa.Boolean, nullable=False),
)
security_groups = sa.Table(
    "security_groups",
    metadata,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("owner", sa.String(64), nullable=False),
    sa.Column("description", sa.Text, nullable=False),
    sa.Column("rules", sa.Text, nullable=False),  # JSON
)

Migration = Callable[[sa.Connection], None]


def _first(connection: sa.Connection) -> None:
    metadata.create_all(connection)


MIGRATIONS: Sequence[Migration] = (_first,)  # number N brings a database from version N to N + 1
