"""`float up`: an OpCenter, a gateway and a session in this terminal, until Ctrl-C."""

from __future__ import annotations

from pathlib import Path

import click

from gateway.config import DEFAULT_OPCENTER_PORT

from .framework import Command
from .homes import home_option, make_home
from .sockets import parse_range


@click.command(cls=Command)
@click.option("--template", default="jupyter", show_default=True, help="What the session is.")
@click.option("--ports", metavar="MIN:MAX", help="The gateway's ports; 10000:10100 at the first start.")
@click.option("--bind", metavar="IP", help="The gateway's address; 127.0.0.1 at the first start.")
@click.option("--public-address", metavar="NAME", help="What users are told instead of that IP.")
@click.option("--opcenter-port", type=click.IntRange(1, 65535), default=DEFAULT_OPCENTER_PORT, show_default=True)
@home_option()
@click.option("--no-browser", is_flag=True, help="Do not open the session in the browser.")
async def up(
    template: str,
    ports: str | None,
    bind: str | None,
    public_address: str | None,
    opcenter_port: int,
    home: Path | None,
    no_browser: bool,
) -> int:
    """Start everything with one session, and stay until Ctrl-C."""
    from .up_run import run  # brings the whole OpCenter: only this command needs it
    from .up_session import Wanted

    if ports:
        parse_range(ports)
    wanted = Wanted(template, ports, bind, public_address)
    return await run(make_home(home), opcenter_port, wanted, browser=not no_browser)
