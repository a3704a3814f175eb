"""Who may connect: the rules of the gateway's security groups, and whose word is taken for who asks."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

from gateway.types import Rule

from .forwarded import TrustedProxies


class Guard:
    """Replaced whole at each change; holds for connections accepted from then on. Without a rule nobody may."""

    def __init__(self) -> None:
        self.proxies = TrustedProxies()
        """Who may connect whatever the rules say: these judge each of its requests by the client it names."""
        self._rules: list[tuple[int, int, ipaddress.IPv4Network | ipaddress.IPv6Network]] = []

    def set(self, rules: Iterable[Rule], trusted: Iterable[str] = ()) -> None:
        """New rules and new trusted proxies. Raises ValueError."""
        self.proxies = TrustedProxies(trusted)
        self._rules = [
            (rule.port_min, rule.port_max, ipaddress.ip_network(rule.source, strict=False)) for rule in rules
        ]

    def trusts(self, peer: str) -> bool:
        """Whether this IP is a trusted proxy's."""
        return self.proxies.trusts(peer)

    def allows(self, client: str, port: int) -> bool:
        """Whether a rule lets this IP connect to this port."""
        if not client:
            return False
        address = ipaddress.ip_address(client.partition("%")[0])
        if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
            address = address.ipv4_mapped
        return any(low <= port <= high and address in network for low, high, network in self._rules)
