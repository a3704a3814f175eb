"""The folder that holds an OpCenter's state: the one that was named, else the default."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from gateway.config import default_home
from gateway.errors import Code, Refusal

F = TypeVar("F", bound=Callable[..., Any])


def home_option() -> Callable[[F], F]:
    """`--home DIR`."""
    kind = click.Path(path_type=Path)
    return click.option("--home", type=kind, metavar="DIR", help="State; $FLOATGATE_HOME or ~/.floatgate without.")


def choose_home(named: Path | None) -> Path:
    """Its full path."""
    return (named or default_home()).absolute()


def make_home(named: Path | None) -> Path:
    """The same, and it is there, readable by its owner only. Raises Refusal."""
    home = choose_home(named)
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        sentence = f"The folder {home} cannot be used ({error.strerror}): name another one with --home"
        raise Refusal(Code.UNAVAILABLE, sentence) from error
    return home
