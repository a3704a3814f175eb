"""What the specification says of bad input: one sentence, what is wrong and what to do, and nothing changed."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path

import pytest

from gateway.client import OpCenterClient

from .conftest import Shell, World, executing, field

UNKNOWN = "y" * 21


async def everything(world: World) -> str:
    """All that the OpCenter keeps, but what passes by itself."""
    async with OpCenterClient(f"http://{world.address}") as client:
        client.token = await world.opcenter.admin_token()
        jobs, gateways = await client.get("/jobs"), await client.get("/gateways")
    kept = [{key: job[key] for key in ("id", "status", "reason", "gateway", "cpu", "mem")} for job in jobs]
    return json.dumps([kept, [{**one, "status": "", "version": 0} for one in gateways]], sort_keys=True)


async def refused(user: Shell, world: World, line: str, *words: str) -> None:
    """The line fails with one sentence that has these words; the OpCenter is as it was."""
    before = await everything(world)
    said = await user(line)
    assert (said.code, said.out, said.err.count("\n")) == (1, "", 1), (line, said)
    assert said.err.startswith("Error: ") and not [word for word in words if word not in said.err], (line, said.err)
    assert await everything(world) == before, line


async def test_port_ranges(user: Shell, world: World) -> None:
    create = "float gateway create --securityGroup sg-default --portRange"
    await refused(user, world, f"{create} 9000:10100", "9000:10100 is not within 10000:65535", "choose one that is")
    await refused(user, world, f"{create} 65000:65536", "65000:65536 is not within 10000:65535")
    await refused(
        user, world, f"{create} 10100:10000", "10100 is above 10000", "write the lower port first, 10000:10100"
    )
    await refused(user, world, f"{create} 10000:10000", "two are needed")
    await refused(user, world, f"{create} ten:eleven", "not of the form 10000:10100")
    await user.out(f"{create} {world.low}:{world.low + 2}")
    overlapping = f"{world.low + 1}:{world.low + 9}"
    await refused(
        user, world, f"{create} {overlapping}", "are taken: gateway g-", "choose a range that does not overlap"
    )
    with socket.create_server(("127.0.0.1", world.high)):
        taken = f"{create} {world.low + 5}:{world.high}"
        await refused(
            user, world, taken, f"The port {world.high} on 127.0.0.1 cannot be opened", "choose another range"
        )


async def test_a_range_is_exhausted(user: Shell, world: World) -> None:
    """Three ports: two for sessions, one of the gateway's own."""
    made = await user.out(
        f"float gateway create --securityGroup sg-default --portRange {world.low}:{world.low + 2} -F json"
    )
    gateway = json.loads(made)["id"]
    submit = f"float submit --publish {world.target} -f --gateway"
    for _ in range(2):
        job = field(await user.out(f"{submit} {gateway} -- server"), "id")
        await user.out(f"float wait -j {job} --timeout 30")
    await refused(
        user, world, f"{submit} {gateway} -- server", f"{gateway} has no free port", "disconnect a job, or create"
    )
    await refused(user, world, f"{submit} auto -- server", "No gateway has a free port: create one with float gateway")
    destroy = f"float gateway destroy -g {gateway} -f"
    await refused(user, world, destroy, "2 jobs are connected: first float gateway disconnect")
    first = json.loads(await user.out("float list -F json"))[0]["id"]
    await user.out(f"float gateway disconnect -g {gateway} -j {first} --port {world.target} -f")
    await refused(user, world, destroy, "1 job is connected: first float gateway disconnect")


async def test_what_is_not_there(user: Shell, world: World) -> None:
    job = await executing(user, world)
    await refused(user, world, f"float migrate -j {UNKNOWN} -f", f"no job {UNKNOWN}", "float list shows")
    await refused(user, world, "float suspend -j nonsense -f", "invalid job ID", "float list shows")
    connect = f"float gateway connect -j {job} --targetPort {world.target} -g"
    await refused(user, world, f"{connect} g-nobody", "no gateway g-nobody", "float gateway list shows")
    await refused(
        user, world, "float template deploy -T nonsense", "no template nonsense", "there are jupyter, rstudio"
    )


async def test_a_job_that_cannot_be_moved_now(user: Shell, world: World) -> None:
    job = await executing(user, world)
    await user.out(f"float suspend -j {job} -f --sync")
    resume = f"resume it first with float resume -j {job}"
    await refused(user, world, f"float migrate -j {job} -f", "is Suspended and cannot be migrated now", resume)
    await user.out(f"float cancel -j {job} -f --sync")
    await refused(user, world, f"float migrate -j {job} -f", "is Cancelled and cannot be migrated now", "it has ended")
    await refused(user, world, f"float resume -j {job}", "is Cancelled and cannot be resumed now", "it has ended")


async def test_a_template_whose_program_is_not_installed(
    user: Shell, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    if Path("/usr/lib/rstudio-server/bin/rserver").exists():
        pytest.skip("RStudio Server is installed here")
    monkeypatch.setenv("PATH", os.defpath)  # of the OpCenter, which runs in this process
    deploy = "float template deploy -T rstudio"
    await refused(user, world, deploy, "needs the program rserver, which is not installed: install RStudio Server")
    listed = await user("float template list")
    assert "| no " in listed.out and listed.err.startswith("The template rstudio needs the program rserver")
