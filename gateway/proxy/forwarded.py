"""Who asks, when a trusted proxy stands before the gateway: `X-Forwarded-For` and `X-Forwarded-Proto`.

Pure. A client can write what it likes into these lines, so they are read only if the connection comes from an
address that the administrator trusts, and then from the right: each trusted proxy has added whom it was asked by.
The first address from the right that is not trusted is the client; what stands left of it is hearsay.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from .headers import values

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address

# An entry: an address, IPv6 with or without brackets, and a port only where it cannot be part of the address.
_ENTRY = re.compile(r"(?:(?P<v4>[0-9.]+)|\[(?P<v6>[0-9A-Fa-f:.]+)\])(?::[0-9]{1,5})?|(?P<bare>[0-9A-Fa-f:.]+)")
_SCHEMES = {"http": "http", "https": "https", "ws": "http", "wss": "https"}


@dataclass(frozen=True, slots=True)
class Origin:
    """Whom the gateway answers: an IP, and the scheme that the browser used."""

    client: str
    scheme: str


class TrustedProxies:
    """Networks whose word is taken. Empty: nobody's."""

    def __init__(self, networks: Iterable[str] = ()) -> None:
        """CIDRs or addresses. Raises ValueError."""
        self._networks = [ipaddress.ip_network(one, strict=False) for one in networks]

    def trusts(self, address: str) -> bool:
        """Whether a connection from this IP is a trusted proxy's."""
        found = _parse(address)
        return found is not None and self._contains(found)

    def origin(self, peer: str, lines: Sequence[tuple[bytes, bytes]]) -> Origin:
        """Whom the trusted proxy `peer` asks for. Without a usable line that is the proxy itself."""
        hops, client = 0, peer
        for entry in reversed(_listed(lines, b"x-forwarded-for")):
            address = _parse(entry)
            if address is None:
                break  # `unknown`, or garbage: the proxy that said so is as far as we can see
            client, hops = str(address), hops + 1
            if not self._contains(address):
                break
        schemes = _listed(lines, b"x-forwarded-proto")
        scheme = schemes[-min(max(hops, 1), len(schemes))].lower() if schemes else "http"
        return Origin(client, _SCHEMES.get(scheme, "http"))

    def _contains(self, address: _Address) -> bool:
        return any(address in network for network in self._networks)


def _listed(lines: Sequence[tuple[bytes, bytes]], name: bytes) -> list[str]:
    """The elements of a list, over all lines of the name, in order (RFC 9110 §5.6.1: empty ones do not count)."""
    found = [one.strip().decode("latin-1") for value in values(lines, name) for one in value.split(b",")]
    return [one for one in found if one]


def _parse(entry: str) -> _Address | None:
    match = _ENTRY.fullmatch(entry.partition("%")[0] if entry.startswith("fe80") else entry)
    if match is None:
        return None
    try:
        address = ipaddress.ip_address(match["v4"] or match["v6"] or match["bare"])
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address
