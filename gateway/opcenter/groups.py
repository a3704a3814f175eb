"""The verbs of security groups."""

from __future__ import annotations

import re
import secrets
import sys

from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.errors import Code, Refusal

from . import rows
from .fields import Fields, refuse
from .policy import Policy
from .security_groups import DEFAULT, SecurityGroup, parse_rule
from .store import Store
from .users import Who

_ID = re.compile(r"sg-[A-Za-z0-9-]{1,60}")


async def all_groups(connection: AsyncConnection) -> dict[str, SecurityGroup]:
    """Every group by id, `sg-default` first."""
    return {one.id: one for one in (DEFAULT, *await rows.list_groups(connection))}


class Groups:
    """Create, list and delete."""

    def __init__(self, store: Store, policy: Policy) -> None:
        self._store, self._policy = store, policy

    async def list(self) -> list[SecurityGroup]:
        """Every group, `sg-default` first."""
        async with self._store.read() as connection:
            return list((await all_groups(connection)).values())

    async def create(self, doc: object, who: Who) -> SecurityGroup:
        """A new group from the body of `POST /securityGroups`. Raises Refusal."""
        fields = Fields(doc, "id name description rules")
        given = fields.text("id") or "sg-" + secrets.token_hex(9)[:17]
        if not _ID.fullmatch(given):
            refuse("security group ID", f"{given!r} is not sg- followed by letters, digits and dashes")
        asked, most = fields.objects("rules", most=sys.maxsize), self._policy.rules_of_group
        if len(asked) > most:
            refuse(
                "rule",
                f"a security group has {most} rules at most, and this one {len(asked)}: make several groups of it",
            )
        rules = tuple(dict.fromkeys(parse_rule(one) for one in asked))
        if not rules:
            refuse("rule", "a group needs one at least: --rule 10000-10500:10.0.0.0/8")
        group = SecurityGroup(given, fields.text("name") or given, who.name, fields.text("description"), rules)
        async with self._store.write() as connection:
            if given in await all_groups(connection):
                raise Refusal(Code.CONFLICT, f"There is a security group {given} already: choose another id")
            await rows.put_group(connection, group)
        return group

    async def delete(self, group: str, who: Who) -> SecurityGroup:
        """Delete one that no gateway uses. Raises Refusal."""
        async with self._store.write() as connection:
            known = await all_groups(connection)
            if group not in known:
                raise Refusal(Code.NOT_FOUND, f"Resource not found: no security group {group[:80]}")
            if group == DEFAULT.id:
                raise Refusal(Code.CONFLICT, "sg-default cannot be deleted: it is part of every OpCenter")
            if not (who.admin or known[group].owner == who.name):
                raise Refusal(Code.FORBIDDEN, f"{group} belongs to {known[group].owner}: ask them or an admin")
            users = [one for one in await rows.list_gateways(connection) if group in one.security_groups]
            if users:
                how = f"float gateway modify -g {users[0].id} --rmSecurityGroup {group}"
                raise Refusal(Code.CONFLICT, f"{group} is in use by gateway {users[0].id}: first {how}")
            await rows.delete_group(connection, group)
        return known[group]
