"""An administrator's own templates: made, changed and deleted by the API, kept over a restart."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.client import OpCenterClient
from gateway.errors import Refusal
from gateway.replay import Table, Twice, read

from .conftest import World

OWN: dict[str, Any] = {
    "name": "mlflow",
    "program": {"command": ["serve", "--port", 5000], "accessPath": "/ui", "websocket": "resume"},
    "jobParams": [{"publish": ["5000"], "cpu": 3, "withRoot": True}],
    "requires": {"how": "pip install mlflow"},
    "replay": {
        "actsWhenWhole": True,
        "rules": [{"method": "POST", "paths": ["/search", "/list"], "twice": "harmless"}],
    },
}


async def test_made_shown_used_changed_kept_and_deleted(world: World) -> None:
    await world.start()
    made = await world.api.post("/templates", OWN)
    assert made["program"]["command"] == ["serve", "--port", "5000"]
    assert made["jobParams"][0]["cpu"] == "3" and made["jobParams"][0]["withRoot"] is True
    assert [one["name"] for one in await world.api.get("/templates")] == ["jupyter", "mlflow", "rstudio"]
    gateway = await world.gateway()
    async with world.peer(gateway) as peer:
        job = await world.running(template="mlflow", gateway=gateway["id"], publish=[f"5000:{world.inner}"])
        listener = await peer.listener(job["id"])
        assert listener.access_path == "/ui"
        table = Table.from_json((await peer.until(lambda one: bool(one.tables))).tables[listener.replay])
        assert table == read(OWN["replay"], "mlflow")
        poll = {"rules": [{"method": "POST", "path": "/events", "twice": "poll"}]}
        await world.api.patch("/templates/mlflow", {"replay": poll})
        other = await world.running(
            template="mlflow", gateway=gateway["id"], name="two", publish=[f"5000:{world.inner}"]
        )
        second = await peer.listener(other["id"])
        newest = await peer.until(lambda one: len(one.tables) == 2)
        assert Table.from_json(newest.tables[second.replay]).rules[0].twice is Twice.POLL
        assert newest.listener(job["id"]) is not None and second.replay != listener.replay
        plain = await world.running(gateway=gateway["id"], name="three", targetPorts=[8888])
        assert (await peer.listener(plain["id"])).replay == ""
    api = await world.restart()
    kept = await api.get("/templates/mlflow")
    assert kept["replay"]["rules"][0]["path"] == "/events" and kept["program"] == made["program"]
    await api.delete("/templates/mlflow")
    assert [one["name"] for one in await api.get("/templates")] == ["jupyter", "rstudio"]
    assert not list((world.home / "templates").iterdir())


async def test_what_is_shown_can_be_sent_back(world: World, api: OpCenterClient) -> None:
    for name in ("jupyter", "rstudio"):
        shown = await api.get(f"/templates/{name}")
        copy = await api.post("/templates", {**shown, "name": f"my-{name}"})
        assert copy["program"] == {**copy["program"], **shown["program"]}, "nothing of it is lost"
        assert copy["jobParams"] == shown["jobParams"]
        assert copy["replay"] == shown["replay"]


def but(**changes: Any) -> dict[str, Any]:
    return {**OWN, **changes}


@pytest.mark.parametrize(
    ("doc", "sentence"),
    [
        ({}, "name: a text is wanted"),
        (but(name="My App"), "name: 'My App' is not small letters"),
        (but(name="../x"), "name: '../x' is not small letters"),
        (but(extra=1), "extra is not known; there are name, tag"),
        (but(type="Job"), "type: it is JobTemplate"),
        (but(program={}), "program.command: a list of the program and its arguments"),
        (but(program={"command": "serve"}), "program.command: a list is wanted"),
        (but(program={"command": ["a"], "shell": "x"}), "program: shell is not known"),
        (but(program={"command": ["a"], "accessPath": "//evil"}), "program.accessPath: it begins with one slash"),
        (but(program={"command": ["a"], "websocket": "keep"}), "program.websocket: 'keep' is none of jupyter"),
        (but(program={"command": ["a"], "files": {"../x": ""}}), "program.files: '../x' is not a path below"),
        (but(program={"command": ["a"], "files": {"/etc/x": ""}}), "program.files: '/etc/x' is not a path below"),
        (but(program={"command": ["a"], "env": ["=x"]}), "program.env: '' is not of the form"),
        (but(jobParams=[]), "jobParams: a list with one object"),
        (but(jobParams=[{"cpu": "many"}]), "jobParams[1].cpu: 'many' is not a whole number"),
        (but(jobParams=[{"publish": ["http"]}]), "jobParams[1].publish: 'http' is not a pair of ports"),
        (but(replay=[]), "replay: an object with actsWhenWhole, rules is wanted"),
        (
            but(replay={"rules": [{"method": "POST", "path": "/x", "twice": "no"}]}),
            "replay.rules[1].twice: 'no' is none",
        ),
    ],
)
async def test_a_mistake_is_named(api: OpCenterClient, doc: dict[str, Any], sentence: str) -> None:
    with pytest.raises(Refusal, match="Invalid argument, invalid template: ") as refused:
        await api.post("/templates", doc)
    assert sentence in refused.value.sentence


async def test_who_may_and_what_stays(world: World, api: OpCenterClient) -> None:
    await api.post("/templates", OWN)
    with pytest.raises(Refusal, match="There is a template mlflow already"):
        await api.post("/templates", OWN)
    with pytest.raises(Refusal, match="There is a template jupyter already"):
        await api.post("/templates", but(name="jupyter"))
    with pytest.raises(Refusal, match="part of every OpCenter"):
        await api.patch("/templates/jupyter", {"replay": {}})
    with pytest.raises(Refusal, match="part of every OpCenter"):
        await api.delete("/templates/rstudio")
    with pytest.raises(Refusal, match="keeps its name"):
        await api.patch("/templates/mlflow", {"name": "other"})
    with pytest.raises(Refusal, match="no template nothing"):
        await api.patch("/templates/nothing", {"tag": "2"})
    await api.post("/users", {"username": "ada", "password": "correct horse battery", "role": "user"})
    ada = await world.user("ada", "correct horse battery")
    for call in (ada.post("/templates", OWN), ada.patch("/templates/mlflow", OWN), ada.delete("/templates/mlflow")):
        with pytest.raises(Refusal, match="Only an admin"):
            await call
    assert (await ada.get("/templates/mlflow"))["name"] == "mlflow"


async def test_a_file_that_is_no_template_is_left_out(world: World) -> None:
    folder = world.home / "templates"
    folder.mkdir(parents=True)
    (folder / "broken.yaml").write_text("a: [")
    (folder / "empty.yaml").write_text("")
    (folder / "jupyter.yaml").write_text("name: jupyter")
    api = await world.start()
    assert [one["name"] for one in await api.get("/templates")] == ["jupyter", "rstudio"]
