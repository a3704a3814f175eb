"""`float gateway`: create, destroy, connect, disconnect, info, list, modify, reload."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from gateway.client import part

from .caller import Caller, confirm
from .framework import Command, Group
from .options import force_option, gateway_option, job_option, pass_caller
from .printing import Column, Format, say, write_list

_LOOSE_WORDS = ("rmSecurityGroup", "addSecurityGroup")  # the guide prints the second without its dashes

_COLUMNS = [
    Column("ID", lambda one: one["id"]),
    Column("NAME", lambda one: one.get("name")),
    Column("STATUS", lambda one: one["status"]),
    Column("CONFIG", lambda one: one["config"]),
    Column("PUBLICIP", lambda one: one["publicIP"]),
    Column("PORTRANGE", lambda one: one["portRange"]),
    Column("START", lambda one: one["startTime"]),
    Column("JOBS", lambda one: one["jobs"]),
    Column("COST", lambda one: one["cost"]),
]


_Decorated = Callable[..., Any]


class _Modify(Command):
    """`--addSecurityGroup | rmSecurityGroup <sg>`, as the guide has it."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        return super().parse_args(ctx, [f"--{one}" if one in _LOOSE_WORDS else one for one in args])


def _outside(command: _Decorated) -> _Decorated:
    """Options for a gateway that something stands before. `none` empties a list."""
    for option in (
        click.option("--publicScheme", "public_scheme", metavar="http|https", help="Of the addresses users are told."),
        click.option(
            "--trustedProxy",
            "trusted_proxies",
            multiple=True,
            metavar="CIDR",
            help="Whose X-Forwarded-For and -Proto are believed; none: nobody's. Repeatable.",
        ),
        click.option(
            "--hostName",
            "host_names",
            multiple=True,
            metavar="NAME",
            help="Another host name that it answers to; none: no other. Repeatable.",
        ),
    ):
        command = option(command)
    return command


def _of_outside(given: dict[str, Any]) -> dict[str, Any]:
    lists = {"hostNames": given["host_names"], "trustedProxies": given["trusted_proxies"]}
    said: dict[str, Any] = {
        key: [one for one in value if one.lower() != "none"] for key, value in lists.items() if value
    }
    return said | ({"publicScheme": given["public_scheme"]} if given["public_scheme"] else {})


@click.group(cls=Group)
def gateway() -> None:
    """Gateways: one address for many sessions."""


@gateway.command()
@click.option("--portRange", "port_range", required=True, metavar="MIN:MAX", help="Ports, of 10000 to 65535.")
@click.option(
    "--securityGroup",
    "groups",
    required=True,
    multiple=True,
    metavar="SG",
    help="Who may connect; sg-default is this machine. Repeatable.",
)
@click.option("-c", "--cpu", type=click.IntRange(min=1), help="vCPUs, 2 without.")
@click.option("-m", "--mem", type=click.IntRange(min=1), help="GB of memory, 4 without.")
@click.option("-n", "--name", help="A name for people.")
@click.option(
    "--noPublicIP",
    "no_public_ip",
    is_flag=True,
    help="It has no public IP: none is shown. --bind says where it listens.",
)
@click.option("--bind", metavar="IP", help="Listen on this address of the machine; 127.0.0.1 without.")
@click.option("--publicAddress", "public_address", metavar="NAME", help="What users are told instead of the IP.")
@_outside
@pass_caller
async def create(caller: Caller, port_range: str, groups: tuple[str, ...], **more: Any) -> None:
    """Create a gateway."""
    body = {
        "portRange": port_range,
        "securityGroups": list(groups),
        "cpu": more["cpu"],
        "mem": more["mem"],
        "name": more["name"],
        "publicIP": not more["no_public_ip"],
        "bind": more["bind"],
        "publicAddress": more["public_address"],
        **_of_outside(more),
    }
    async with caller.client() as client:
        caller.print(await client.post("/gateways", {key: one for key, one in body.items() if one is not None}))


@gateway.command()
@gateway_option()
@force_option()
@pass_caller
async def destroy(caller: Caller, gateway_id: str, force: bool) -> None:
    """Destroy a gateway; disconnect its jobs first."""
    confirm(f"Destroy gateway {gateway_id}?", force)
    async with caller.client() as client:
        await client.delete(f"/gateways/{part(gateway_id)}")
    say("Destroy request has been submitted")


@gateway.command()
@gateway_option()
@job_option("The job that serves.")
@click.option(
    "--targetPort",
    "target_ports",
    type=int,
    multiple=True,
    help="A port that the job listens on; its only one without. Repeatable.",
)
@pass_caller
async def connect(caller: Caller, gateway_id: str, job_id: str, target_ports: tuple[int, ...]) -> None:
    """Give ports of a job a stable address."""
    body = {"job": job_id, "targetPorts": list(target_ports)}
    async with caller.client() as client:
        await client.post(f"/gateways/{part(gateway_id)}/connect", body)
        job = await client.get(f"/jobs/{part(job_id)}")
    caller.print({"id": job["id"], "gateway": job["gateway"]})


@gateway.command()
@gateway_option()
@job_option("The job that serves.")
@click.option("--port", "port", type=int, required=True, help="The job's port (its target port).")
@force_option()
@pass_caller
async def disconnect(caller: Caller, gateway_id: str, job_id: str, port: int, force: bool) -> None:
    """Take a job's port off a gateway; the job runs on."""
    confirm(f"Disconnect port {port} of job {job_id}? Its address is given up", force)
    async with caller.client() as client:
        await client.post(f"/gateways/{part(gateway_id)}/disconnect", {"job": job_id, "port": port})
    say(f"Port {port} of job {job_id} is disconnected")


@gateway.command()
@gateway_option()
@pass_caller
async def info(caller: Caller, gateway_id: str) -> None:
    """Show one gateway with its jobs and who is connected."""
    async with caller.client() as client:
        caller.print(await client.get(f"/gateways/{part(gateway_id)}"))


@gateway.command("reload")
@gateway_option()
@pass_caller
async def reload_gateway(caller: Caller, gateway_id: str) -> None:
    """Let a gateway become the newest version that is installed; its connections go on."""
    async with caller.client() as client:
        await client.post(f"/gateways/{part(gateway_id)}/reload", {})
    say("Reload request has been submitted")


@gateway.command("list")
@pass_caller
async def list_gateways(caller: Caller) -> None:
    """List the gateways."""
    async with caller.client() as client:
        found = await client.get("/gateways")
    write_list(found, _COLUMNS, caller.style(Format.TABLE), "No gateways")


@gateway.command(cls=_Modify)
@gateway_option()
@click.option("--addSecurityGroup", "add", multiple=True, metavar="SG", help="Repeatable.")
@click.option("--rmSecurityGroup", "remove", multiple=True, metavar="SG", help="Repeatable.")
@click.option("-n", "--name", help="Another name.")
@_outside
@pass_caller
async def modify(
    caller: Caller, gateway_id: str, add: tuple[str, ...], remove: tuple[str, ...], name: str | None, **more: Any
) -> None:
    """Change a gateway's security groups, name, or how it is reached from outside."""
    body = {"addSecurityGroups": list(add), "rmSecurityGroups": list(remove), "name": name}
    changes = {key: value for key, value in body.items() if value} | _of_outside(more)
    if not changes:
        raise click.UsageError("Nothing to change: give one of the options that float gateway modify -h shows")
    async with caller.client() as client:
        caller.print(await client.patch(f"/gateways/{part(gateway_id)}", changes))
