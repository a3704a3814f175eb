"""Checking what a gateway is asked to be, before anything is made."""

from __future__ import annotations

import contextlib
import ipaddress
import re
import socket
from collections.abc import Iterable
from typing import Any

from gateway.config import PORT_MAX, PORT_MIN
from gateway.errors import Code, Refusal

from .fields import Fields, refuse
from .model import Gateway
from .ports import overlap

_RANGE = re.compile(r"(\d{1,6})[:-](\d{1,6})", re.ASCII)
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?", re.ASCII)


def parse_range(text: str) -> tuple[int, int]:
    """`10000:10100` as two ports, the top one being the control port. Raises Refusal."""
    match = _RANGE.fullmatch(text)
    if match is None:
        refuse("port range", f"{text!r} is not of the form 10000:10100")
    low, high = int(match[1]), int(match[2])
    if low > high:
        refuse("port range", f"{low} is above {high}; write the lower port first, {high}:{low}")
    if low < PORT_MIN or high > PORT_MAX:
        refuse("port range", f"{low}:{high} is not within {PORT_MIN}:{PORT_MAX}; choose one that is")
    if low == high:
        refuse("port range", f"{low}:{high} has one port and two are needed: the highest is the gateway's own")
    return low, high


def check_bind(text: str) -> str:
    """An IP on which to listen. Raises Refusal."""
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        refuse("bind", f"{text!r} is not an IP address such as 127.0.0.1 or 0.0.0.0")


def check_public(text: str, bind: str) -> str:
    """The IP or name that users are told. Raises Refusal."""
    if not text:
        if ipaddress.ip_address(bind).is_unspecified:
            refuse("publicAddress", f"with bind {bind} say which IP or name users type")
        return bind
    with contextlib.suppress(ValueError):
        return str(ipaddress.ip_address(text))
    if not _HOST.fullmatch(text):
        refuse("publicAddress", f"{text!r} is neither an IP nor a host name")
    return text


OUTSIDE = "hostNames trustedProxies publicScheme"
"""The fields that say how a gateway is reached when something stands before it."""


def read_outside(fields: Fields) -> dict[str, Any]:
    """What is said of `OUTSIDE`, as Gateway's fields. Raises Refusal."""
    said: dict[str, Any] = {}
    if fields.given("hostNames"):
        said["host_names"] = check_names(fields.texts("hostNames", most=100))
    if fields.given("trustedProxies"):
        said["trusted_proxies"] = check_networks(fields.texts("trustedProxies", most=100))
    if fields.given("publicScheme"):
        said["public_scheme"] = check_scheme(fields.text("publicScheme"))
    return said


def check_names(given: Iterable[str]) -> tuple[str, ...]:
    """Host names that a gateway answers to, in lower case. Raises Refusal."""
    for name in given:
        if not _HOST.fullmatch(name):
            refuse("hostNames", f"{name[:80]!r} is not a host name such as float.example.org, without scheme and port")
    return tuple(dict.fromkeys(name.lower() for name in given))


def check_networks(given: Iterable[str]) -> tuple[str, ...]:
    """Networks of trusted proxies. Raises Refusal."""
    networks = []
    for text in given:
        try:
            network = ipaddress.ip_network(text, strict=False)
        except ValueError:
            refuse("trustedProxies", f"{text[:80]!r} is not an address or a network such as 10.0.0.5 or 10.0.0.0/24")
        if network.prefixlen == 0:
            refuse("trustedProxies", f"{text} is everybody: whoever can connect could then say to be somebody else")
        networks.append(str(network))
    return tuple(dict.fromkeys(networks))


def check_scheme(text: str) -> str:
    """Of the addresses that users are told. Raises Refusal."""
    if text not in ("http", "https"):
        refuse("publicScheme", f"{text!r} is neither http nor https")
    return text


def check_free(bind: str, ports: tuple[int, int], others: Iterable[Gateway], own_port: int) -> None:
    """Raises Refusal when the range is another gateway's, or its first or last port somebody else's."""
    rivals = {(one.port_min, one.port_max): one for one in others if _collide(one.bind, bind)}
    taken = overlap(ports, rivals)
    if taken is not None:
        other = rivals[taken]
        raise Refusal(
            Code.CONFLICT,
            f"The ports {ports[0]}:{ports[1]} are taken: gateway {other.id} has {taken[0]}:{taken[1]} on "
            f"{other.bind}; choose a range that does not overlap",
        )
    if ports[0] <= own_port <= ports[1]:
        raise Refusal(Code.CONFLICT, f"The port {own_port} is the OpCenter's own: choose a range without it")
    for port in ports:
        try:
            probe(bind, port)
        except OSError as error:
            why = f"{error.strerror or 'it cannot be opened'}"
            sentence = f"The port {port} on {bind} cannot be opened ({why}): choose another range or bind address"
            raise Refusal(Code.CONFLICT, sentence) from error


def probe(bind: str, port: int) -> None:
    """Open the port for a moment. Raises OSError."""
    family = socket.AF_INET6 if ":" in bind else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as one:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        one.bind((bind, port))
        one.listen(1)


def _collide(one: str, other: str) -> bool:
    return one == other or any(ipaddress.ip_address(bind).is_unspecified for bind in (one, other))
