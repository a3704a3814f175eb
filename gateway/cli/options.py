"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from .caller import Caller

F = TypeVar("F", bound=Callable[..., Any])


def pass_caller(command: F) -> F:
    """The Caller as the command's first argument."""
    passed: F = click.make_pass_decorator(Caller, ensure=True)(command)  # type: ignore[assignment]
    return passed


def job_option(what: str) -> Callable[[F], F]:
    """`-j ID`; inside of a job its own id is the default."""
    return click.option("-j", "--job", "job_id", required=True, envvar="FLOAT_JOB_ID", metavar="ID", help=what)


def jobs_option(what: str) -> Callable[[F], F]:
    """`-j ID`, repeatable."""
    return click.option("-j", "--job", "job_ids", multiple=True, envvar="FLOAT_JOB_ID", metavar="ID", help=what)


def gateway_option() -> Callable[[F], F]:
    """`-g ID`."""
    return click.option("-g", "--gateway", "gateway_id", required=True, metavar="ID", help="The gateway.")


def filter_option(*names: str) -> Callable[[F], F]:
    """`key=value`, repeatable: all must hold; ` or ` joins values."""
    text = "key=value with user, status, image or name; 'status=Executing or status=Floating'. Repeat to narrow."
    return click.option(*names, "filters", multiple=True, metavar="KEY=VALUE", help=text)


def force_option() -> Callable[[F], F]:
    """`-f`: no question."""
    return click.option("-f", "--force", is_flag=True, help="Do not ask.")


def new_password_option() -> Callable[[F], F]:
    """`--password-stdin`: for scripts, so that no password stands in a list of processes."""
    return click.option("--password-stdin", is_flag=True, help="Read the new password from standard input, one line.")


def sync_option() -> Callable[[F], F]:
    """`--sync`: return when it is done."""
    return click.option("--sync", is_flag=True, help="Return when it is done, not when it has begun.")
