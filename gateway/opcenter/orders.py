"""What a submit call asks for: the body and its template become an Order, a Size and the ports to connect."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateway.types import WebSocketPolicy

from .fields import Fields, is_port, refuse
from .model import Order, Size
from .templates import Template, choose
from .users import Who

KNOWN = (
    "template image name cpu mem env publish command gateway targetPorts securityGroups customTags timeLimit "
    "websocket workdir accessPath"
)
_ENV = re.compile(r"[A-Za-z_][A-Za-z0-9_]*=.*", re.DOTALL)
_TAG = re.compile(r"[A-Za-z0-9-]{1,63}")
_DEFAULT_SIZE = Size(2, 4)
_OPTIONS = {"targetPorts": "targetPort", "securityGroups": "securityGroup", "customTags": "customTag"}


@dataclass(frozen=True, slots=True)
class Submission:
    """A checked submit call. `gateway` is an id, `auto`, or empty; `targets` are published ports."""

    order: Order
    size: Size
    gateway: str
    targets: tuple[int, ...]


def read(doc: object, who: Who, templates: Mapping[str, Template], suffix: str) -> Submission:
    """Check the body of `POST /jobs`. `suffix` makes a default name unique. Raises Refusal."""
    fields = Fields(doc, KNOWN)
    template = choose(name, templates) if (name := fields.text("template")) else None
    command = fields.texts("command")
    if template is None and not (command and command[0]):
        refuse("job", "name a template (float template list shows them) or give a command")
    if template is not None:
        template.check()
    publish = _publish(fields.texts("publish") or (template.publish if template else ()))
    order = Order(
        name=fields.text("name", longest=63) or _name(template, command, suffix),
        owner=who.name,
        owner_id=who.number,
        command=command or (template.argv() if template else ()),
        template=template.name if template else "",
        image=fields.text("image") or (template.image if template else ""),
        env=_env(fields.texts("env"), template),
        publish=publish,
        tags=_tags(fields.pairs("customTags")),
        time_limit=fields.seconds("timeLimit"),
        websocket=_websocket(fields.text("websocket"), template),
        access_path=_path(fields.text("accessPath", longest=2000) or (template.access_path if template else "/")),
        workdir=_workdir(fields.optional("workdir", longest=4000)),
        security_groups=fields.texts("securityGroups"),
        files=template.files if template else {},
        input_args=_input_args(doc),
        replay=template.replay.to_json() if template and template.replay else None,
    )
    size = Size(template.cpu, template.mem) if template else _DEFAULT_SIZE
    size = Size(fields.whole("cpu", size.cpu, most=4096), fields.whole("mem", size.mem, most=1 << 16))
    gateway = fields.text("gateway")
    return Submission(order, size, gateway, _targets(gateway, fields.ports("targetPorts"), order))


def check_targets(targets: tuple[int, ...], order: Order) -> tuple[int, ...]:
    """The published ports to connect: the only one when none is named. Raises Refusal."""
    published = ", ".join(map(str, order.ports)) or "none"
    if not targets and len(order.ports) == 1:
        return tuple(order.ports)
    if not targets:
        refuse("target port", f"name it with --targetPort; the job publishes {published}")
    for one in targets:
        if one not in order.ports:
            how = f"publish it at submit with --publish {one}:{one}"
            refuse("target port", f"the job does not publish {one} but {published}; {how}")
    return targets


def _targets(gateway: str, targets: tuple[int, ...], order: Order) -> tuple[int, ...]:
    if gateway:
        return check_targets(targets, order)
    if targets:
        refuse("target port", "it needs a gateway: add --gateway auto")
    return ()


def _publish(given: tuple[str, ...]) -> tuple[str, ...]:
    """`80` becomes `80:80`; a port is published once."""
    pairs = [(host, inner if colon else host) for host, colon, inner in (one.partition(":") for one in given)]
    for host, inner in pairs:
        if not all(port.isascii() and port.isdigit() and is_port(int(port)) for port in (host, inner)):
            refuse("publish", f"{host}:{inner} is not a pair of ports such as 8888:8888")
    if len({int(host) for host, _ in pairs}) < len(pairs):
        refuse("publish", "a port is published twice")
    return tuple(f"{int(host)}:{int(inner)}" for host, inner in pairs)


def _env(given: tuple[str, ...], template: Template | None) -> tuple[str, ...]:
    for one in given:
        if not _ENV.fullmatch(one):
            refuse("env", f"{one.partition('=')[0]!r} is not of the form NAME=value")
    merged = dict(one.split("=", 1) for one in (*(template.env + template.own_env if template else ()), *given))
    return tuple(f"{key}={value}" for key, value in merged.items())


def _tags(given: dict[str, str]) -> dict[str, str]:
    for key, value in given.items():
        if not (_TAG.fullmatch(key) and _TAG.fullmatch(value)):
            refuse("customTag", f"{key}:{value} may have letters, digits and dashes, 63 at most on each side")
    return given


def _websocket(given: str, template: Template | None) -> WebSocketPolicy:
    if not given:
        return template.websocket if template else WebSocketPolicy.RECONNECT
    if given not in set(WebSocketPolicy):
        refuse("websocket", f"{given!r} is none of {', '.join(WebSocketPolicy)}")
    return WebSocketPolicy(given)


def _path(given: str) -> str:
    if not given.startswith("/") or given.startswith("//") or "\\" in given:
        refuse("accessPath", "it begins with one slash, such as /lab")
    return given


def _workdir(given: str | None) -> str | None:
    if given is not None and not (given.startswith("/") and Path(given).is_dir()):
        refuse("workdir", f"{given!r} is not the full path of a folder on this machine")
    return given


def _name(template: Template | None, command: tuple[str, ...], suffix: str) -> str:
    return template.name if template else f"{Path(command[0]).name[:40]}-{suffix}"


def _input_args(doc: object) -> str:
    """The call as the options of `float submit`, without values that may be secret."""
    items: dict[str, Any] = dict(doc) if isinstance(doc, Mapping) else {}
    command = items.pop("command", None) or []
    words = [word for key, value in items.items() if value is not None for word in _option(key, value)]
    return " ".join([*words, *(["--", *map(shlex.quote, command)] if command else [])])


def _option(key: str, value: Any) -> list[str]:
    """One field: `--targetPort 8888 --targetPort 8889`, `--customTag team:blue`."""
    match key:
        case "customTags":
            texts = [f"{name}:{tag}" for name, tag in value.items()]
        case "env":
            texts = [f"{one.partition('=')[0]}=…" for one in value]
        case "timeLimit":
            texts = [f"{value:g}s"]
        case _:
            texts = [str(one) for one in (value if isinstance(value, list) else [value])]
    option = _OPTIONS.get(key, key)
    return [word for one in texts for word in (f"--{option}", shlex.quote(one))]
