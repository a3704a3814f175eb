"""Reading a request's JSON object strictly: each field has a type, an unknown one is refused by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NoReturn

from gateway.errors import Code, Refusal


def refuse(what: str, detail: str) -> NoReturn:
    """Raise the Refusal for a bad argument: `Invalid argument, invalid <what>: <detail>`."""
    raise Refusal(Code.INVALID_ARGUMENT, f"Invalid argument, invalid {what}: {detail}")


class Fields:
    """One object. Each reader takes a field out; `done` refuses what is left."""

    def __init__(self, doc: object, known: str) -> None:
        """`known` names the fields that there are, separated by spaces. Raises Refusal."""
        if not isinstance(doc, Mapping):
            refuse("body", "send one JSON object")
        self._doc: Mapping[str, Any] = doc
        names = known.split()
        unknown = [str(name) for name in doc if name not in names]
        if unknown:
            has = f"this call knows {', '.join(names)}" if names else "this call takes none"
            refuse("field", f"{', '.join(sorted(unknown))}; {has}")

    def text(self, name: str, default: str = "", longest: int = 200) -> str:
        """A string in one line."""
        value = self._doc.get(name)
        if value is None:
            return default
        if not isinstance(value, str) or len(value) > longest or not (value.isprintable() or not value):
            refuse(name, f"a text of at most {longest} printable characters is wanted")
        return value

    def need(self, name: str, longest: int = 200) -> str:
        """A string that must be there."""
        value = self.text(name, longest=longest)
        if not value:
            refuse(name, "it is missing")
        return value

    def optional(self, name: str, longest: int = 200) -> str | None:
        """A string, or None when the field is not there."""
        return None if self._doc.get(name) is None else self.text(name, longest=longest)

    def whole(self, name: str, default: int, least: int = 1, most: int = 1_000_000) -> int:
        """A whole number."""
        value = self._doc.get(name)
        if value is None:
            return default
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            refuse(name, f"a whole number from {least} to {most} is wanted")
        return value

    def given(self, name: str) -> bool:
        """Whether the field is there and not null."""
        return self._doc.get(name) is not None

    def seconds(self, name: str) -> float | None:
        """A positive number, or None when the field is not there."""
        value = self._doc.get(name)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1e9:
            refuse(name, "a positive number of seconds is wanted")
        return float(value)

    def flag(self, name: str, default: bool) -> bool:
        """True or false."""
        value = self._doc.get(name)
        if value is None:
            return default
        if not isinstance(value, bool):
            refuse(name, "true or false is wanted")
        return value

    def texts(self, name: str, longest: int = 32_768, most: int = 1000) -> tuple[str, ...]:
        """A list of strings without NUL."""
        value = self._doc.get(name)
        if value is None:
            return ()
        if not isinstance(value, list) or len(value) > most:
            refuse(name, f"a list of at most {most} texts is wanted")
        if any(not isinstance(one, str) or len(one) > longest or "\0" in one for one in value):
            refuse(name, f"each must be a text of at most {longest} characters, without NUL")
        return tuple(value)

    def ports(self, name: str) -> tuple[int, ...]:
        """A list of TCP ports, each once."""
        value = self._doc.get(name)
        if value is None:
            return ()
        if not isinstance(value, list) or any(not is_port(one) for one in value):
            refuse(name, "a list of ports, 1 to 65535, is wanted")
        return tuple(dict.fromkeys(value))

    def port(self, name: str) -> int:
        """A TCP port that must be there."""
        value = self._doc.get(name)
        if not is_port(value):
            refuse(name, "a port, 1 to 65535, is wanted")
        return int(value)  # type: ignore[arg-type]

    def pairs(self, name: str, most: int = 100) -> dict[str, str]:
        """An object of strings."""
        value = self._doc.get(name)
        if value is None:
            return {}
        if not isinstance(value, dict) or len(value) > most or any(not isinstance(one, str) for one in value.values()):
            refuse(name, f"an object of at most {most} texts is wanted")
        return dict(value)

    def objects(self, name: str, most: int = 100) -> list[Mapping[str, Any]]:
        """A list of objects."""
        value = self._doc.get(name)
        if value is None:
            return []
        if not isinstance(value, list) or len(value) > most or any(not isinstance(one, dict) for one in value):
            refuse(name, f"a list of at most {most} objects is wanted")
        return value


def is_port(value: object) -> bool:
    """Whether this is a number that a TCP port can have."""
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= 65535
