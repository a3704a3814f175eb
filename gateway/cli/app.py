"""`float`: the root of the command line, and the one border at which every error becomes a sentence.

A command's file is read when it is asked for: `float squeue` does not wait for what `float up` needs.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
from collections.abc import Sequence

import click

from gateway.errors import Code, Refusal

from .framework import INTERRUPTED, Group
from .session import session_file

# name → where it is, in the order of `float -h`
_COMMANDS = {
    "up": "up.up",
    "doctor": "doctor.doctor",
    "login": "login.login",
    "logout": "login.logout",
    "submit": "submit.submit",
    "list": "jobs.list_jobs",
    "show": "jobs.show",
    "open": "jobs.open_session",
    "wait": "jobs.wait",
    "log": "log.log",
    "migrate": "moves.migrate",
    "suspend": "moves.suspend",
    "resume": "moves.resume",
    "cancel": "moves.cancel",
    "gateway": "gateways.gateway",
    "template": "templates.template",
    "security-group": "security_groups.security_group",
    "hosts": "hosts.hosts",
    "user": "users.user",
    "status": "hosts.status",
    "version": "hosts.version",
    "opcenter": "opcenter.opcenter",
    "completion": "completion.completion",
}


class _Root(Group):
    """The group of all commands, which knows their names before it knows them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def find(self, name: str) -> click.Command:
        module, _, command = _COMMANDS[name].partition(".")
        found = getattr(importlib.import_module(f".{module}", __package__), command)
        assert isinstance(found, click.Command)
        return found


@click.group("float", cls=_Root, hide_flags=False)
def root() -> None:
    """Sessions that move between machines, behind one stable address.

    Start with: float up. Global options stand before or after the command.
    """


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
    import traceback

    path = session_file().with_name("error.log")
    try:
        path.parent.mkdir(mode=0o700, exist_ok=True)
        path.write_text(f"float {' '.join(sys.argv[1:2])}\n{traceback.format_exc()}", "utf-8")
    except OSError:
        return ""
    return f": {path} says what"
