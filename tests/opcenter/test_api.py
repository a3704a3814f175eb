# ruff: noqa: E501  (tables of bodies and the sentences that they get)
"""The REST API on a real socket: what it gives, what it refuses, and that a refusal changes nothing."""

from __future__ import annotations

import asyncio
import io
import json
import sqlite3
from contextlib import closing
from typing import Any

import aiohttp
import pytest

from gateway.client import OpCenterClient
from gateway.errors import Code, Refusal
from tests.ports import free_ports

from .conftest import World
from .peers import DEADLINE

NO_JOB = "0123456789abcdefghijk"


@pytest.fixture(autouse=True)
async def opcenter(api: OpCenterClient) -> None:
    """Every test here has one."""


async def refused(call: Any) -> Refusal:
    with pytest.raises(Refusal) as info:
        await call
    return info.value


# What bad input gets: one sentence that says what is wrong and what to do; nothing is changed.

JOBS = [
    ({}, Code.INVALID_ARGUMENT, "Invalid argument, invalid job: name a template"),
    ([], Code.INVALID_ARGUMENT, "Invalid argument, invalid body: send one JSON object"),
    ({"command": []}, Code.INVALID_ARGUMENT, "Invalid argument, invalid job: name a template"),
    ({"command": "sleep 1"}, Code.INVALID_ARGUMENT, "Invalid argument, invalid command: a list"),
    ({"command": ["a"], "colour": 1}, Code.INVALID_ARGUMENT, "Invalid argument, invalid field: colour; this call knows template"),
    ({"template": "mathematica"}, Code.NOT_FOUND, "Resource not found: no template mathematica; there are jupyter, rstudio"),
    ({"template": "jupyter:9"}, Code.NOT_FOUND, "Resource not found: template jupyter has the tag 4"),
    ({"template": "rstudio"}, Code.UNAVAILABLE, "The template rstudio needs the program rserver, which is not installed: install"),
    ({"command": ["a"], "cpu": 0}, Code.INVALID_ARGUMENT, "Invalid argument, invalid cpu: a whole number from 1"),
    ({"command": ["a"], "mem": "4"}, Code.INVALID_ARGUMENT, "Invalid argument, invalid mem: a whole number"),
    ({"command": ["a"], "cpu": True}, Code.INVALID_ARGUMENT, "Invalid argument, invalid cpu: a whole number"),
    ({"command": ["a\0b"]}, Code.INVALID_ARGUMENT, "Invalid argument, invalid command: each must be a text"),
    ({"command": ["a"], "name": "two\nlines"}, Code.INVALID_ARGUMENT, "Invalid argument, invalid name: a text"),
    ({"command": ["a"], "env": ["A B=1"]}, Code.INVALID_ARGUMENT, "Invalid argument, invalid env: 'A B' is not"),
    ({"command": ["a"], "env": ["PASSWORD"]}, Code.INVALID_ARGUMENT, "Invalid argument, invalid env: 'PASSWORD' is not"),
    ({"command": ["a"], "publish": ["0:80"]}, Code.INVALID_ARGUMENT, "Invalid argument, invalid publish: 0:80 is not"),
    ({"command": ["a"], "publish": ["80:x"]}, Code.INVALID_ARGUMENT, "Invalid argument, invalid publish: 80:x is not"),
    ({"command": ["a"], "publish": ["80", "80:81"]}, Code.INVALID_ARGUMENT, "Invalid argument, invalid publish: a port is"),
    ({"command": ["a"], "targetPorts": [80]}, Code.INVALID_ARGUMENT, "Invalid argument, invalid target port: it needs"),
    ({"command": ["a"], "customTags": {"a b": "c"}}, Code.INVALID_ARGUMENT, "Invalid argument, invalid customTag: a b:c"),
    ({"command": ["a"], "timeLimit": -1}, Code.INVALID_ARGUMENT, "Invalid argument, invalid timeLimit: a positive"),
    ({"command": ["a"], "websocket": "magic"}, Code.INVALID_ARGUMENT, "Invalid argument, invalid websocket: 'magic'"),
    ({"command": ["a"], "workdir": "/no/such"}, Code.INVALID_ARGUMENT, "Invalid argument, invalid workdir: '/no/such'"),
    ({"command": ["a"], "accessPath": "//evil"}, Code.INVALID_ARGUMENT, "Invalid argument, invalid accessPath: it begins"),
    ({"command": ["a"], "securityGroups": ["sg-x"]}, Code.NOT_FOUND, "Resource not found: no security group sg-x; create it with float security-group create --id sg-x --rule"),
    ({"command": ["a"], "publish": ["80"], "gateway": "auto"}, Code.CONFLICT, "No gateway has a free port: create one with float gateway create"),
    ({"command": ["a"], "publish": ["80"], "gateway": "g-none"}, Code.NOT_FOUND, "Resource not found: no gateway g-none; float gateway list"),
    ({"command": ["a"], "gateway": "auto"}, Code.INVALID_ARGUMENT, "Invalid argument, invalid target port: name it"),
    ({"command": ["a"], "publish": ["1", "2"], "gateway": "auto"}, Code.INVALID_ARGUMENT, "Invalid argument, invalid target port: name it with --targetPort; the job publishes 1, 2"),
    ({"command": ["a"], "publish": ["1"], "gateway": "auto", "targetPorts": [2]}, Code.INVALID_ARGUMENT, "Invalid argument, invalid target port: the job does not publish 2"),
    ({"command": ["a"], "targetPorts": [0]}, Code.INVALID_ARGUMENT, "Invalid argument, invalid targetPorts: a list of ports"),
]  # fmt: skip


@pytest.mark.parametrize(("body", "code", "begins"), JOBS, ids=lambda one: json.dumps(one)[:40])
async def test_a_bad_job(world: World, body: Any, code: Code, begins: str) -> None:
    no = await refused(world.api.post("/jobs", body or {}) if body != [] else raw(world, "[]"))
    assert (no.code, no.sentence[: len(begins)]) == (code, begins)
    assert await world.api.get("/jobs") == []
    assert list((world.home / "jobs").iterdir()) == []


async def raw(world: World, text: str, **headers: str) -> Any:
    sent = {"Authorization": world.api.token or "", "Content-Type": "application/json", **headers}
    async with aiohttp.ClientSession() as session:
        async with session.post(
            f"{world.api.address}/api/v1/jobs", data=io.BytesIO(text.encode()), headers=sent
        ) as answer:
            doc = await answer.json()
            raise Refusal(Code(doc["code"]), doc["error"])


@pytest.mark.parametrize(
    ("text", "begins"),
    [
        ("{", "Invalid argument, invalid body: it is not valid JSON"),
        ("[" * 100_000, "Invalid argument, invalid body: it is not valid JSON"),
        ('{"a": "' + "x" * (1 << 20) + '"}', "Invalid argument, invalid body: it is too large"),
    ],
    ids=["cut", "deep", "large"],
)
async def test_a_bad_body(world: World, text: str, begins: str) -> None:
    assert (await refused(raw(world, text))).sentence.startswith(begins)


async def test_a_form_is_not_a_body(world: World) -> None:
    no = await refused(raw(world, "a=b", **{"Content-Type": "text/plain"}))
    assert no.sentence == "Invalid argument, invalid body: send JSON, with Content-Type: application/json"


GATEWAYS = [
    ({}, Code.INVALID_ARGUMENT, "Invalid argument, invalid portRange: it is missing"),
    ({"portRange": "many"}, Code.INVALID_ARGUMENT, "Invalid argument, invalid port range: 'many' is not of the form 10000:10100"),
    ({"portRange": "10100:10000"}, Code.INVALID_ARGUMENT, "Invalid argument, invalid port range: 10100 is above 10000"),
    ({"portRange": "9000:10000"}, Code.INVALID_ARGUMENT, "Invalid argument, invalid port range: 9000:10000 is not within 10000:65535"),
    ({"portRange": "65000:65536"}, Code.INVALID_ARGUMENT, "Invalid argument, invalid port range: 65000:65536 is not within"),
    ({"portRange": "10000:10000"}, Code.INVALID_ARGUMENT, "Invalid argument, invalid port range: 10000:10000 has one port and two are needed"),
    ({"portRange": "30000:30010", "bind": "here"}, Code.INVALID_ARGUMENT, "Invalid argument, invalid bind: 'here' is not an IP"),
    ({"portRange": "30000:30010", "bind": "0.0.0.0"}, Code.INVALID_ARGUMENT, "Invalid argument, invalid publicAddress: with bind 0.0.0.0 say"),
    ({"portRange": "30000:30010", "publicAddress": "a b"}, Code.INVALID_ARGUMENT, "Invalid argument, invalid publicAddress: 'a b' is neither"),
    ({"portRange": "30000:30010", "bind": "192.0.2.1"}, Code.CONFLICT, "The port 30000 on 192.0.2.1 cannot be opened (Cannot assign requested address)"),
    ({"portRange": "30000:30010", "securityGroups": ["sg-0b23"]}, Code.NOT_FOUND, "Resource not found: no security group sg-0b23; create it with float security-group create --id sg-0b23 --rule 10000-10500:0.0.0.0/0"),
]  # fmt: skip


@pytest.mark.parametrize(("body", "code", "begins"), GATEWAYS, ids=lambda one: json.dumps(one)[:40])
async def test_a_bad_gateway(world: World, body: Any, code: Code, begins: str) -> None:
    no = await refused(world.api.post("/gateways", body))
    assert (no.code, no.sentence[: len(begins)]) == (code, begins)
    assert await world.api.get("/gateways") == []
    assert list((world.home / "gateways").iterdir()) == []


async def test_a_taken_range(world: World) -> None:
    gateway = await world.gateway()
    low, high = map(int, gateway["portRange"].split("-"))
    no = await refused(world.api.post("/gateways", {"portRange": f"{high}:{high + 5}"}))
    assert no.sentence == (
        f"The ports {high}:{high + 5} are taken: gateway {gateway['id']} has {low}:{high} on 127.0.0.1; "
        "choose a range that does not overlap"
    )
    everywhere = {"portRange": f"{low}:{high}", "bind": "0.0.0.0", "publicAddress": "127.0.0.1"}
    assert (await refused(world.api.post("/gateways", everywhere))).code is Code.CONFLICT
    await world.api.post("/gateways", {"portRange": f"{low}:{high}", "bind": "127.0.0.77"})


async def test_a_port_that_somebody_else_has(world: World) -> None:
    low, *_, high = free_ports(11)
    other = await asyncio.start_server(lambda *_: None, "127.0.0.1", high)
    async with other:
        no = await refused(world.api.post("/gateways", {"portRange": f"{low}:{high}"}))
    assert no.sentence.startswith(f"The port {high} on 127.0.0.1 cannot be opened (Address already in use)")


@pytest.mark.parametrize("verb", ["", "/history", "/log", "/log/stdout.autosave", "/wait"])
@pytest.mark.parametrize(
    ("job", "code", "begins"),
    [
        (NO_JOB, Code.NOT_FOUND, f"Resource not found: no job {NO_JOB}; float list"),
        ("17", Code.INVALID_ARGUMENT, "Invalid argument, invalid job ID: '17' is not the id of a job"),
    ],
)
async def test_an_unknown_job(world: World, job: str, code: Code, begins: str, verb: str) -> None:
    no = await refused(world.api.get(f"/jobs/{job}{verb}"))
    assert (no.code, no.sentence[: len(begins)]) == (code, begins)


async def test_an_unknown_gateway(world: World) -> None:
    for call in (
        world.api.get("/gateways/g-x"),
        world.api.patch("/gateways/g-x", {}),
        world.api.delete("/gateways/g-x"),
    ):
        no = await refused(call)
        assert no.sentence == "Resource not found: no gateway g-x; float gateway list shows them"


async def test_an_unknown_call(world: World) -> None:
    assert (await refused(world.api.get("/coffee"))).code is Code.NOT_FOUND
    no = await refused(world.api.delete("/status"))
    assert no.sentence == "Resource not found: there is no call DELETE /api/v1/status"


async def test_connecting_what_cannot_be_connected(world: World) -> None:
    gateway = await world.gateway()
    job = await world.running()
    path = f"/gateways/{gateway['id']}"
    assert (await refused(world.api.post(f"{path}/connect", {}))).sentence == (
        "Invalid argument, invalid job: it is missing"
    )
    no = await refused(world.api.post(f"{path}/connect", {"job": job["id"], "targetPorts": [80]}))
    assert no.sentence.startswith("Invalid argument, invalid target port: the job does not publish 80 but 8888; ")
    no = await refused(world.api.post(f"{path}/disconnect", {"job": job["id"], "port": 8888}))
    assert no.sentence == (f"Resource not found: the job has none of its ports connected to {gateway['id']}, not 8888")
    await world.api.delete(f"/jobs/{job['id']}")
    await world.until(job, "Cancelled")
    no = await refused(world.api.post(f"{path}/connect", {"job": job["id"]}))
    assert no.sentence == "The job is Cancelled: only a job that has not ended can be connected"
    assert (await world.api.get(path))["jobs"] == 0


@pytest.mark.parametrize(
    ("body", "begins"),
    [
        ({"id": "lan", "rules": []}, "Invalid argument, invalid security group ID: 'lan'"),
        ({"id": "sg-a"}, "Invalid argument, invalid rule: a group needs one"),
        ({"rules": [{}] * 101}, "Invalid argument, invalid rule: a security group has 100 rules at most, and this one 101: make several groups of it"),
        ({"rules": [{"portMin": 2, "portMax": 1, "source": "::/0"}]}, "Invalid argument, invalid rule: portMin 2 is above portMax 1"),
        ({"rules": [{"portMin": 0, "portMax": 1, "source": "::/0"}]}, "Invalid argument, invalid rule: portMin is 0: write"),
        ({"rules": [{"portMin": 1, "portMax": "x", "source": "::/0"}]}, "Invalid argument, invalid rule: portMax is x: "),
        ({"rules": [{"portMin": 1}]}, "Invalid argument, invalid rule: portMax is None: write a port"),
        ({"rules": [{"portMin": 1, "portMax": 2, "source": "home"}]}, "Invalid argument, invalid rule: 'home' is not"),
        ({"rules": [{"portMin": 1, "portMax": 2, "source": "::/0", "x": 1}]}, "Invalid argument, invalid rule: a rule knows"),
    ],
)  # fmt: skip
async def test_a_bad_security_group(world: World, body: Any, begins: str) -> None:
    assert (await refused(world.api.post("/securityGroups", body))).sentence.startswith(begins)
    assert [one["id"] for one in await world.api.get("/securityGroups")] == ["sg-default"]


async def test_security_groups(world: World) -> None:
    rules = [{"portMin": 10000, "portMax": 10500, "source": "0.0.0.0/0"}]
    made = await world.api.post("/securityGroups", {"id": "sg-0fbb6a83983183364", "rules": rules})
    assert made["rules"] == rules
    assert (await refused(world.api.post("/securityGroups", {"id": made["id"], "rules": rules}))).code is Code.CONFLICT
    named = await world.api.post("/securityGroups", {"rules": rules})
    assert len(named["id"]) == len("sg-0fbb6a83983183364")
    await world.api.delete(f"/securityGroups/{made['id']}")
    assert (await refused(world.api.delete("/securityGroups/sg-default"))).code is Code.CONFLICT
    assert (await refused(world.api.delete("/securityGroups/sg-gone"))).code is Code.NOT_FOUND


# Who may what.


async def test_users_see_their_own_jobs_only(world: World) -> None:
    await world.api.post("/users", {"username": "ada", "password": "correct horse", "role": "user"})
    ada = await world.user("ada", "correct horse")
    mine = await world.running()
    hers = await ada.post("/jobs", {"command": ["serve"], "publish": [f"8888:{world.inner}"]})
    gateway = await world.gateway()
    await world.api.post(f"/gateways/{gateway['id']}/connect", {"job": mine["id"]})
    await world.api.post(f"/gateways/{gateway['id']}/connect", {"job": hers["id"]})
    assert [one["id"] for one in await ada.get("/jobs")] == [hers["id"]]
    assert (await refused(ada.get(f"/jobs/{mine['id']}"))).code is Code.NOT_FOUND
    assert (await refused(ada.delete(f"/jobs/{mine['id']}"))).code is Code.NOT_FOUND
    seen = await ada.get(f"/gateways/{gateway['id']}")
    assert (seen["jobs"], [one["job"] for one in seen["connectedJobs"]]) == (2, [hers["id"]])
    for call in (
        ada.get("/users"),
        ada.post("/users", {"username": "eve", "password": "12345678"}),
        ada.delete(f"/gateways/{gateway['id']}"),
        ada.patch(f"/gateways/{gateway['id']}", {"name": "hers"}),
        ada.post("/users/admin/password", {"password": "12345678"}),
    ):
        assert (await refused(call)).code is Code.FORBIDDEN
    assert {one["id"] for one in await world.api.get("/jobs")} == {mine["id"], hers["id"]}


@pytest.mark.parametrize("header", ["", "Bearer x", "Bearer IjEi.x.y", "Basic YTpi"])
async def test_without_a_login_nothing(world: World, header: str) -> None:
    async with aiohttp.ClientSession() as session:
        for path in ("jobs", "gateways", "status", "events", "session", "templates", "hosts"):
            headers = {"Authorization": header} if header else {}
            async with session.get(f"{world.api.address}/api/v1/{path}", headers=headers) as answer:
                assert (answer.status, (await answer.json())["code"]) == (401, 1001)


async def test_headers_of_every_answer(world: World) -> None:
    async with aiohttp.ClientSession() as session:
        async with session.get(f"{world.api.address}/api/v1/version", headers={"Origin": "http://evil"}) as answer:
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
            assert answer.headers["Cache-Control"] == "no-store"
            assert answer.headers["X-Frame-Options"] == "DENY"
            assert not [name for name in answer.headers if name.lower().startswith("access-control")]
            assert "Set-Cookie" not in answer.headers
            assert (await answer.json())["address"] == world.api.address


# Lists, waits, events and logs.


async def test_lists_and_filters(world: World) -> None:
    one = await world.running(name="one", image="rstudio:latest")
    two = await world.running(name="two")
    await world.api.post(f"/jobs/{two['id']}/suspend")
    await world.until(two, "Suspended")

    async def ids(*filters: str) -> list[str]:
        found = await world.api.get("/jobs", [("filter", one) for one in filters])
        return [job["id"] for job in found]

    assert await ids() == [two["id"], one["id"]]
    assert await ids("status=Executing") == [one["id"]]
    assert await ids("status=Executing or status=Suspended or status=Starting") == [two["id"], one["id"]]
    assert await ids("status=Executing or Suspended", "user=admin", "image=rstudio") == [one["id"]]
    assert await ids("name=nobody") == []
    assert [job["id"] for job in (await world.api.get("/jobPages"))["Jobs"]] == [two["id"], one["id"]]
    no = await refused(world.api.get("/jobs", [("filter", "colour=red")]))
    assert no.sentence.startswith("Invalid argument, invalid filter: 'colour=red' is not one of user=")


async def test_wait_answers_when_the_time_is_over(world: World) -> None:
    job = await world.running()
    assert (await world.api.get(f"/jobs/{job['id']}/wait", status="Suspended", timeout="0.05"))["status"] == "Executing"
    assert (await refused(world.api.get(f"/jobs/{job['id']}/wait", status="Dancing"))).code is Code.INVALID_ARGUMENT
    assert (await refused(world.api.get(f"/jobs/{job['id']}/wait", timeout="soon"))).code is Code.INVALID_ARGUMENT


async def test_events_tell_every_step_and_beat(world: World) -> None:
    job = await world.running()
    seen: list[str] = []
    beats = 0
    async with asyncio.timeout(DEADLINE):
        async for event in world.api.events():
            if event["type"] == "beat":
                beats += 1
                if beats == 1:
                    await world.api.post(f"/jobs/{job['id']}/migrate")
                elif seen and seen[-1] == "Executing/None":
                    break
            if event["type"] == "job":
                seen.append(f"{event['job']['status']}/{event['job']['step']}")
    assert list(dict.fromkeys(seen)) == [
        "Floating/draining",
        "Floating/checkpointing",
        "Floating/transferring",
        "Floating/restoring",
        "Floating/reconnecting",
        "Executing/None",
    ]


async def test_events_of_gateways_and_of_others_jobs(world: World) -> None:
    await world.api.post("/users", {"username": "ada", "password": "correct horse"})
    ada = await world.user("ada", "correct horse")
    stream = ada.events()
    assert (await anext(stream))["type"] == "beat"
    await world.running()
    gateway = await world.gateway()
    async with asyncio.timeout(DEADLINE):
        kinds = set()
        async for event in stream:
            kinds.add(event["type"])
            if event["type"] == "gateway" and event["gateway"]["id"] == gateway["id"]:
                break
    assert "job" not in kinds
    await ada.post("/logout")
    async with asyncio.timeout(DEADLINE):
        async for _ in stream:  # a login that is over ends the stream
            pass


async def test_a_login_that_is_revoked_hears_nothing_more_however_much_happens(world: World) -> None:
    await world.api.post("/users", {"username": "boss", "password": "correct horse", "role": "admin"})
    boss, gateway = await world.user("boss", "correct horse"), await world.gateway()

    async def listen() -> None:
        async for _ in boss.events():
            listening.set()

    listening = asyncio.Event()
    stream = asyncio.create_task(listen())
    async with asyncio.timeout(DEADLINE):
        await listening.wait()
        await world.api.delete("/users/boss")
        while not stream.done():  # never a pause as long as a beat
            await world.api.patch(f"/gateways/{gateway['id']}", {"name": "again"})
    await stream


async def test_a_login_that_is_revoked_follows_no_log(world: World) -> None:
    await world.api.post("/users", {"username": "ada", "password": "correct horse"})
    ada = await world.user("ada", "correct horse")
    body = {"command": ["serve"], "publish": [f"8888:{world.inner}"], "name": "hers"}
    job = await world.until(await ada.post("/jobs", body), "Executing")
    (world.home / "jobs" / job["id"] / "stdout.autosave").write_text("one\n")
    follow = ada.text(f"/jobs/{job['id']}/log/stdout.autosave", follow="1")
    assert await anext(follow) == b"one\n"
    await world.api.delete("/users/ada")
    async with asyncio.timeout(DEADLINE):
        assert [part async for part in follow] == []
    assert (await world.api.get(f"/jobs/{job['id']}"))["status"] == "Executing"


async def test_a_database_that_cannot_be_read_for_a_while_revokes_no_login(world: World) -> None:
    stream = world.api.events()
    async with asyncio.timeout(DEADLINE):
        assert (await anext(stream))["type"] == "beat"
        with closing(sqlite3.connect(world.home / "opcenter.db", timeout=10, check_same_thread=False)) as other:
            await asyncio.to_thread(other.execute, "ALTER TABLE sessions RENAME TO away")
            assert [(await anext(stream))["type"] for _ in range(3)] == ["beat"] * 3
            await asyncio.to_thread(other.execute, "ALTER TABLE away RENAME TO sessions")
        assert (await anext(stream))["type"] == "beat"


async def test_logs(world: World) -> None:
    job = await world.running()
    assert await world.api.get(f"/jobs/{job['id']}/log") == ["stdout.autosave", "stderr.autosave"]
    path = world.home / "jobs" / job["id"] / "stdout.autosave"
    path.write_text("one\n")
    assert b"".join([part async for part in world.api.text(f"/jobs/{job['id']}/log/stdout.autosave")]) == b"one\n"
    no = await refused(anext(world.api.text(f"/jobs/{job['id']}/log/..%2fsecret")))
    assert no.code is Code.NOT_FOUND
    follow = world.api.text(f"/jobs/{job['id']}/log/stdout.autosave", follow="1")
    assert await anext(follow) == b"one\n"
    with path.open("a") as file:
        file.write("two\n")
    assert await anext(follow) == b"two\n"
    await world.api.delete(f"/jobs/{job['id']}")
    async with asyncio.timeout(DEADLINE):
        assert [part async for part in follow] == []


async def test_a_log_that_nobody_follows_any_more_is_not_read(world: World) -> None:
    job = await world.running()
    (world.home / "jobs" / job["id"] / "stdout.autosave").write_text("one\n")
    calls = {task for task in asyncio.all_tasks() if "_handle_request" in repr(task.get_coro())}
    follow = world.api.text(f"/jobs/{job['id']}/log/stdout.autosave", follow="1")
    assert await anext(follow) == b"one\n"
    (call,) = {task for task in asyncio.all_tasks() if "_handle_request" in repr(task.get_coro())} - calls
    await follow.aclose()  # type: ignore[attr-defined]  # it is a generator
    await world.eventually(call.done)


async def test_status_and_hosts(world: World) -> None:
    job = await world.running()
    status = await world.api.get("/status")
    assert (status["jobs"], status["engine"]["name"], status["gateways"]) == ({"Executing": 1}, "fake", 0)
    hosts = await world.api.get("/hosts")
    assert [(one["name"], one["job"]) for one in hosts if one["state"] == "busy"] == [("host-1", job["id"])]
