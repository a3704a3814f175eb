"""`$HOME/.float/session.yaml`: the OpCenter last logged in to, and the token. Readable by its owner only."""

from __future__ import annotations

import contextlib
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from gateway.config import DEFAULT_OPCENTER_PORT
from gateway.errors import Code, Refusal

_HOST = re.compile(r"[A-Za-z0-9._:%-]+", re.ASCII)
_PLAIN = re.compile(r"(\w+): ((?:Bearer )?[A-Za-z0-9][\w.:/@%\[\]-]*)", re.ASCII)  # what YAML writes without quotes
_DEFAULT_PORTS = {"http": DEFAULT_OPCENTER_PORT, "https": 443}


@dataclass(frozen=True, slots=True)
class Session:
    """A login. `address` is a URL; `token` is what the OpCenter gave."""

    address: str
    username: str
    token: str


def session_file() -> Path:
    """Where the session is kept: users' scripts read its `address` line."""
    return Path.home() / ".float" / "session.yaml"


def load_session() -> Session | None:
    """The saved login; None when there is none that can be read."""
    try:
        doc = _read(session_file().read_text("utf-8"))
        return Session(str(doc["address"]), str(doc["username"]), str(doc["token"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _read(text: str) -> Any:
    """The file as we write it needs no YAML, whose import is a tenth of a command's time. Raises ValueError."""
    lines = [_PLAIN.fullmatch(line) for line in text.splitlines()]
    if all(lines):
        return {one[1]: one[2] for one in lines if one}
    import yaml

    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError("not YAML") from error


def save_session(session: Session) -> None:
    """Write the file whole or not at all, mode 0600. Raises Refusal."""
    import yaml

    path = session_file()
    text = yaml.safe_dump(
        {"address": session.address, "username": session.username, "token": session.token}, sort_keys=False
    )
    beside = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
            file.write(text)
        beside.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            beside.unlink()
        raise Refusal(Code.INTERNAL, f"The session cannot be saved to {path}: {error.strerror}") from error


def forget_session() -> None:
    """Delete the file, if there is one."""
    with contextlib.suppress(OSError):
        session_file().unlink()


def to_url(address: str) -> str:
    """`10.0.0.1`, `host:9180` or a URL → a URL with scheme and port. Raises Refusal."""
    text = address.strip().rstrip("/")
    try:
        parts = urlsplit(text if "://" in text else f"http://{text}")
        port = parts.port or _DEFAULT_PORTS[parts.scheme]
        host = parts.hostname
    except (ValueError, KeyError):
        host = None
    if not host or not _HOST.fullmatch(host) or parts.username or parts.path or parts.query:
        raise Refusal(Code.INVALID_ARGUMENT, f"Not an address: {address!r}. Give one such as 10.0.0.1:9180")
    return f"{parts.scheme}://{f'[{host}]' if ':' in host else host}:{port}"
