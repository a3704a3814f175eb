"""`float`: the root of the command line, and the one border at which every error becomes a sentence."""

from __future__ import annotations

import contextlib
import os
import sys
import traceback
from collections.abc import Sequence

import click

from gateway.errors import Code, Refusal

from .completion import completion
from .doctor import doctor
from .framework import INTERRUPTED, Group
from .gateways import gateway
from .hosts import hosts, status, version
from .jobs import list_jobs, open_session, show, wait
from .log import log
from .login import login, logout
from .moves import cancel, migrate, resume, suspend
from .opcenter import opcenter
from .security_groups import security_group
from .session import session_file
from .submit import submit
from .templates import template
from .up import up
from .users import user

_COMMANDS = (
    up, doctor, login, logout, submit, list_jobs, show, open_session, wait, log, migrate, suspend, resume, cancel,
    gateway, template, security_group, hosts, user, status, version, opcenter, completion,
)  # fmt: skip


@click.group("float", cls=Group, hide_flags=False)
def root() -> None:
    """Sessions that move between machines, behind one stable address.

    Start with: float up. Global options stand before or after the command.
    """


for _command in _COMMANDS:
    root.add_command(_command)


def main(args: Sequence[str] | None = None) -> int:
    """Run one command line; returns the exit code. Nothing but a sentence ever reaches the user."""
    try:
        result = root.main(args=args, prog_name="float", standalone_mode=False)
        sys.stdout.flush()
        return result if isinstance(result, int) else 0
    except Refusal as refusal:
        return _fail(str(refusal))
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.ctx.get_help() if error.ctx else "")
        return 0
    except click.UsageError as error:
        return _fail(str(Refusal(Code.INVALID_ARGUMENT, _usage(error))))
    except click.ClickException as error:
        return _fail(str(Refusal(Code.INVALID_ARGUMENT, error.format_message())))
    except (click.Abort, KeyboardInterrupt):
        return INTERRUPTED
    except BrokenPipeError:  # `float squeue | head -1`
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 0
    except Exception:  # noqa: BLE001 - the last border: whatever it is, it is ours, and the user gets a sentence
        return _fail(str(Refusal(Code.INTERNAL, f"Something went wrong inside of float{_write_down()}")))


def _fail(sentence: str) -> int:
    with contextlib.suppress(BrokenPipeError):
        click.echo(f"Error: {sentence}", err=True)
    return 1


def _usage(error: click.UsageError) -> str:
    """What is wrong, and which help says what is right."""
    told = error.format_message().rstrip(".")
    return f"{told}: see {error.ctx.command_path} -h" if error.ctx else told


def _write_down() -> str:
    """The traceback, for whoever looks into it; says where it is."""
    path = session_file().with_name("error.log")
    try:
        path.parent.mkdir(mode=0o700, exist_ok=True)
        path.write_text(f"float {' '.join(sys.argv[1:2])}\n{traceback.format_exc()}", "utf-8")
    except OSError:
        return ""
    return f": {path} says what"
