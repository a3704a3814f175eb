"""The house rules: who may import whom, what is pure, how long a file may be. Each ban with its reason."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("gateway", "widget", "static")


@dataclass(frozen=True)
class Ban:
    """Modules whose name begins with `of` may not be imported by files below `where`, except `but`."""

    where: str
    of: tuple[str, ...]
    reason: str
    but: tuple[str, ...] = ()


BANS = [
    Ban(
        "gateway/proxy",
        ("gateway.opcenter", "gateway.engines", "gateway.cli"),
        "the data plane knows gates and addresses, nothing of jobs' lives: it must serve without an OpCenter",
    ),
    Ban(
        "gateway/opcenter",
        ("gateway.proxy", "gateway.cli"),
        "the control plane never holds a browser's socket; the two meet in the snapshot, in gateway/types.py",
    ),
    Ban(
        "gateway/engines",
        ("gateway.opcenter", "gateway.proxy", "gateway.cli", "widget"),
        "an engine knows placements and images, not jobs: the OpCenter's store is not its to read",
    ),
    Ban("gateway/engines/local", ("gateway.engines.fake",), "engines do not know each other"),
    Ban("gateway/engines/fake.py", ("gateway.engines.local",), "engines do not know each other"),
    Ban("gateway/engines/base.py", ("gateway.engines.local", "gateway.engines.fake"), "a protocol has no favourite"),
    Ban(
        "gateway/cli",
        ("gateway.opcenter", "gateway.proxy", "gateway.engines"),
        "a command is calls of the public API, so that whatever it does a script can do",
        but=(
            "gateway/cli/up",  # up.py, up_*.py: starts the OpCenter in its own process
            "gateway/cli/opcenter.py",  # starts and stops the OpCenter's process
            "gateway/cli/doctor.py",  # asks the engine before anything is started
        ),
    ),
    Ban(
        "gateway/opcenter/console.py",
        ("gateway.opcenter.store", "gateway.opcenter.jobs", "gateway.opcenter.gateways", "gateway.engines"),
        "the console uses the public API only, in the browser: what it can do a script can do",
    ),
    Ban(
        "widget",
        ("gateway.opcenter", "gateway.engines", "gateway.cli", "gateway.proxy"),
        "the widget is a client of the public API; the gateway tells it the snapshot",
    ),
    Ban("gateway/types.py", ("gateway.",), "the words of both planes depend on neither"),
    Ban("gateway/errors.py", ("gateway.",), "the outcomes of both planes depend on neither"),
    Ban("gateway/replay.py", ("gateway.",), "the tables of applications are words of both planes"),
    Ban("gateway/config.py", ("gateway.",), "the limits of both planes depend on neither"),
]

PURE = [
    *(
        f"gateway/proxy/{one}.py"
        for one in [
            "hold",
            "hall",
            "ledger",
            "forwarded",
            "replay",
            "headers",
            "heads",
            "cookies",
            "greeting",
            "inject",
            "csp",
            "pages",
        ]
    ),
    *(f"gateway/proxy/{one}.py" for one in ["frames", "extensions", "terminal", "sse"]),
    *(f"gateway/opcenter/{one}.py" for one in ["model", "plan", "ports"]),
    *(f"gateway/cli/{one}.py" for one in ["yamltext", "jobdoc"]),
    "gateway/errors.py",
    "gateway/replay.py",
]
IMPURE = {"asyncio", "aiohttp", "socket", "subprocess", "time", "random", "logging", "os", "structlog", "secrets"}

MAX_LINES = 500
MAX_FUNCTION = 50


def _words(*pieces: str) -> str:
    """A word that this file itself may not hold."""
    return re.escape("".join(pieces))


_REGISTRIES = [
    ("py", "pi.org"),
    ("python", "hosted.org"),
    ("npm", "js.org"),
    ("npm", "js.com"),
    ("crates", ".io"),
    ("proxy.go", "lang.org"),
    ("deb.deb", "ian.org"),
    ("archive.ubu", "ntu.com"),
]
_PLACES = [rf"(?<![\w.$}}-])/{_words('wo', 'rk/')}", f"/tmp/{_words('spi', 'ke')}", f"/{_words('roo', 't/.')}"]
_PAPERS = [rf"{_words('fac', 'ts/')}\w+\.md", _words("des", "ign.md"), _words("sty", "le.md")]

FORBIDDEN = {
    "a package registry's host: pip and apt know theirs, and mirrors exist": [_words(*one) for one in _REGISTRIES],
    "a path of somebody's machine": _PLACES,
    "a document that readers of this repository do not have": _PAPERS,
}


@cache
def tracked() -> list[Path]:
    """Every file that git tracks or would track."""
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
        text=True,
    )
    return sorted({ROOT / one for one in listing.stdout.split("\0") if one and (ROOT / one).is_file()})


def text_of(path: Path) -> str:
    """Nothing for a file that is not text."""
    try:
        return path.read_text("utf-8")
    except UnicodeDecodeError:
        return ""


def sources() -> list[Path]:
    return [one for one in tracked() if one.suffix == ".py"]


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"))


def imports_of(path: Path) -> Iterator[tuple[int, str]]:
    """(line, module) of each import, those for type checkers too; `from a import b` counts as `a` and `a.b`."""
    package = path.relative_to(ROOT).with_suffix("").parts[:-1]
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, one.name) for one in node.names)
        elif isinstance(node, ast.ImportFrom):
            start = package[: len(package) - node.level + 1] if node.level else ()
            base = ".".join((*start, *([node.module] if node.module else [])))
            yield node.lineno, base
            yield from ((node.lineno, f"{base}.{one.name}") for one in node.names)


def is_below(name: str, folder: str) -> bool:
    return name == folder or name.startswith(folder.removesuffix(".py") + ("/" if not folder.endswith(".py") else "\0"))


@pytest.mark.parametrize("ban", BANS, ids=lambda ban: f"{ban.where} -/-> {','.join(ban.of)}")
def test_arrows(ban: Ban) -> None:
    found = [
        f"{name_of(path)}:{line} imports {module}"
        for path in sources()
        if is_below(name_of(path), ban.where) and not name_of(path).startswith(ban.but or ("\0",))
        for line, module in imports_of(path)
        if any(module == one.removesuffix(".") or module.startswith(one.removesuffix(".") + ".") for one in ban.of)
    ]
    assert not found, f"{ban.reason}:\n" + "\n".join(found)


@pytest.mark.parametrize("name", PURE)
def test_pure_files_decide_without_a_clock_a_socket_or_a_logger(name: str) -> None:
    path = ROOT / name
    assert path.exists(), "a file that the house promises"
    found = [f"line {line}: {module}" for line, module in imports_of(path) if module.split(".")[0] in IMPURE]
    assert not found, f"{name} decides; shells act. Pass time and chance in as arguments:\n" + "\n".join(found)


def test_files_are_short_enough_to_be_read_at_once() -> None:
    code = [one for one in tracked() if one.suffix in (".py", ".js", ".css", ".html", ".sh")]
    lengths = {name_of(one): len(one.read_text("utf-8").splitlines()) for one in code}
    assert not {name: lines for name, lines in lengths.items() if lines >= MAX_LINES}


def test_functions_are_short_enough_to_be_understood_at_once() -> None:
    found = [
        f"{name_of(path)}:{node.lineno} {node.name} has {node.end_lineno - node.lineno + 1} lines"
        for path in sources()
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.end_lineno is not None
        and node.end_lineno - node.lineno + 1 > MAX_FUNCTION
    ]
    assert not found, "\n".join(found)


@pytest.mark.parametrize("reason", FORBIDDEN)
def test_no_file_names(reason: str) -> None:
    pattern = re.compile("|".join(FORBIDDEN[reason]))
    found = [
        f"{name_of(path)}:{number}: {line.strip()[:100]}"
        for path in tracked()
        for number, line in enumerate(text_of(path).splitlines(), 1)
        if pattern.search(line)
    ]
    assert not found, f"{reason}:\n" + "\n".join(found)


def test_every_module_and_public_name_says_what_it_is() -> None:
    """In the product's packages; tests speak by their names."""
    found = []
    for path in sources():
        if not name_of(path).startswith(PACKAGES) or path.name == "__init__.py":
            continue
        if ast.get_docstring(tree_of(path)) is None:
            found.append(f"{name_of(path)}: the module")
        for node in tree_of(path).body:
            public = isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and node.name[0] != "_"
            if public and ast.get_docstring(node) is None:  # type: ignore[arg-type]
                found.append(f"{name_of(path)}:{node.lineno} {node.name}")  # type: ignore[attr-defined]
    assert not found, "no docstring:\n" + "\n".join(found)
