"""The documents say what is so: generated pages are current, links lead somewhere, commands exist.

`python -m tests.test_docs` writes the generated page again.
"""

from __future__ import annotations

import ast
import itertools
import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from gateway.cli.app import root
from gateway.cli.framework import Group

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs/timeouts.md"
TABLES = [
    ("Time-outs", "gateway/config.py", "Timeouts", "Seconds."),
    ("Limits", "gateway/config.py", "Limits", "Counts and bytes."),
    ("The OpCenter's own", "gateway/opcenter/policy.py", "Policy", "Seconds, counts and bytes."),
]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])


def timeouts_page() -> str:
    """docs/timeouts.md, made from the fields and docstrings of the classes that hold every limit."""
    parts = ["# Time-outs and limits\n\nMade from the code by `python -m tests.test_docs`: do not edit.\n"]
    for title, file, name, unit in TABLES:
        parts.append(f"\n## {title}\n\n{unit} `{name}` in `{file}`.\n\n| name | default | meaning |\n|---|---|---|\n")
        parts += [f"| `{field}` | {value} | {text} |\n" for field, value, text in fields(ROOT / file, name)]
    return "".join(parts)


def fields(path: Path, name: str) -> Iterator[tuple[str, str, str]]:
    """(field, default, docstring) of a class."""
    classes = {one.name: one for one in ast.parse(path.read_text("utf-8")).body if isinstance(one, ast.ClassDef)}
    for line, after in itertools.pairwise(classes[name].body):
        if not isinstance(line, ast.AnnAssign) or line.value is None or not isinstance(line.target, ast.Name):
            continue
        assert isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant), f"no words: {line.target.id}"
        text = " ".join(str(after.value.value).split())
        yield line.target.id, _number(eval(ast.unparse(line.value), {}), text), text.replace("|", "\\|")


def _number(value: float, text: str) -> str:
    """Bytes by their power of two; everything else as it is."""
    for power, unit in ((30, "GiB"), (20, "MiB"), (10, "KiB")) if text.startswith("Bytes") else ():
        if int(value) % (1 << power) == 0:
            return f"{int(value) >> power} {unit}"
    return f"{value:.10g}"


def test_the_page_of_timeouts_is_current() -> None:
    assert PAGE.read_text("utf-8") == timeouts_page(), "run: python -m tests.test_docs"


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(path: Path) -> None:
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)", path.read_text("utf-8"))
    assert not [one for one in links if not (path.parent / one).exists()]


@pytest.mark.parametrize("path", [ROOT / "README.md", ROOT / "docs/architecture.md"], ids=lambda path: path.name)
def test_files_that_are_named_exist(path: Path) -> None:
    named = set(re.findall(r"`((?:gateway|widget|static|tests|docs)/[\w./]+)`", path.read_text("utf-8")))
    assert not sorted(one for one in named if not (ROOT / one).exists())


def command_lines() -> list[tuple[str, str]]:
    """(document, command line) of each `float …` in a code block or between backticks."""
    found = []
    for path in DOCUMENTS:
        text = path.read_text("utf-8")
        blocks = re.findall(r"^```(?:sh|console)?\n(.*?)^```", text, re.M | re.S)
        lines = [line.strip() for block in blocks for line in block.splitlines()]
        lines += re.findall(r"`(float [^`]+)`", text)
        found += [(path.name, line) for line in lines if line.startswith("float ")]
    return found


def test_commands_that_are_named_exist() -> None:
    wrong = [f"{document}: {line}" for document, line in command_lines() if not exists(line)]
    assert command_lines() and not wrong


def exists(line: str) -> bool:
    """Does each word lead to a command, and each option belong to the last one?"""
    command: click.Command = root
    words = line.split("#")[0].split()[1:]
    while words and isinstance(command, Group) and not words[0].startswith("-"):
        found = command.get_command(click.Context(command), words.pop(0))
        if found is None:
            return False
        command = found
    options = {name for parameter in command.params for name in parameter.opts}
    return all(word in (*options, "-h", "--help") for word in words if re.fullmatch(r"--?[A-Za-z][\w-]*", word))


@pytest.mark.parametrize("target", ["run", "test", "check", "bench", "clean"])
def test_make_has_the_targets_that_are_promised(target: str) -> None:
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text("utf-8"), re.M)


if __name__ == "__main__":
    PAGE.write_text(timeouts_page(), "utf-8")
