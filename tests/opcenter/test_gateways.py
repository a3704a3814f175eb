"""Gateways from both sides: the API, and a scripted gateway that watches."""

from __future__ import annotations

import asyncio
import json
import stat
from dataclasses import replace
from typing import Any

import aiohttp
import pytest

from gateway.client import OpCenterClient
from gateway.engines.base import PlacementId
from gateway.engines.fake import Fail
from gateway.errors import Code, Refusal
from gateway.types import GateState, JobStatus, Rule, Step

from .conftest import World, free_range


@pytest.fixture(autouse=True)
async def opcenter(api: OpCenterClient) -> None:
    """Every test here has one."""


async def refused(call: object) -> Refusal:
    with pytest.raises(Refusal) as info:
        await call  # type: ignore[misc]
    return info.value


async def test_a_gateway_is_ready_when_it_is_linked_and_has_acknowledged(world: World) -> None:
    gateway = await world.gateway(name="front", cpu=2, mem=4)
    assert (gateway["status"], gateway["config"], gateway["jobs"]) == ("Starting", "2Cores4GB", 0)
    await world.eventually(lambda: bool(world.processes.spawned))
    assert (await world.api.get(f"/gateways/{gateway['id']}"))["status"] == "Starting"
    async with world.peer(gateway) as peer:
        snapshot = await peer.until(lambda _: True)
        assert (snapshot.gateway, snapshot.name, snapshot.bind) == (gateway["id"], "front", "127.0.0.1")
        assert snapshot.control_port == snapshot.port_max
        assert Rule(1, 65535, "127.0.0.0/8") in snapshot.rules
        await status(world, gateway, "Ready")
    await status(world, gateway, "Offline")


async def status(world: World, gateway: dict, wanted: str) -> None:
    await world.gateway_until(gateway, lambda one: one["status"] == wanted)


async def test_its_settings_are_written_before_it_starts_and_are_nobodys_business(world: World) -> None:
    gateway = await world.gateway(cpu=3)
    path = world.home / "gateways" / gateway["id"] / "gateway.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    doc = json.loads(path.read_text())
    assert (doc["id"], doc["opcenter"], doc["workers"]) == (gateway["id"], world.api.address, 3)


async def test_only_the_gateway_itself_may_watch(world: World) -> None:
    one, two = await world.gateway(), await world.gateway()
    peer = world.peer(one)
    peer.settings["token"] = world.peer(two).settings["token"]
    with pytest.raises(aiohttp.WSServerHandshakeError) as info:
        await peer.dial()
    assert info.value.status == 401
    await peer.close()


async def test_a_move_seen_from_the_gateway(world: World) -> None:
    """Held, then open at the new address; one generation each; the status and step say what happens."""
    gateway = await world.gateway()
    async with world.peer(gateway) as peer:
        job = await world.running(gateway=gateway["id"])
        opened = await peer.listener(job["id"], lambda one: one.gate is GateState.OPEN)
        assert (opened.address, opened.target_port, opened.port) == (job["address"], world.inner, first(gateway))
        await world.api.post(f"/jobs/{job['id']}/migrate")
        moved = await world.until(job, "Executing")
        last = await peer.listener(job["id"], lambda one: one.address == moved["address"])
        assert peer.seen(job["id"])[-3:] == [
            (GateState.OPEN, job["address"], opened.generation),
            (GateState.HELD, None, opened.generation + 1),
            (GateState.OPEN, moved["address"], opened.generation + 2),
        ]
        assert last.typical_seconds == moved["typicalMove"]
        assert [one.version for one in peer.snapshots] == sorted({one.version for one in peer.snapshots})


async def test_why_a_job_did_not_come_back_reaches_the_gateway(world: World) -> None:
    """What the widget shows beside Suspended: the snapshot's reason."""
    gateway = await world.gateway()
    async with world.peer(gateway) as peer:
        job = await world.running(gateway=gateway["id"])
        await world.api.post(f"/jobs/{job['id']}/suspend")
        await world.until(job, "Suspended")
        world.engine.script("restore", *[Fail("No memory.")] * 3)
        await world.api.post(f"/jobs/{job['id']}/resume")
        shown = await peer.listener(job["id"], lambda one: "No memory." in one.reason)
        assert (shown.status, shown.gate) == (JobStatus.SUSPENDED, GateState.SUSPENDED)


def first(gateway: dict) -> int:
    return int(gateway["portRange"].partition("-")[0])


async def test_the_checkpoint_waits_for_the_drained_report_of_this_generation(world: World) -> None:
    gateway = await world.gateway()
    async with world.peer(gateway, drains=False) as peer:
        job = await world.running(gateway=gateway["id"])
        await peer.listener(job["id"], lambda one: one.gate is GateState.OPEN)
        await world.api.post(f"/jobs/{job['id']}/migrate")
        held = await peer.listener(job["id"], lambda one: one.gate is GateState.HELD and one.step is Step.DRAINING)
        assert (held.status, held.reason, held.actions) == (JobStatus.FLOATING, "user", ("cancel",))
        late = {"job": job["id"], "port": held.port, "generation": held.generation - 1, "drained": True}
        await peer.say(type="report", reports=[late])
        looks = len(world.engine.calls)
        await world.eventually(lambda: len(world.engine.calls) > looks + 4)
        assert "checkpoint" not in world.engine.verbs()
        await peer.report(held, drained=True)
        await world.until(job, "Executing")


async def test_a_gateway_that_goes_away_is_not_waited_for(world: World) -> None:
    gateway = await world.gateway()
    async with world.peer(gateway, drains=False) as peer:
        job = await world.running(gateway=gateway["id"])
        await world.api.post(f"/jobs/{job['id']}/migrate")
        await peer.listener(job["id"], lambda one: one.step is Step.DRAINING)
        world.processes.die()
        await peer.hang_up()
        await world.until(job, "Executing")


async def test_after_a_failed_checkpoint_the_gate_opens_at_the_old_address(world: World) -> None:
    world.engine.script("checkpoint", Fail("The disk is full."))
    gateway = await world.gateway()
    async with world.peer(gateway) as peer:
        job = await world.running(gateway=gateway["id"])
        await world.api.post(f"/jobs/{job['id']}/migrate")
        await world.until(job, "Executing")
        again = await peer.listener(job["id"], lambda one: one.gate is GateState.OPEN and "disk" in one.reason)
        generations = [generation for gate, _, generation in peer.seen(job["id"]) if gate is GateState.OPEN]
        assert again.address == job["address"]
        assert generations == sorted(set(generations))


async def test_what_a_suspended_and_an_ended_job_look_like(world: World) -> None:
    gateway = await world.gateway()
    async with world.peer(gateway) as peer:
        job = await world.running(gateway=gateway["id"])
        await world.api.post(f"/jobs/{job['id']}/suspend")
        asleep = await peer.listener(job["id"], lambda one: one.gate is GateState.SUSPENDED)
        assert (asleep.address, asleep.actions) == (None, ("resume", "cancel"))
        await world.api.delete(f"/jobs/{job['id']}")
        ended = await peer.listener(job["id"], lambda one: one.status is JobStatus.CANCELLED)
        assert (ended.gate, ended.actions) == (GateState.ENDED, ())


async def test_a_lost_server_is_looked_at(world: World) -> None:
    gateway = await world.gateway()
    async with world.peer(gateway) as peer:
        job = await world.running(gateway=gateway["id"])
        listener = await peer.listener(job["id"], lambda one: one.gate is GateState.OPEN)
        world.engine.end(PlacementId(f"{job['id']}-1"), 0)
        await peer.say(type="lost", job=job["id"], port=listener.port, address=job["address"])
        await world.until(job, "Completed")


async def test_activity_and_trouble_are_shown(world: World) -> None:
    gateway = await world.gateway()
    async with world.peer(gateway) as peer:
        job = await world.running(gateway=gateway["id"])
        one = {"job": job["id"], "port": first(gateway), "last": 5, "clients": ["10.0.0.9"], "websockets": 2}
        await peer.say(type="activity", activity=[one])
        await peer.say(type="trouble", port=first(gateway), sentence="The port is taken.")
        await world.gateway_until(gateway, lambda one: bool(one["trouble"]))
        shown = await world.api.get(f"/gateways/{gateway['id']}")
        line = shown["connectedJobs"][0]
        assert (line["clients"], line["websockets"], line["lastActivityMs"]) == (["10.0.0.9"], 2, 5)
        assert shown["trouble"] == [f"{first(gateway)}: The port is taken."]
        assert line["accessURL"] == f"http://127.0.0.1:{first(gateway)}/"


async def test_a_second_connection_takes_over_from_the_first(world: World) -> None:
    gateway = await world.gateway()
    async with world.peer(gateway) as old:
        await old.until(lambda _: True)
        async with world.peer(gateway) as new:
            await new.until(lambda _: True)
            assert await old.closed() == aiohttp.WSCloseCode.SERVICE_RESTART
            await status(world, gateway, "Ready")


@pytest.mark.parametrize(
    "nonsense", ["{", "[]", '{"type": "dance"}', '{"type": "ack"}', '{"type": "report", "reports": [{}]}']
)
async def test_a_gateway_that_talks_nonsense_is_hung_up_on(world: World, nonsense: str) -> None:
    gateway = await world.gateway()
    async with world.peer(gateway) as peer:
        await peer.until(lambda _: True)
        assert peer._socket is not None
        await peer._socket.send_str(nonsense)
        assert await peer.closed() == aiohttp.WSCloseCode.POLICY_VIOLATION


async def test_security_groups_reach_the_gateway(world: World) -> None:
    rules = [{"portMin": 10000, "portMax": 10500, "source": "10.0.0.0/8"}]
    await world.api.post("/securityGroups", {"id": "sg-lan", "rules": rules})
    gateway = await world.gateway()
    async with world.peer(gateway) as peer:
        changed = await world.api.patch(f"/gateways/{gateway['id']}", {"addSecurityGroups": ["sg-lan"]})
        assert changed["securityGroups"] == ["sg-default", "sg-lan"]
        await peer.until(lambda one: Rule(10000, 10500, "10.0.0.0/8") in one.rules)
        in_use = await refused(world.api.delete("/securityGroups/sg-lan"))
        assert in_use.sentence == f"sg-lan is in use by gateway {gateway['id']}: first float gateway modify -g " + (
            f"{gateway['id']} --rmSecurityGroup sg-lan"
        )
        await world.api.patch(f"/gateways/{gateway['id']}", {"rmSecurityGroups": ["sg-default"]})
        await peer.until(lambda one: one.rules == (Rule(10000, 10500, "10.0.0.0/8"),))


def many_rules(number: int, count: int = 100) -> list[dict[str, Any]]:
    """Of one group, unlike every other group's."""
    return [{"portMin": 1, "portMax": 65535, "source": f"10.{number}.{one}.0/24"} for one in range(count)]


async def test_a_gateway_has_as_many_rules_as_are_carried_to_it_and_no_more(world: World) -> None:
    names = [f"sg-{number}" for number in range(11)]
    for number, name in enumerate(names):
        await world.api.post("/securityGroups", {"id": name, "rules": many_rules(number)})
    await world.api.post("/securityGroups", {"id": "sg-again", "rules": many_rules(0)})
    no = await refused(world.gateway(securityGroups=names))
    assert (no.code, no.sentence) == (
        Code.CONFLICT,
        "A gateway has 1000 rules at most, and these groups have 1100: "
        "remove a security group, or name larger blocks of addresses",
    )
    assert await world.api.get("/gateways") == []
    gateway = await world.gateway(securityGroups=[*names[:10], "sg-again"])
    path = f"/gateways/{gateway['id']}"
    async with world.peer(gateway) as peer:
        await peer.until(lambda one: len(one.rules) == 1000)
    assert (await refused(world.api.patch(path, {"addSecurityGroups": ["sg-default"]}))).code is Code.CONFLICT
    await world.api.patch(path, {"addSecurityGroups": names[10:], "rmSecurityGroups": names[9:10]})
    assert (await world.api.get(path))["securityGroups"] == [*names[:9], "sg-again", names[10]]


async def test_a_gateway_that_has_too_many_rules_already_can_be_changed_otherwise(world: World) -> None:
    """An earlier OpCenter had no such limit."""
    for number in range(2):
        await world.api.post("/securityGroups", {"id": f"sg-{number}", "rules": many_rules(number)})
    gateway = await world.gateway(securityGroups=["sg-0", "sg-1"])
    world.policy = replace(world.policy, rules_of_gateway=50)
    await world.restart()
    path = f"/gateways/{gateway['id']}"
    async with world.peer(gateway) as peer:
        await peer.until(lambda one: len(one.rules) == 200)
        assert (await world.api.patch(path, {"name": "class"}))["name"] == "class"
        await world.api.patch(path, {"rmSecurityGroups": ["sg-0"]})
        await peer.until(lambda one: len(one.rules) == 100)


async def test_ports_lowest_first_and_a_released_one_rests(world: World) -> None:
    gateway = await world.gateway(portRange=free_range(4))
    low = first(gateway)
    one, two = [await world.running(gateway="auto") for _ in range(2)]
    assert [job["gateway"]["portMappings"] for job in (one, two)] == [
        [f"8888 -> 127.0.0.1:{low}"],
        [f"8888 -> 127.0.0.1:{low + 1}"],
    ]
    await world.api.post(f"/gateways/{gateway['id']}/disconnect", {"job": one["id"], "port": 8888})
    assert (await world.api.get(f"/jobs/{one['id']}"))["gateway"] is None
    three = await world.running(gateway="auto")
    assert three["gateway"]["portMappings"] == [f"8888 -> 127.0.0.1:{low + 2}"]
    await world.api.post(f"/gateways/{gateway['id']}/connect", {"job": one["id"]})
    full = await refused(world.submit(gateway=gateway["id"]))
    assert full.sentence.startswith(f"Gateway {gateway['id']} has no free port in {low}:{low + 2}: ")
    assert len(await world.api.get("/jobs")) == 3
    assert (await refused(world.submit(gateway="auto"))).sentence.startswith("No gateway has a free port: ")


async def test_a_job_that_ends_while_it_is_being_connected_takes_no_port(world: World) -> None:
    """The end releases what the job has; what it got afterwards nobody would."""
    gateway, job = await world.gateway(), await world.running()
    assert world.center is not None and world.center._keeper is not None
    turns = world.center._keeper._store._writing
    async with turns:
        world.engine.end(PlacementId(f"{job['id']}-1"), 0)
        await world.eventually(lambda: len(turns._waiters or ()) == 1)  # the end waits to be saved
        body = {"job": job["id"], "targetPorts": [8888]}
        call = asyncio.create_task(world.api.post(f"/gateways/{gateway['id']}/connect", body))
        await world.eventually(lambda: len(turns._waiters or ()) == 2)
    assert (await refused(call)).code is Code.CONFLICT
    assert (await world.api.get(f"/gateways/{gateway['id']}"))["jobs"] == 0
    await world.api.delete(f"/gateways/{gateway['id']}")


async def test_destroy_waits_for_nobody_and_is_refused_while_jobs_are_connected(world: World) -> None:
    gateway = await world.gateway()
    await world.eventually(lambda: bool(world.processes.running))
    job = await world.running(gateway=gateway["id"])
    busy = await refused(world.api.delete(f"/gateways/{gateway['id']}"))
    assert busy.code is Code.CONFLICT
    assert f"float gateway disconnect -g {gateway['id']} -j {job['id']} --port 8888" in busy.sentence
    await world.api.post(f"/gateways/{gateway['id']}/disconnect", {"job": job["id"], "port": 8888})
    assert (await world.api.delete(f"/gateways/{gateway['id']}"))["status"] == "Destroying"
    await world.eventually(lambda: not (world.home / "gateways" / gateway["id"]).exists())
    await world.eventually(lambda: not world.processes.running)
    assert (await world.api.get(f"/jobs/{job['id']}"))["status"] == "Executing"


async def test_an_ended_job_does_not_keep_a_gateway_alive(world: World) -> None:
    gateway = await world.gateway()
    job = await world.running(gateway=gateway["id"])
    await world.api.delete(f"/jobs/{job['id']}")
    await world.until(job, "Cancelled")
    assert (await world.api.get(f"/gateways/{gateway['id']}"))["jobs"] == 0
    await world.api.delete(f"/gateways/{gateway['id']}")


async def test_a_gateway_without_a_public_ip(world: World) -> None:
    gateway = await world.gateway(publicIP=False)
    assert (gateway["publicIP"], gateway["address"]) == ("", "127.0.0.1")


async def test_users_are_told_the_public_address(world: World) -> None:
    gateway = await world.gateway(bind="127.0.0.1", publicAddress="gw.example.org")
    job = await world.running(gateway=gateway["id"], accessPath="/lab")
    assert job["gateway"]["IPAddress"] == "gw.example.org"
    assert job["gateway"]["accessURLs"] == [f"http://gw.example.org:{first(gateway)}/lab"]
