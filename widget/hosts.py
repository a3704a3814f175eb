"""Which host names are ours, and which origins follow from them. Pure.

Names that are not ours are refused (421), since a name that an attacker can point at this address would otherwise
make his page an origin of ours (DNS rebinding). IP literals cannot be rebound.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection
from dataclasses import dataclass

_SYNTAX = re.compile(r"(?P<name>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::(?P<port>\d{1,5}))?\Z")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a browser believes to be: scheme, host name (IPv6 in brackets) and port, as in its address bar."""

    scheme: str
    name: str
    port: int

    @property
    def origin(self) -> str:
        """Serialized as browsers do it (RFC 6454, 6.2): no default port."""
        return self.on(self.port)

    def on(self, port: int) -> str:
        """The origin of another port of this host."""
        default = {"http": 80, "https": 443}[self.scheme]
        return f"{self.scheme}://{self.name}" + ("" if port == default else f":{port}")

    def ancestor(self, port: int) -> str:
        """The same as a source of a policy. CSP3 2.3.1 has no form for IPv6: any host at that port then."""
        return f"{self.scheme}://*:{port}" if self.name.startswith("[") else self.on(port)

    @property
    def socket(self) -> str:
        """The origin of WebSockets here, as a source of a policy."""
        return "ws" + self.ancestor(self.port).removeprefix("http")

    @property
    def is_address(self) -> bool:
        """Whether the name is an IP address."""
        return _is_address(self.name.strip("[]"))

    @property
    def loopback(self) -> bool:
        """Whether the name means the machine of whoever uses it."""
        return self.name == "localhost" or _is_loopback(self.name.strip("[]"))


def parse(scheme: str, host: str) -> Place | None:
    """The place that a Host header names; None if it is not one host and port."""
    found = _SYNTAX.match(host)
    if found is None or scheme not in ("http", "https"):
        return None
    port = int(found["port"] or {"http": 80, "https": 443}[scheme])
    return Place(scheme, found["name"].lower(), port)


def is_ours(place: Place, names: Collection[str]) -> bool:
    """An IP literal, localhost, or one of `names`."""
    return place.name == "localhost" or place.is_address or place.name in names


def is_private(place: Place, peer: str | None) -> bool:
    """Whether what a browser sends stays unread: encrypted, or it never leaves the machine."""
    return place.scheme == "https" or (place.loopback and peer is not None and _is_loopback(peer))


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _is_loopback(text: str) -> bool:
    return _is_address(text) and ipaddress.ip_address(text).is_loopback
