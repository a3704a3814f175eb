"""What browsers get from us as files: the loader, the frame's scripts and styles, and the words.

There is no build step: the sources in `static/` are what is sent. The loader and the widget's own files lose their
comments and spaces, and a script of the widget's comes with the modules that it imports, one after the other, so that
the pill is there after one request. Every address contains a hash of the content, so that each may be cached
for ever. This is the one module of the widget that the proxy imports; it opens no socket and reads no clock.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.resources import files

from rcssmin import cssmin
from rjsmin import jsmin

from gateway.types import JobId

_JOB = re.compile(r"[A-Za-z0-9_-]{1,64}\Z")
_IMPORT = re.compile(r'import \{[^}]*\} from "\./([\w-]+\.js)";\n')
_EXPORT = re.compile(r"^export ", re.M)
_BUNDLES = {"widget.js": ("widget.js",), "window.js": ("window.js",), "widget.css": ("tokens.css", "widget.css")}
_TYPES = {"js": "text/javascript; charset=utf-8", "css": "text/css; charset=utf-8"}
LANGUAGES = ("en", "de")


@dataclass(frozen=True, slots=True)
class Asset:
    """A file at an address of its own: another content has another address."""

    path: str
    body: bytes
    etag: str
    content_type: str = _TYPES["js"]


@dataclass(frozen=True, slots=True)
class Inline:
    """A script or style that stands inside of a page. `source` allows exactly this text in its policy."""

    text: str
    source: str


def _short_hash(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16]


@lru_cache(maxsize=1024)
def loader(job: JobId, control_port: int) -> Asset:
    """The script that puts the widget's frame into the job's pages. Raises ValueError for an id that is none."""
    if not _JOB.match(job):
        raise ValueError("not a job id")
    source = jsmin(_read("loader.js"))
    body = source.replace('"$JOB"', json.dumps(job)).replace('"$PORT"', str(int(control_port))).encode()
    version = _short_hash(body)
    return Asset(f"/.gw/l.{version}.js", body, f'"{version}"')


def tag(asset: Asset) -> bytes:
    """The element that loads it: short and ASCII, so that a `<meta charset>` stays in the first 1024 bytes.

    Not `async` or `defer`: it must mount the frame before a policy in a `<meta>` is parsed.
    """
    return f'<script src="{asset.path}"></script>'.encode("ascii")


@cache
def tree() -> Mapping[str, Asset]:
    """Everything in `static/` by address. One hash for all of it, so that modules import each other by name."""
    found = sorted(
        (one.name, one.read_bytes()) for one in files("static").iterdir() if one.name.endswith((".js", ".css"))
    )
    version = _short_hash(b"".join(name.encode() + data for name, data in found))
    assets = (_asset(version, name, _bundle(name) or data) for name, data in found)
    return {one.path: one for one in assets}


def url(name: str) -> str:
    """The address of the file `name` of `static/`. Raises KeyError if there is none."""
    for path in tree():
        if path.endswith(f"/{name}"):
            return path
    raise KeyError(name)


def _bundle(name: str) -> bytes | None:
    """A file with everything that it needs; None for one that is sent as it is.

    The modules share one scope then, so no two of them may use a name at their top level for different things; a
    browser takes nothing of a script that does.
    """
    if name not in _BUNDLES:
        return None
    text = "".join(_read(one) for top in _BUNDLES[name] for one in modules(top))
    less: str = cssmin(text) if name.endswith(".css") else jsmin(_EXPORT.sub("", _IMPORT.sub("", text)))
    return less.encode()


def modules(name: str, before: tuple[str, ...] = ()) -> tuple[str, ...]:
    """`name` after all that it imports, each once: the order in which browsers run modules."""
    for one in _IMPORT.findall(_read(name)):
        before = before if one in before else modules(one, before)
    return (*before, name)


@cache
def inline(*names: str) -> Inline:
    """These files of `static/`, one after the other, to stand inside of a page."""
    text = "\n".join(_read(name) for name in names)
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    return Inline(text, f"'sha256-{digest}'")


@cache
def words(language: str) -> Mapping[str, str]:
    """The flat catalogue of a language; what it lacks is English."""
    english = _catalogue("en")
    return english if language == "en" else {**english, **_catalogue(language)}


def _catalogue(language: str) -> dict[str, str]:
    found: dict[str, str] = json.loads((files("widget") / "catalogue" / f"{language}.json").read_text("utf-8"))
    return found


def _asset(version: str, name: str, data: bytes) -> Asset:
    return Asset(f"/static/{version}/{name}", data, f'"{version}"', _TYPES[name.rpartition(".")[2]])


def _read(name: str) -> str:
    return (files("static") / name).read_text("utf-8")
