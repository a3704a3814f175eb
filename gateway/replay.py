"""The table of an application: which of its requests may be sent twice. Data, in templates and snapshots.

Pure. docs/replay.md tells an administrator how to write one; `gateway/proxy/replay.py` judges requests by it.
"""

from __future__ import annotations

import enum
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from fnmatch import fnmatchcase
from typing import Any
from urllib.parse import unquote

MAX_RULES = 500
MAX_BYTES = 32 << 10  # of a table as JSON: it travels whole to each worker
_MAX_PATH = 200
_METHOD = re.compile(r"[A-Z][A-Z-]{0,19}")


class Twice(enum.StrEnum):
    """What a second time does."""

    HARMLESS = "harmless"
    HARMFUL = "harmful"
    POLL = "poll"  # harmless, and it waits for news: a move cuts it at once instead of waiting for its answer
    JUPYTER_CHUNK = "jupyter-chunk"  # the body says which, see proxy/replay.py


@dataclass(frozen=True, slots=True)
class Rule:
    """For a method and a path in which `*` stands for anything. The first rule that fits decides."""

    method: str
    path: str
    twice: Twice
    answer: str = ""  # JSON to answer with in the job's place, if the whole request had been sent

    def fits(self, method: str, path: str) -> bool:
        """Whether this rule is about the request; `path` decoded and without its query."""
        return self.method == method and fnmatchcase(path, self.path)


@dataclass(frozen=True, slots=True)
class Table:
    """What is known of one application.

    `acts_when_whole`: it does nothing before it has the whole request, so one that was cut may be sent again.
    """

    name: str
    rules: tuple[Rule, ...] = ()
    acts_when_whole: bool = False

    def rule(self, method: bytes, target: bytes) -> Rule | None:
        """The first rule that fits; None if the table does not know this request."""
        path = unquote(target.partition(b"?")[0].decode("latin-1"))
        return next((rule for rule in self.rules if rule.fits(method.decode("latin-1"), path)), None)

    def to_json(self) -> dict[str, Any]:
        """A JSON object; `from_json` gives the same table back."""
        return asdict(self)

    @staticmethod
    def from_json(doc: Mapping[str, Any]) -> Table:
        """Build from `to_json`'s object. Raises KeyError, TypeError or ValueError on anything else."""
        rules = tuple(Rule(**{**rule, "twice": Twice(rule["twice"])}) for rule in doc["rules"])
        return Table(**{**doc, "rules": rules})


def key_of(doc: Mapping[str, Any]) -> str:
    """The name under which a snapshot has a table: the same for the same table."""
    return hashlib.sha256(json.dumps(doc, sort_keys=True).encode()).hexdigest()[:16]


# What an administrator writes


def read(doc: object, name: str) -> Table:
    """A template's `replay`, checked. Raises ValueError with a sentence that says where and what is wrong."""
    found = _object(doc, "replay", {"actsWhenWhole", "rules"})
    entries = found.get("rules", [])
    if not isinstance(entries, Sequence) or isinstance(entries, str):
        raise ValueError("replay.rules: a list of rules is wanted")
    rules = tuple(rule for number, one in enumerate(entries, 1) for rule in _rules(one, f"replay.rules[{number}]"))
    table = Table(name, rules, _flag(found.get("actsWhenWhole", False), "replay.actsWhenWhole"))
    if len(rules) > MAX_RULES or len(json.dumps(table.to_json())) > MAX_BYTES:
        raise ValueError(f"replay: at most {MAX_RULES} rules and {MAX_BYTES >> 10} KiB as JSON")
    return table


def _rules(doc: object, where: str) -> list[Rule]:
    """One entry: a rule for each of its paths."""
    found = _object(doc, where, {"method", "path", "paths", "twice", "answer"})
    if ("path" in found) == ("paths" in found):
        raise ValueError(f"{where}: give it a path, or a list of paths")
    paths = [found["path"]] if "path" in found else found["paths"]
    if not isinstance(paths, Sequence) or isinstance(paths, str) or not paths:
        raise ValueError(f"{where}.paths: a list of paths is wanted")
    method, twice, answer = found.get("method"), found.get("twice"), found.get("answer", "")
    if not isinstance(method, str) or not _METHOD.fullmatch(method):
        raise ValueError(f"{where}.method: {_shown(method)} is not a method such as POST, in capitals")
    if not isinstance(twice, str) or twice not in set(Twice):
        raise ValueError(f"{where}.twice: {_shown(twice)} is none of {', '.join(Twice)}")
    return [Rule(method, _path(path, where), Twice(twice), _answer(answer, Twice(twice), where)) for path in paths]


def _path(path: object, where: str) -> str:
    ok = isinstance(path, str) and path[:1] in ("/", "*") and len(path) <= _MAX_PATH and path.isprintable()
    if not ok or "?" in str(path) or "[" in str(path):
        how = f"begins with / or *, has * for anything, no ?, [ or query, and at most {_MAX_PATH} characters"
        raise ValueError(f"{where}: the path {_shown(path)} is none: one {how}")
    return str(path)


def _answer(answer: object, twice: Twice, where: str) -> str:
    if not isinstance(answer, str):
        raise ValueError(f"{where}.answer: JSON as a text is wanted")
    if answer and twice is not Twice.HARMFUL:
        raise ValueError(f"{where}.answer: only a rule that says harmful may have one, the others are sent again")
    try:
        json.loads(answer or "null")
    except ValueError as error:
        raise ValueError(f"{where}.answer: {_shown(answer)} is not JSON: {error}") from error
    return answer


def _object(doc: object, where: str, known: set[str]) -> Mapping[str, Any]:
    if not isinstance(doc, Mapping):
        raise ValueError(f"{where}: an object with {', '.join(sorted(known))} is wanted")
    if unknown := sorted(str(one) for one in doc if one not in known):
        raise ValueError(f"{where}: {', '.join(unknown)[:80]} is not known; there are {', '.join(sorted(known))}")
    return doc


def _flag(value: object, where: str) -> bool:
    """YAML that is read as texts has `true` as one."""
    if value not in (True, False, "true", "false"):
        raise ValueError(f"{where}: {_shown(value)} is neither true nor false")
    return value in (True, "true")


def _shown(value: object) -> str:
    return repr(value)[:80]
