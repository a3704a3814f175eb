"""The templates: the shape that the original prints, and programs that really start."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from gateway.errors import Refusal
from gateway.opcenter import templates
from gateway.opcenter.model import Job, Size
from gateway.opcenter.orders import read
from gateway.opcenter.programs import Folders
from gateway.opcenter.templates import Requirement, load
from gateway.opcenter.users import Who
from gateway.opcenter.views import job_doc
from gateway.types import WebSocketPolicy, new_job_id

ORIGINAL = """\
name: rstudio
tag: "2022.12"
type: JobTemplate
lastUpdated: 2023-06-30T13:50:51Z
jobParams:
    - image: rstudio:latest
      cpu: "2"
      mem: "4"
      env:
        - RSTUDIO_USER=rstudio
        - RSTUDIO_PASS=Welcome123!
      publish:
        - 8787:8787
      extraOptions: --irmap-scan-path /home/rstudio/
      withRoot: true
"""
ADA = Who("ada", "user", 7)


def test_rstudio_is_shown_as_the_original_shows_it() -> None:
    template = load()["rstudio"]
    assert template.text.startswith(ORIGINAL)
    assert list(template.doc) == ["name", "tag", "type", "lastUpdated", "jobParams", "program", "requires", "replay"]
    assert template.doc["lastUpdated"] == "2023-06-30T13:50:51Z"
    params = template.doc["jobParams"][0]
    assert (params["cpu"], params["withRoot"], params["publish"]) == ("2", True, ["8787:8787"])


def test_every_template_is_yaml_whose_doc_is_json() -> None:
    for template in load().values():
        assert yaml.safe_load(template.text)["name"] == template.name
        assert json.loads(json.dumps(template.doc)) == template.doc
        assert template.publish and template.command and template.requires.how


def test_a_missing_program_is_named_with_how_to_get_it() -> None:
    template = replace(load()["rstudio"], requires=Requirement(program="no-such-server", how="apt install it"))
    with pytest.raises(Refusal) as info:
        template.check()
    assert info.value.sentence == (
        "The template rstudio needs the program no-such-server, which is not installed: apt install it"
    )


def test_a_program_beside_the_path_is_found(tmp_path: Path) -> None:
    server = tmp_path / "rserver"
    server.write_text("#!/bin/sh\n")
    server.chmod(0o755)
    template = load()["rstudio"]
    there = replace(template, requires=replace(template.requires, where=(str(tmp_path),)))
    there.check()
    assert there.argv()[0] == str(server)


def test_jupyter_runs_in_the_jobs_own_folders_with_its_own_token(tmp_path: Path) -> None:
    asked = read({"template": "jupyter", "env": ["A=b=c", "SHELL=/bin/sh"]}, ADA, load(), "x")
    job = Job(new_job_id(), asked.order, asked.size, "s3cret", 0)
    folders = Folders(tmp_path)
    folders.make(job)
    program = folders.program(job, "127.0.0.1:9180", {"PATH": "/bin", "HOME": "/elsewhere", "SECRET": "x"})
    base = tmp_path / "jobs" / job.id
    assert "--ip={address}" in program.argv  # the engine's to fill
    assert not [one for one in program.argv if "s3cret" in one]
    assert program.env["JUPYTER_TOKEN"] == "s3cret"
    assert (program.env["A"], program.env["SHELL"], program.env["PATH"]) == ("b=c", "/bin/sh", "/bin")
    assert "SECRET" not in program.env
    inside = ("HOME", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR", "FLOAT_JOB_PATH")
    assert all(Path(program.env[one]).is_relative_to(base) for one in inside)
    assert program.env["FLOAT_JOB_ID"] == job.id
    assert (program.env["FLOAT_USER"], program.env["FLOAT_USER_ID"]) == ("ada", "7")
    assert program.env["FLOAT_ADDR"] == "127.0.0.1:9180"
    assert (program.cwd, program.ports, program.cpu, program.mem) == (base / "work", (8888,), 2, 4)
    assert not [one for one in (*program.argv, *program.env.values()) if "{" in one.replace("{address}", "")]
    overrides = base / "home/.jupyter/labconfig/default_setting_overrides.json"
    assert json.loads(overrides.read_text())["@jupyterlab/apputils-extension:notification"]["fetchNews"] == "false"
    assert (asked.order.websocket, asked.order.access_path) == (WebSocketPolicy.JUPYTER, "/lab?token={token}")
    assert program.stdout.exists() and program.stderr.exists()


def test_a_users_own_braces_stay_as_they_are(tmp_path: Path) -> None:
    asked = read({"command": ["echo", "{token} {x}"], "env": ["A={token}"], "cpu": 3, "mem": 9}, ADA, load(), "x")
    job = Job(new_job_id(), asked.order, asked.size, "s3cret", 0)
    program = Folders(tmp_path).program(job, "")
    assert (program.argv[1], program.env["A"]) == ("{token} {x}", "{token}")
    assert asked.size == Size(3, 9)
    assert asked.order.websocket is WebSocketPolicy.RECONNECT


def test_a_workdir_of_the_users_own(tmp_path: Path) -> None:
    asked = read({"template": "jupyter", "workdir": str(tmp_path)}, ADA, load(), "x")
    job = Job(new_job_id(), asked.order, asked.size, "t", 0)
    program = Folders(tmp_path / "home").program(job, "")
    assert program.cwd == tmp_path
    assert f"--ServerApp.root_dir={tmp_path}" in program.argv


def test_what_was_asked_is_kept_without_secrets() -> None:
    order = read({"command": ["a b"], "env": ["PASSWORD=x"], "publish": ["80"]}, ADA, load(), "x").order
    assert order.input_args == "--env 'PASSWORD=…' --publish 80 -- 'a b'"
    assert order.name == "a b-x"


def test_what_was_asked_reads_as_a_command_line() -> None:
    doc = {"template": "jupyter", "cpu": 4, "gateway": "auto", "targetPorts": [8888], "name": None, "timeLimit": 3600,
           "securityGroups": ["sg-a", "sg-b"], "customTags": {"team": "blue", "x": "1"}}  # fmt: skip
    assert read(doc, ADA, load(), "x").order.input_args == (
        "--template jupyter --cpu 4 --gateway auto --targetPort 8888 --timeLimit 3600s --securityGroup sg-a "
        "--securityGroup sg-b --customTag team:blue --customTag x:1"
    )


def test_a_template_s_environment_is_shown_filled_and_without_its_secret(tmp_path: Path) -> None:
    asked = read({"template": "jupyter", "env": ["A={job}"]}, ADA, load(), "x")
    job = Job(new_job_id(), asked.order, asked.size, "s3cret", 0)
    shown = job_doc(job, [], Folders(tmp_path).values(job), 0)["env"]
    assert "JUPYTER_TOKEN=…" in shown and f"A={tmp_path}/jobs/{job.id}" in shown
    assert not [one for one in shown if "{" in one or "s3cret" in one]
    plain = Job(new_job_id(), read({"command": ["a"], "env": ["A={job}"]}, ADA, load(), "x").order, Size(1, 1), "", 0)
    assert job_doc(plain, [], Folders(tmp_path).values(plain), 0)["env"] == ["A={job}"]


def test_a_tag_may_be_named() -> None:
    assert templates.choose("rstudio:2022.12", load()).name == "rstudio"
