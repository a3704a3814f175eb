"""`float submit` and what it shares with `float template deploy`: the options of a job."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import click

from gateway.errors import Code, Refusal

from .caller import Caller, confirm
from .framework import Command
from .jobdoc import just_submitted
from .options import force_option, pass_caller
from .printing import Format, note, write_doc

F = TypeVar("F", bound=Callable[..., Any])

# Options of the original that speak of clouds, volumes or its own checkpoints: taken, so that scripts go on
# working, and named on stderr, so that nobody believes that they did something.
_NOT_USED = [
    "vmPolicy",
    "migratePolicy",
    "instType",
    "subnet",
    "zone",
    "allowList",
    "dumpMode",
    "extraOptions",
    "extraContainerOpts",
    "dataVolume",
    "storage",
    "rootVolSize",
    "imageVolSize",
    "dirMap",
    "hostInit",
    "gpu-count",
]
_NOT_USED_FLAGS = ["withRoot", "disableMigrate", "disableRerun"]
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def _unused(option: str) -> str:
    return f"unused_{option.replace('-', '_')}"


def job_options(command: F) -> F:
    """What a job can be given at its start."""
    options = [
        click.option("-n", "--name", help="The job's name."),
        click.option("-c", "--cpu", metavar="MIN[:MAX]", help="vCPUs."),
        click.option("-m", "--mem", metavar="MIN[:MAX]", help="GB of memory."),
        click.option("-e", "--env", multiple=True, metavar="K=V", help="Environment. Repeatable."),
        click.option(
            "--publish", multiple=True, metavar="HOST:JOB", help="A port that the job listens on. Repeatable."
        ),
        click.option("--gateway", metavar="ID|auto", help="Connect the job to this gateway; auto picks one."),
        click.option(
            "--targetPort",
            "target_ports",
            type=int,
            multiple=True,
            help="The job's port that the gateway serves; the published one without. Repeatable.",
        ),
        click.option("--securityGroup", "groups", multiple=True, metavar="SG", help="Who may connect. Repeatable."),
        click.option("--customTag", "tags", multiple=True, metavar="K:V", help="A tag of your own. Repeatable."),
        click.option("--timeLimit", "time_limit", metavar="3600s", help="End the job after this time."),
        force_option(),
        *(click.option(f"--{one}", _unused(one), multiple=True, hidden=True) for one in _NOT_USED),
        *(click.option(f"--{one}", _unused(one), is_flag=True, hidden=True) for one in _NOT_USED_FLAGS),
    ]
    for option in reversed(options):
        command = option(command)
    return command


@click.command(cls=Command)
@click.option("-T", "--template", metavar="NAME", help="Start from this template.")
@click.option("-i", "--image", metavar="NAME[:TAG]", help="The image that the job is of.")
@click.option("--tag", help="The image's tag.")
@click.option("-j", "--job", "script", metavar="FILE", help="A script to run; its first line says with what.")
@job_options
@click.argument("command", nargs=-1, metavar="[-- COMMAND…]")
@pass_caller
async def submit(
    caller: Caller,
    template: str | None,
    image: str | None,
    tag: str | None,
    script: str | None,
    command: tuple[str, ...],
    **options: Any,
) -> None:
    """Submit a job from a template, a script or a command (also: sbatch).

    A script's exit status is the job's. Jobs that listen on a port get a stable address with --gateway.
    """
    if script and command:
        raise Refusal(Code.INVALID_ARGUMENT, "Give a script with -j or a command after --, not both")
    run = script_command(script) if script else list(command)
    body = {"template": template, "image": f"{image}:{tag}" if image and tag else image, "command": run}
    await send(caller, body, options)


async def send(caller: Caller, body: Mapping[str, Any], options: Mapping[str, Any]) -> None:
    """Submit, and print the job as the guide shows it."""
    wanted = {key: value for key, value in {**body, **job_body(options)}.items() if value not in (None, [], {}, ())}
    confirm("Submit this job?", options["force"])
    for name, value in options.items():
        if name.startswith(_unused("")) and value:
            note(f"Note: --{name.removeprefix(_unused(''))} means nothing here and was not used")
    async with caller.client() as client:
        job = await client.post("/jobs", wanted)
    style = caller.style()
    write_doc(job if style is Format.JSON else just_submitted(job), style)


def job_body(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options as the API names them. Raises Refusal."""
    limit = options["time_limit"]
    return {
        "name": options["name"],
        "cpu": _at_least("--cpu", options["cpu"]),
        "mem": _at_least("--mem", options["mem"]),
        "env": [_pair("--env", one, "=") for one in options["env"]],
        "publish": list(options["publish"]),
        "gateway": options["gateway"],
        "targetPorts": list(options["target_ports"]),
        "securityGroups": list(options["groups"]),
        "customTags": dict(_pair("--customTag", one, ":").split(":", 1) for one in options["tags"]),
        "timeLimit": None if limit is None else to_seconds(limit),
    }


def _at_least(option: str, text: str | None) -> int | None:
    """`4` or `4:8`: hosts here have one size, the least that will do."""
    if text is None:
        return None
    try:
        return int(text.split(":")[0])
    except ValueError:
        raise Refusal(Code.INVALID_ARGUMENT, f"{option} takes a number such as 4, or 4:8, not {text!r}") from None


def _pair(option: str, text: str, mark: str) -> str:
    if not text.partition(mark)[1]:
        raise Refusal(Code.INVALID_ARGUMENT, f"{option} takes KEY{mark}VALUE, not {text!r}")
    return text


def to_seconds(text: str) -> int:
    """`3600s`, `90m`, `2h`, `1d` or plain seconds. Raises Refusal."""
    number, unit = (text[:-1], text[-1]) if text[-1:] in _SECONDS else (text, "s")
    if not number.isascii() or not number.isdigit():
        raise Refusal(Code.INVALID_ARGUMENT, f"Not a time: {text!r}. Give one such as 3600s, 90m or 2h")
    return int(number) * _SECONDS[unit]


def script_command(name: str) -> list[str]:
    """A script's text as a command, by its `#!` line; it need not exist where the job runs. Raises Refusal."""
    try:
        text = Path(name).read_text("utf-8")
    except OSError as error:
        raise Refusal(Code.INVALID_ARGUMENT, f"open {name}: {(error.strerror or 'cannot').lower()}") from error
    except UnicodeDecodeError as error:
        raise Refusal(Code.INVALID_ARGUMENT, f"{name} is not a script: it is not text") from error
    first = text.partition("\n")[0]
    interpreter = shlex.split(first[2:]) if first.startswith("#!") else ["/bin/sh"]
    if not any(known in word for word in interpreter for known in ("sh", "python")):
        raise Refusal(Code.INVALID_ARGUMENT, f"{name}: only scripts of a shell or of Python can be sent, not {first}")
    return [*interpreter, "-c", text]
