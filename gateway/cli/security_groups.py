"""`float security-group`: create, list, delete. Who may connect to which ports of a gateway."""

from __future__ import annotations

from ipaddress import ip_network
from typing import Any

import click

from gateway.client import part
from gateway.errors import Code, Refusal

from .caller import Caller, confirm
from .framework import Group
from .options import force_option, pass_caller
from .printing import Column, Format, say, write_list

_COLUMNS = [
    Column("ID", lambda one: one["id"]),
    Column("NAME", lambda one: one.get("name")),
    Column("RULES", lambda one: ", ".join(map(_rule_text, one["rules"]))),
    Column("DESCRIPTION", lambda one: one.get("description")),
]


@click.group("security-group", cls=Group)
def security_group() -> None:
    """Security groups: who may connect to which ports."""


@security_group.command()
@click.option("--id", "group_id", metavar="SG", help="Its id, such as sg-0fbb6a83983183364; made up without.")
@click.option("-n", "--name", help="A name for people.")
@click.option("--description", help="What it is for.")
@click.option(
    "--rule",
    "rules",
    multiple=True,
    required=True,
    metavar="PORTS:SOURCE",
    help="Such as 10000-10500:192.168.0.0/16 or 8787:0.0.0.0/0. Repeatable.",
)
@pass_caller
async def create(caller: Caller, rules: tuple[str, ...], group_id: str | None, **more: str | None) -> None:
    """Create a security group."""
    body = {"id": group_id, **more, "rules": [to_rule(one) for one in rules]}
    async with caller.client() as client:
        made = await client.post("/securityGroups", {key: one for key, one in body.items() if one is not None})
    caller.print(made)


@security_group.command("list")
@pass_caller
async def list_groups(caller: Caller) -> None:
    """List the security groups."""
    async with caller.client() as client:
        found = await client.get("/securityGroups")
    write_list(found, _COLUMNS, caller.style(Format.TABLE), "No security groups")


@security_group.command()
@click.option("--id", "group_id", required=True, metavar="SG", help="The security group.")
@force_option()
@pass_caller
async def delete(caller: Caller, group_id: str, force: bool) -> None:
    """Delete a security group."""
    confirm(f"Delete security group {group_id}?", force)
    async with caller.client() as client:
        await client.delete(f"/securityGroups/{part(group_id)}")
    say(f"Security group {group_id} is deleted")


def to_rule(text: str) -> dict[str, Any]:
    """`10000-10500:0.0.0.0/0` as the API has it; the source may be IPv6. Raises Refusal."""
    ports, colon, source = text.partition(":")
    low, _, high = ports.partition("-")
    if not colon:
        raise _no_rule(text, "there is no colon between the ports and the source")
    if not all(one.isascii() and one.isdigit() and 1 <= int(one) <= 65535 for one in (low, high or low)):
        raise _no_rule(text, f"{ports!r} is not a port of 1 to 65535, or two with a dash between them")
    if int(low) > int(high or low):
        raise _no_rule(text, f"the ports {ports} are the wrong way round: write {high}-{low}")
    try:
        ip_network(source)
    except ValueError:
        raise _no_rule(text, _wrong_source(source)) from None
    return {"portMin": int(low), "portMax": int(high or low), "source": source}


def _no_rule(text: str, why: str) -> Refusal:
    sentence = f"--rule {text!r}: {why}. It takes PORTS:SOURCE, such as 10000-10500:192.168.0.0/16"
    return Refusal(Code.INVALID_ARGUMENT, sentence)


def _wrong_source(source: str) -> str:
    try:
        return f"the source {source} has bits below its mask: the block is {ip_network(source, strict=False)}"
    except ValueError:
        return f"the source {source!r} is not a block of IP addresses"


def _rule_text(rule: dict[str, Any]) -> str:
    low, high = rule["portMin"], rule["portMax"]
    return f"{low if low == high else f'{low}-{high}'}:{rule['source']}"
