"""Who may connect: the rules of the gateway's security groups."""

from __future__ import annotations

import ipaddress

from gateway.types import Rule


class Guard:
    """Replaced whole at each change; holds for connections accepted from then on. Without a rule nobody may."""

    def __init__(self) -> None:
        self._rules: list[tuple[int, int, ipaddress.IPv4Network | ipaddress.IPv6Network]] = []

    def set(self, rules: tuple[Rule, ...]) -> None:
        """New rules."""
        self._rules = [
            (rule.port_min, rule.port_max, ipaddress.ip_network(rule.source, strict=False)) for rule in rules
        ]

    def allows(self, client: str, port: int) -> bool:
        """Whether a rule lets this IP connect to this port."""
        if not client:
            return False
        address = ipaddress.ip_address(client.partition("%")[0])
        if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
            address = address.ipv4_mapped
        return any(low <= port <= high and address in network for low, high, network in self._rules)
