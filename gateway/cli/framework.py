"""click, with what the original's command line adds: aliases, and global flags before and after the command."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from typing import Any

import click

from .caller import Caller
from .printing import Format

INTERRUPTED = 130  # 128 + SIGINT, what shells expect
ALIASES = {
    "sbatch": "submit",
    "squeue": "list",
    "ls": "list",
    "scancel": "cancel",
    "hibernate": "suspend",
    "recover": "resume",
    "restore": "resume",
    "sinfo": "hosts",
}


def _normal(word: str) -> str:
    """`--port-range` and `--portrange` mean `--portRange`; one letter keeps its case (-f, -F)."""
    return word if len(word) == 1 else word.replace("-", "").lower()


SETTINGS: dict[str, Any] = {"help_option_names": ["-h", "--help"], "token_normalize_func": _normal}


def _keep(field: str) -> Callable[[click.Context, click.Parameter, Any], Any]:
    """A flag's value goes to the Caller; the one nearest to the command wins."""

    def keep(context: click.Context, _parameter: click.Parameter, value: Any) -> Any:
        if value is not None:
            setattr(context.ensure_object(Caller), field, value)
        return value

    return keep


def _verbose(context: click.Context, _parameter: click.Parameter, value: str | None) -> None:
    if value is not None:
        context.ensure_object(Caller).verbose = value == "on"


def _format(context: click.Context, _parameter: click.Parameter, value: str | None) -> None:
    if value is not None:
        context.ensure_object(Caller).format = Format(value)


def _global_flags(hidden: bool) -> list[click.Parameter]:
    """Shown in `float -h`, accepted by every command."""

    def flag(*names: str, call: Any, text: str, **more: Any) -> click.Option:
        return click.Option(names, callback=call, expose_value=False, hidden=hidden, help=text, **more)

    formats = click.Choice([one.value for one in Format])
    return [
        flag("-a", "--address", call=_keep("address"), text="The OpCenter, such as 10.0.0.1:9180 (MMC_ADDRESS)."),
        flag("-u", "--username", call=_keep("username"), text="Log in as this user (MMC_USERNAME)."),
        flag("-p", "--password", call=_keep("password"), text="With this password (MMC_PASSWORD)."),
        flag("-O", "--token", call=_keep("token"), text="An access token instead."),
        flag("-F", "--format", call=_format, text="How to print: yaml, for lists a table.", type=formats),
        flag("-v", "--verbose", call=_verbose, text="Say which calls are made.", type=click.Choice(["on", "off"])),
    ]


class Command(click.Command):
    """A command with the global flags; its function may be a coroutine."""

    def __init__(self, name: str | None, *, params: list[click.Parameter] | None = None, **more: Any) -> None:
        more.setdefault("context_settings", SETTINGS)
        super().__init__(name, params=[*(params or []), *_global_flags(hidden=True)], **more)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        return super().parse_args(ctx, spell_out(args))

    def invoke(self, ctx: click.Context) -> Any:
        ctx.ensure_object(Caller)
        result = super().invoke(ctx)
        try:
            return asyncio.run(result) if inspect.iscoroutine(result) else result
        except KeyboardInterrupt:
            raise SystemExit(INTERRUPTED) from None  # click would print an empty line


class Group(click.Group):
    """A noun with its verbs; knows the aliases and the global flags."""

    command_class = Command

    def __init__(self, name: str | None, *, params: list[click.Parameter] | None = None, **more: Any) -> None:
        hidden = more.pop("hide_flags", True)
        more.setdefault("context_settings", SETTINGS)
        super().__init__(name, params=[*(params or []), *_global_flags(hidden)], **more)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)  # as they were added: the main ones first

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        wanted = _normal(ALIASES.get(cmd_name, cmd_name))
        name = next((one for one in self.list_commands(ctx) if _normal(one) == wanted), None)
        return None if name is None else self.find(name)

    def find(self, name: str) -> click.Command:
        """The command of a name in `list_commands`."""
        return self.commands[name]

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        return super().parse_args(ctx, spell_out(args))


Group.group_class = Group


def spell_out(args: list[str]) -> list[str]:
    """Make plain what click cannot tell: a bare `-v` means on."""
    told: list[str] = []
    for place, arg in enumerate(args):
        if arg == "--":
            return [*told, *args[place:]]
        bare = arg in ("-v", "--verbose") and args[place + 1 : place + 2] not in (["on"], ["off"])
        told.append("--verbose=on" if bare else arg)
    return told
