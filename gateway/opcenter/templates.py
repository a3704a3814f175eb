"""Job templates: the documents in `templates/`, and what they say about a job.

Each file begins in the shape that the original prints and goes on with our own keys: `program` (command, env,
files, accessPath, websocket), `requires` (what must be installed, and how to get it) and `replay` (which requests
may be sent twice, docs/replay.md). In them `{python}` is the
Python that runs us, `{token}` the job's own secret, `{job}`, `{work}` and `{home}` its folders; `{address}` is left
for the engine.
"""

from __future__ import annotations

import importlib.util
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any

import yaml

from gateway.errors import Code, Refusal
from gateway.replay import Table
from gateway.replay import read as read_table
from gateway.types import WebSocketPolicy


@dataclass(frozen=True, slots=True)
class Requirement:
    """What must be on the machine: a program (in PATH or one of `where`) or a Python module."""

    program: str = ""
    module: str = ""
    how: str = ""
    where: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Template:
    """One template. `doc` is the document, `text` the same as it is written."""

    name: str
    text: str
    doc: Mapping[str, Any]
    image: str
    cpu: int
    mem: int
    env: tuple[str, ...]
    publish: tuple[str, ...]
    command: tuple[str, ...]
    own_env: tuple[str, ...]
    files: Mapping[str, str]
    access_path: str
    websocket: WebSocketPolicy
    requires: Requirement
    replay: Table | None = None

    def missing(self) -> str | None:
        """Which program of its is not installed, and how to get it; None when it can start."""
        need = self.requires
        if need.program and not _program(need):
            what = f"the program {need.program}"
        elif need.module and importlib.util.find_spec(need.module) is None:
            what = f"the Python package {need.module}"
        else:
            return None
        return f"The template {self.name} needs {what}, which is not installed: {need.how}"

    def check(self) -> None:
        """Raises Refusal when something is missing."""
        if (sentence := self.missing()) is not None:
            raise Refusal(Code.UNAVAILABLE, sentence)

    def to_json(self) -> dict[str, Any]:
        """The document as the API shows it, with what is missing."""
        return {**self.doc, "missing": self.missing()}

    def argv(self) -> tuple[str, ...]:
        """The command with the programs that are here in their places."""
        first = _program(self.requires) if self.command[0] == self.requires.program else self.command[0]
        return (fill(first or self.command[0], {"python": sys.executable}), *self.command[1:])


def load() -> dict[str, Template]:
    """Every template by name."""
    folder = resources.files(__package__) / "templates"
    texts = [one.read_text(encoding="utf-8") for one in folder.iterdir() if one.name.endswith(".yaml")]
    return {one.name: one for one in sorted((parse(text) for text in texts), key=lambda one: one.name)}


def parse(text: str) -> Template:
    """One document. Every scalar is read as the string that it is written as: no dates, no base-60 numbers."""
    doc = yaml.load(text, Loader=yaml.BaseLoader)  # BaseLoader makes nothing but strings
    params, program, needs = doc["jobParams"][0], doc["program"], doc.get("requires", {})
    params["withRoot"] = params["withRoot"] == "true"
    replay = doc.get("replay")
    return Template(
        name=doc["name"],
        text=text,
        doc=doc,
        image=params["image"],
        cpu=int(params["cpu"]),
        mem=int(params["mem"]),
        env=tuple(params["env"]),
        publish=tuple(params["publish"]),
        command=tuple(program["command"]),
        own_env=tuple(program.get("env", ())),
        files=program.get("files", {}),
        access_path=program["accessPath"],
        websocket=WebSocketPolicy(program["websocket"]),
        requires=Requirement(
            needs.get("program", ""), needs.get("module", ""), needs.get("how", ""), tuple(needs.get("where", ()))
        ),
        replay=None if replay is None else read_table(replay, doc["name"]),
    )


def choose(name: str, known: Mapping[str, Template]) -> Template:
    """By name, with or without a `:tag`. Raises Refusal."""
    bare, _, tag = name.partition(":")
    template = known.get(bare)
    if template is None:
        sentence = f"Resource not found: no template {bare}; there are {', '.join(known)}"
        raise Refusal(Code.NOT_FOUND, sentence)
    if tag and tag != template.doc["tag"]:
        raise Refusal(Code.NOT_FOUND, f"Resource not found: template {bare} has the tag {template.doc['tag']}")
    return template


def fill(text: str, values: Mapping[str, str]) -> str:
    """Put values for `{name}`; every other brace stays as it is."""
    for name, value in values.items():
        text = text.replace("{" + name + "}", value)
    return text


def fill_all(texts: Sequence[str], values: Mapping[str, str]) -> tuple[str, ...]:
    """`fill` for each."""
    return tuple(fill(text, values) for text in texts)


def _program(need: Requirement) -> str | None:
    here = shutil.which(need.program)
    if here is not None:
        return here
    return shutil.which(need.program, path=":".join(need.where)) if need.where else None
