"""Security groups: named lists of who may connect to which ports of a gateway."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from gateway.errors import Code, Refusal
from gateway.types import Rule

CREATE = "float security-group create --id {id} --rule 10000-10500:0.0.0.0/0"


@dataclass(frozen=True, slots=True)
class SecurityGroup:
    """One group. `owner` is the user who made it."""

    id: str
    name: str
    owner: str
    description: str
    rules: tuple[Rule, ...]

    def to_json(self) -> dict[str, Any]:
        """As the API shows it."""
        rules = [{"portMin": rule.port_min, "portMax": rule.port_max, "source": rule.source} for rule in self.rules]
        return {**asdict(self), "rules": rules}


DEFAULT = SecurityGroup(
    "sg-default",
    "default",
    "admin",
    "Every port, from this machine only.",
    (Rule(1, 65535, "127.0.0.0/8"), Rule(1, 65535, "::1/128")),
)


def parse_rule(doc: Mapping[str, Any]) -> Rule:
    """A rule from the API's shape. Raises Refusal."""
    low, high, source = doc.get("portMin"), doc.get("portMax"), doc.get("source")
    for name, port in (("portMin", low), ("portMax", high)):
        if not _is_port(port):
            raise _refuse(f"{name} is {str(port)[:40]}: write a port from 1 to 65535")
    if low > high:  # type: ignore[operator]
        raise _refuse(f"portMin {low} is above portMax {high}: write the lower one first")
    if not isinstance(source, str):
        raise _refuse("a rule needs a source, such as 10.0.0.0/8")
    unknown = set(doc) - {"portMin", "portMax", "source"}
    if unknown:
        raise _refuse(f"a rule knows portMin, portMax and source, not {', '.join(sorted(unknown))}")
    try:
        network = ipaddress.ip_network(source, strict=False)
    except ValueError as error:
        raise _refuse(f"{source!r} is not a block of addresses: write one such as 10.0.0.0/8") from error
    return Rule(int(low), int(high), str(network))  # type: ignore[arg-type]


def pick(ids: Iterable[str], known: Mapping[str, SecurityGroup]) -> tuple[str, ...]:
    """The ids once each, in order. Raises Refusal for one that is not known."""
    chosen = tuple(dict.fromkeys(ids))
    for one in chosen:
        if one not in known:
            how = CREATE.format(id=one if one.startswith("sg-") else "sg-" + one)
            raise Refusal(Code.NOT_FOUND, f"Resource not found: no security group {one}; create it with {how}")
    return chosen


def rules_of(ids: Iterable[str], known: Mapping[str, SecurityGroup]) -> tuple[Rule, ...]:
    """The rules of these groups together, each once."""
    return tuple(dict.fromkeys(rule for one in ids if one in known for rule in known[one].rules))


def check_number(ids: Iterable[str], known: Mapping[str, SecurityGroup], most: int) -> None:
    """Raises Refusal if these groups have more rules together than a gateway may have."""
    count = len(rules_of(ids, known))
    if count > most:
        how = "remove a security group, or name larger blocks of addresses"
        raise Refusal(Code.CONFLICT, f"A gateway has {most} rules at most, and these groups have {count}: {how}")


def _is_port(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= 65535


def _refuse(detail: str) -> Refusal:
    return Refusal(Code.INVALID_ARGUMENT, f"Invalid argument, invalid rule: {detail}")
