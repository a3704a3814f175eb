"""Ports of this machine: a range as it is typed, and which ports of it are in use."""

from __future__ import annotations

import errno
import socket

from gateway.config import PORT_MAX, PORT_MIN
from gateway.errors import Code, Refusal


def parse_range(text: str) -> tuple[int, int]:
    """`10000:10100` (or with a dash) → both ends, inclusive. Raises Refusal."""
    low, _, high = text.replace("-", ":").partition(":")
    try:
        ends = int(low), int(high)
    except ValueError:
        raise _no_range(text, "two ports with a colon between them are wanted") from None
    if ends[0] > ends[1]:
        raise _no_range(text, f"the lower port stands first: {high}:{low}")
    if ends[0] < PORT_MIN or ends[1] > PORT_MAX:
        raise _no_range(text, f"it is not within {PORT_MIN}:{PORT_MAX}")
    if ends[0] == ends[1]:
        raise _no_range(text, "two ports at least are needed, the highest is the gateway's own")
    return ends


def _no_range(text: str, why: str) -> Refusal:
    return Refusal(Code.INVALID_ARGUMENT, f"Not a port range: {text!r}, {why}. Give one such as 10000:10100")


def busy_ports(host: str, low: int, high: int) -> list[int]:
    """The ports that cannot be listened on, because somebody does or we may not."""
    return [port for port in range(low, high + 1) if not _is_free(host, port)]


def _is_free(host: str, port: int) -> bool:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
            probe.listen(1)
        except OSError as error:
            return error.errno not in (errno.EADDRINUSE, errno.EACCES)
    return True
