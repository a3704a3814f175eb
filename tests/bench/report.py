"""The results as Markdown tables, and their place in docs/performance.md."""

from __future__ import annotations

import datetime
import importlib.metadata
import platform
import subprocess
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from .machine import description
from .peers import PEERS
from .rounds import Results
from .targets import OURS, TARGETS, ratio

ROOT = Path(__file__).parent.parent.parent
PAGE = ROOT / "docs" / "performance.md"
BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"
LIBRARIES = ("aiohttp", "uvloop", "httptools")

# Heading, measure, figure
Column = tuple[str, str, str]
HTTP: list[Column] = [
    ("1 KiB req/s", "small", "per_second"), ("CPU µs", "small", "cpu_us"),
    ("each head new req/s", "new", "per_second"), ("CPU µs", "new", "cpu_us"),
    ("100 KiB req/s", "hundred", "per_second"), ("CPU µs", "hundred", "cpu_us"),
    ("100 MiB down MB/s", "down", "mb_s"), ("CPU ms", "down", "cpu_ms"),
    ("100 MiB up MB/s", "up", "mb_s"), ("CPU ms", "up", "cpu_ms"),
    ("latency p50 µs", "latency", "p50_us"), ("p99 µs", "latency", "p99_us"),
]  # fmt: skip
WEBSOCKET: list[Column] = [
    ("64 B echoes/s", "ws64", "per_second"), ("CPU µs", "ws64", "cpu_us"),
    ("64 KiB MB/s", "ws64k", "mb_s"), ("CPU µs", "ws64k", "cpu_us"),
    ("idle KiB", "idle", "kib"),
]  # fmt: skip
INJECTION: list[Column] = [
    ("plain req/s", "page", "plain"), ("CPU µs", "page", "plain_cpu_us"),
    ("with tag req/s", "page", "tagged"), ("CPU µs", "page", "tagged_cpu_us"),
]  # fmt: skip
OWN: list[Column] = [
    ("first of 1,000 held, s", "release", "first_s"), ("last, s", "release", "last_s"),
    ("one worker req/s", "workers", "per_second_1"), ("CPU µs", "workers", "cpu_us_1"),
    ("two workers req/s", "workers", "per_second_2"), ("CPU µs", "workers", "cpu_us_2"),
]  # fmt: skip
RATIOS: list[Column] = [
    ("1 KiB req/s", "small", "per_second"), ("its CPU", "small", "cpu_us"),
    ("each head new", "new", "per_second"),
    ("100 KiB req/s", "hundred", "per_second"), ("100 MiB down", "down", "mb_s"), ("up", "up", "mb_s"),
    ("64 B echoes/s", "ws64", "per_second"), ("its CPU", "ws64", "cpu_us"), ("64 KiB echoes/s", "ws64k", "per_second"),
]  # fmt: skip


def markdown(results: Results, how: str) -> str:
    """All tables. `how`: rounds and lengths, one sentence."""
    parts = [
        _where(results, how),
        "### Targets\n\n" + targets(results),
        _section("HTTP", results, HTTP),
        _section("WebSocket", results, WEBSOCKET),
        _section("A 30 KiB page, plain and with a script tag", results, INJECTION),
        _section("Held requests, workers", results, OWN),
        _ratios("floatgate's figure, by the peer's", results),
        _trouble(results),
    ]
    return "\n\n".join(part for part in parts if part)


def targets(results: Results) -> str:
    """What should be reached and what was."""
    return table(["target", "bound", "reached", "", "by CPU time"], (one.row(results) for one in TARGETS))


def write(text: str, page: Path = PAGE) -> None:
    """Put it between the page's markers. Raises ValueError when they are not there."""
    before, begin, rest = page.read_text().partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{page} has no markers {BEGIN} and {END}")
    page.write_text(f"{before}{begin}\n\n{text}\n\n{end}{after}")


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table, numbers to the right."""
    rule = ["---", *(["---:"] * (len(heads) - 1))]
    return "\n".join("| " + " | ".join(row) + " |" for row in [heads, rule, *rows])


def number(value: float | None) -> str:
    """Three digits that count; nothing for None."""
    if value is None:
        return ""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def _where(results: Results, how: str) -> str:
    versions = [f"{peer} {version}" for peer, version in results.versions.items() if version]
    own = [f"Python {platform.python_version()}", *(f"{one} {importlib.metadata.version(one)}" for one in LIBRARIES)]
    return "\n".join(
        [
            f"- {datetime.date.today().isoformat()}, {description()}",
            f"- floatgate at {_commit()}: {', '.join(own)}",
            f"- {', '.join(dict.fromkeys(versions))}",
            f"- {how}",
        ]
    )


def _commit() -> str:
    command = ["git", "-C", str(ROOT), "describe", "--always", "--dirty", "--tags"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return "an unknown commit"
    return done.stdout.strip() or "an unknown commit"


def _section(title: str, results: Results, columns: Sequence[Column]) -> str:
    return _table_of(title, columns, lambda name, measure, figure: results.get(measure, name, figure), results)


def _ratios(title: str, results: Results) -> str:
    def value(name: str, measure: str, figure: str) -> float | None:
        return None if name in (OURS, "direct") else ratio(measure, figure, name)(results)

    return _table_of(title, RATIOS, value, results)


def _table_of(
    title: str, columns: Sequence[Column], value: Callable[[str, str, str], float | None], results: Results
) -> str:
    """A section; nothing when no proxy has a figure for it."""
    rows = []
    for peer in PEERS:
        values = [value(peer.name, measure, figure) for _, measure, figure in columns]
        if any(one is not None for one in values):
            rows.append([peer.name, *map(number, values)])
    return f"### {title}\n\n{table(['', *(head for head, _, _ in columns)], rows)}" if rows else ""


def _trouble(results: Results) -> str:
    lines = [f"- {peer} is missing: {why}" for peer, why in results.missing.items()]
    for measure, cells in results.cells.items():
        lines += [f"- {measure}, {peer}: {cell.wrong()}" for peer, cell in cells.items() if cell.wrong()]
    return "### Missing, and wrong answers\n\n" + ("\n".join(lines) or "- None.")
