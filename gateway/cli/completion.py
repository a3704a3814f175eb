"""`float completion`: the script that makes a shell complete float's commands and options."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from .framework import Command
from .printing import write


@click.command(cls=Command)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print a shell's completion script: eval "$(float completion bash)"."""
    found = get_completion_class(shell)
    if found is None:
        raise click.UsageError(f"There is no completion for {shell}")
    write(found(context.find_root().command, {}, "float", "_FLOAT_COMPLETE").source() + "\n")
