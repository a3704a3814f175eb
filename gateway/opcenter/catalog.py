"""Every template of one OpCenter: those that come with it, and an administrator's own, `<home>/templates/*.yaml`."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import structlog
import yaml

from gateway.errors import Code, Refusal

from .template_docs import KEYS, checked
from .templates import Template, load, parse
from .users import Who
from .views import instant

_log = structlog.get_logger()


class Catalog(Mapping[str, Template]):
    """By name. A job keeps what its template said when it was submitted."""

    def __init__(self, folder: Path, clock: Callable[[], int]) -> None:
        """`clock`: ms since the epoch. A file that is no template is logged and left out."""
        self._folder, self._clock = folder, clock
        self._built_in = load()
        self._own: dict[str, Template] = {}
        for path in sorted(folder.glob("*.yaml")):
            self._read(path)

    def __getitem__(self, name: str) -> Template:
        found = self._own.get(name)
        return self._built_in[name] if found is None else found

    def __iter__(self) -> Iterator[str]:
        return iter(sorted((*self._built_in, *self._own)))

    def __len__(self) -> int:
        return len(self._built_in) + len(self._own)

    def create(self, doc: object, who: Who) -> Template:
        """A new one. Raises Refusal."""
        _admin(who)
        made = self._check(doc)
        if made["name"] in self:
            raise Refusal(
                Code.CONFLICT, f"There is a template {made['name']} already: choose another name, or update it"
            )
        return self._save(made)

    def update(self, name: str, doc: object, who: Who) -> Template:
        """What is said takes the place of what was, key by key of the outermost object. Raises Refusal."""
        old = self._find(name, who)
        changes = dict(doc) if isinstance(doc, Mapping) else {}
        kept = {key: value for key, value in old.doc.items() if key in KEYS}
        made = self._check({**kept, **changes} if changes else doc)
        if made["name"] != name:
            raise Refusal(
                Code.CONFLICT, f"The template {name} keeps its name: create {made['name']} and delete this one"
            )
        return self._save(made)

    def delete(self, name: str, who: Who) -> Template:
        """Jobs that were started from it go on. Raises Refusal."""
        found = self._find(name, who)
        (self._folder / f"{name}.yaml").unlink(missing_ok=True)
        del self._own[name]
        return found

    def _find(self, name: str, who: Who) -> Template:
        _admin(who)
        if name in self._built_in:
            how = f"float template show -T {name} -F json shows it, create takes one of another name"
            raise Refusal(Code.CONFLICT, f"The template {name} is part of every OpCenter and stays as it is: {how}")
        if name not in self._own:
            raise Refusal(Code.NOT_FOUND, f"Resource not found: no template {name[:80]}; there are {', '.join(self)}")
        return self._own[name]

    def _check(self, doc: object) -> dict[str, Any]:
        return checked(doc, instant(self._clock()) or "")

    def _save(self, doc: dict[str, Any]) -> Template:
        """On disk before it is known."""
        text = yaml.safe_dump(doc, sort_keys=False, allow_unicode=True, indent=4, width=120)
        made = parse(text)
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = self._folder / f".{made.name}.{secrets.token_hex(4)}"
        with os.fdopen(os.open(draft, os.O_CREAT | os.O_WRONLY | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(self._folder / f"{made.name}.yaml")
        self._own[made.name] = made
        return made

    def _read(self, path: Path) -> None:
        try:
            found = parse(path.read_text(encoding="utf-8"))
            checked({**found.doc, "jobParams": [dict(one) for one in found.doc["jobParams"]]}, "")
        except (OSError, ValueError, KeyError, TypeError, AttributeError, IndexError, yaml.YAMLError, Refusal) as error:
            _log.warning("no template", file=str(path), why=str(error))
            return
        if found.name in self._built_in or f"{found.name}.yaml" != path.name:
            _log.warning("no template", file=str(path), why="a file has its template's name, and no built-in one's")
            return
        self._own[found.name] = found


def _admin(who: Who) -> None:
    if not who.admin:
        raise Refusal(Code.FORBIDDEN, "Only an admin may change templates, since everybody runs what they say")
