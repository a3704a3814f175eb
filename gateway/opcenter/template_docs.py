"""Checking a template that an administrator sends, before it is one: every mistake is named with its place."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any, NoReturn

from gateway import replay
from gateway.types import WebSocketPolicy

from .fields import refuse

KEYS = ("name", "tag", "type", "lastUpdated", "jobParams", "program", "requires", "replay")
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")
_PUBLISH = re.compile(r"\d{1,5}(:\d{1,5})?")
_PARAMS = {
    "image": "",
    "cpu": "2",
    "mem": "4",
    "env": [],
    "publish": [],
    "extraOptions": "",
    "withRoot": "false",
}
_PROGRAM = {"command": [], "env": [], "files": {}, "accessPath": "/", "websocket": "reconnect"}
_REQUIRES = {"program": "", "module": "", "how": "", "where": []}


def checked(doc: object, now: str) -> dict[str, Any]:
    """The whole document, with what was left out; all scalars are texts, as templates are read. Raises Refusal."""
    given = dict(_part(doc, "", (*KEYS, "missing")))
    name = _text(given.get("name"), "name")
    if not _NAME.fullmatch(name):
        _no("name", f"{name!r} is not small letters, digits, dots and dashes, 63 at most")
    if _text(given.get("type", "JobTemplate"), "type") != "JobTemplate":
        _no("type", "it is JobTemplate")
    made = {
        "name": name,
        "tag": _text(given.get("tag", "1"), "tag"),
        "type": "JobTemplate",
        "lastUpdated": now,
        "jobParams": [_params(given.get("jobParams", [{}]))],
        "program": _program(given.get("program", {})),
    }
    if "requires" in given:
        made["requires"] = _filled(given["requires"], "requires", _REQUIRES)
    if given.get("replay") is not None:
        made["replay"] = _replay(given["replay"], name)
    return made


def _params(given: object) -> dict[str, Any]:
    if not isinstance(given, list) or len(given) != 1:
        _no("jobParams", "a list with one object is wanted")
    params = _filled(given[0], "jobParams[1]", _PARAMS)
    for key in ("cpu", "mem"):
        if not re.fullmatch(r"[1-9]\d{0,4}", params[key]):
            _no(f"jobParams[1].{key}", f"{params[key]!r} is not a whole number")
    for one in params["publish"]:
        if not _PUBLISH.fullmatch(one):
            _no("jobParams[1].publish", f"{one!r} is not a pair of ports such as 8888:8888")
    _check_env(params["env"], "jobParams[1].env")
    return params


def _program(given: object) -> dict[str, Any]:
    program = _filled(given, "program", _PROGRAM)
    if not program["command"] or not program["command"][0]:
        _no("program.command", "a list of the program and its arguments is wanted")
    if not program["accessPath"].startswith("/") or program["accessPath"].startswith("//"):
        _no("program.accessPath", "it begins with one slash, such as /lab")
    if program["websocket"] not in set(WebSocketPolicy):
        _no("program.websocket", f"{program['websocket']!r} is none of {', '.join(WebSocketPolicy)}")
    for path in program["files"]:
        if PurePosixPath(path).is_absolute() or ".." in PurePosixPath(path).parts or path in ("", "."):
            _no("program.files", f"{path!r} is not a path below the job's folder")
    _check_env(program["env"], "program.env")
    return program


def _replay(given: object, name: str) -> Any:
    try:
        replay.read(given, name)
    except ValueError as error:
        where, _, detail = str(error).partition(": ")
        _no(where, detail)
    return _texts(given, "replay")


def _check_env(given: list[str], where: str) -> None:
    for one in given:
        if not re.match(r"[A-Za-z_][A-Za-z0-9_]*=", one):
            _no(where, f"{one.partition('=')[0]!r} is not of the form NAME=value")


def _filled(given: object, where: str, known: Mapping[str, Any]) -> dict[str, Any]:
    """The object with defaults, each value of its default's type."""
    part = _part(given, where, tuple(known))
    return {key: _like(part.get(key, default), default, f"{where}.{key}") for key, default in known.items()}


def _like(value: object, default: object, where: str) -> Any:
    if isinstance(default, list):
        if not isinstance(value, list):
            _no(where, "a list is wanted")
        return [_text(one, where) for one in value]
    if isinstance(default, dict):
        return {str(key): _text(one, f"{where}.{key}") for key, one in _part(value, where, None).items()}
    return _text(value, where)


def _part(value: object, where: str, known: tuple[str, ...] | None) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        _no(where, "an object is wanted")
    unknown = sorted(str(one) for one in value if known is not None and one not in known)
    if unknown:
        _no(where, f"{', '.join(unknown)[:80]} is not known; there are {', '.join(known or ())}")
    return value


def _texts(value: object, where: str) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _texts(one, f"{where}.{key}") for key, one in value.items()}
    return [_texts(one, where) for one in value] if isinstance(value, list) else _text(value, where)


def _text(value: object, where: str) -> str:
    """A scalar as it would be written."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    if not isinstance(value, str) or "\0" in value:
        _no(where, "a text is wanted")
    return value


def _no(where: str, detail: str) -> NoReturn:
    refuse("template", f"{where}: {detail}" if where else detail)
