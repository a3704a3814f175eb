"""`float template`: list, show, deploy."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import click

from gateway.client import part

from .caller import Caller
from .framework import Command, Group
from .options import pass_caller
from .printing import Column, Format, note, write_doc, write_list
from .submit import job_options, send

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
