"""`float template`: list, show, deploy, create, update, delete."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from gateway.client import part

from .caller import Caller, confirm
from .framework import Command, Group
from .options import force_option, pass_caller
from .printing import Column, Format, note, say, write_doc, write_list
from .submit import job_options, send

_FILE = "The template, or parts of it: .yaml, .json or .toml (docs/replay.md)."
_GUIDE = ("name", "tag", "type", "lastUpdated", "jobParams")
_COLUMNS = [
    Column("NAME", lambda one: one["name"]),
    Column("TAG", lambda one: one.get("tag")),
    Column("IMAGE", lambda one: _first(one).get("image")),
    Column("CPU", lambda one: _first(one).get("cpu")),
    Column("MEM", lambda one: _first(one).get("mem")),
    Column("PUBLISH", lambda one: ", ".join(_first(one).get("publish") or [])),
    Column("INSTALLED", lambda one: "no" if one.get("missing") else "yes"),
]


@click.group(cls=Group)
def template() -> None:
    """Job templates: jobs with everything set."""


@template.command("list")
@pass_caller
async def list_templates(caller: Caller) -> None:
    """List the templates."""
    async with caller.client() as client:
        found = await client.get("/templates")
    write_list(found, _COLUMNS, caller.style(Format.TABLE), "No templates")
    for one in found if caller.style(Format.TABLE) is Format.TABLE else ():
        if one.get("missing"):
            note(one["missing"])


@template.command()
@click.option("-T", "--template", "name", required=True, metavar="NAME", help="The template.")
@pass_caller
async def show(caller: Caller, name: str) -> None:
    """Show a template's default settings."""
    async with caller.client() as client:
        doc = await client.get(f"/templates/{part(name)}")
    style = caller.style()
    write_doc(doc if style is Format.JSON else _as_guide(doc), style)


@template.command(cls=Command)
@click.option("-T", "--template", "template_name", required=True, metavar="NAME", help="The template.")
@click.option("-i", "--image", metavar="NAME[:TAG]", help="Another image.")
@job_options
@pass_caller
async def deploy(caller: Caller, template_name: str, image: str | None, **options: Any) -> None:
    """Start a job from a template; each option overwrites the template's own."""
    await send(caller, {"template": template_name, "image": image}, options)


@template.command()
@click.option("-f", "--file", "file", required=True, type=click.Path(path_type=Path), metavar="FILE", help=_FILE)
@pass_caller
async def create(caller: Caller, file: Path) -> None:
    """Add a template of your own."""
    async with caller.client() as client:
        made = await client.post("/templates", _read(file))
    say(f"Template {made['name']} is created")


@template.command()
@click.option("-T", "--template", "name", required=True, metavar="NAME", help="The template.")
@click.option("-f", "--file", "file", required=True, type=click.Path(path_type=Path), metavar="FILE", help=_FILE)
@pass_caller
async def update(caller: Caller, name: str, file: Path) -> None:
    """Replace the parts of a template that the file has, such as its replay table."""
    async with caller.client() as client:
        await client.patch(f"/templates/{part(name)}", _read(file))
    say(f"Template {name} is updated; jobs that run keep what it said")


@template.command()
@click.option("-T", "--template", "name", required=True, metavar="NAME", help="The template.")
@force_option()
@pass_caller
async def delete(caller: Caller, name: str, force: bool) -> None:
    """Delete a template of your own; its jobs go on."""
    confirm(f"Delete template {name}?", force)
    async with caller.client() as client:
        await client.delete(f"/templates/{part(name)}")
    say(f"Template {name} is deleted")


def _read(file: Path) -> dict[str, Any]:
    """The object in a file, of the kind that its ending says."""
    import tomllib

    import yaml  # takes as long to load as everything else that this file needs

    try:
        text = file.read_text(encoding="utf-8")
        match file.suffix.lower():
            case ".json":
                doc = json.loads(text)
            case ".toml":
                doc = tomllib.loads(text)
            case _:
                doc = yaml.load(text, Loader=yaml.BaseLoader)  # texts as they are written: no dates, no octal numbers
    except (OSError, ValueError, yaml.YAMLError) as error:
        why = error.strerror if isinstance(error, OSError) else str(error).replace("\n", " ")
        raise click.UsageError(f"The file {file} cannot be read: {why}") from error
    if not isinstance(doc, dict):
        raise click.UsageError(f"The file {file} has no object in it: it begins with a name such as program")
    return doc


def _first(doc: Any) -> dict[str, Any]:
    params = doc.get("jobParams") or [{}]
    return dict(params[0])


def _as_guide(doc: dict[str, Any]) -> dict[str, Any]:
    """What the guide shows, with `lastUpdated` as a time so that yaml prints it plain; json has the rest too."""
    doc = {key: doc[key] for key in _GUIDE if key in doc}
    try:
        return {**doc, "lastUpdated": datetime.fromisoformat(doc["lastUpdated"])}
    except (KeyError, ValueError, TypeError):
        return doc
