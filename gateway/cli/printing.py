"""What a command prints: table, yaml or json on stdout, for people and scripts alike; all else goes to stderr."""

from __future__ import annotations

import enum
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import click

from .yamltext import to_yaml

Doc = Mapping[str, Any]


class Format(enum.StrEnum):
    """`-F`."""

    JSON = "json"
    YAML = "yaml"
    TABLE = "table"


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its head and what stands in it for one document."""

    head: str
    cell: Callable[[Doc], object]


def table(columns: Sequence[Column], docs: Sequence[Doc]) -> str:
    """A plain ASCII box. Heads are centred, cells start at the left, so `awk '{print $2}'` is the first column."""
    rows = [[_cell(column.cell(doc)) for column in columns] for doc in docs]
    widths = [max(map(len, cells)) for cells in zip(*([[one.head for one in columns], *rows]), strict=True)]
    rule = "+" + "+".join("-" * (width + 2) for width in widths) + "+"
    head = "".join(f"| {one.head:^{width}} " for one, width in zip(columns, widths, strict=True)) + "|"
    lines = ["".join(f"| {cell:<{width}} " for cell, width in zip(row, widths, strict=True)) + "|" for row in rows]
    return "\n".join([rule, head, rule, *lines, *([rule] if lines else [])]) + "\n"


def _cell(value: object) -> str:
    text = "" if value is None else str(value)
    return "".join(mark if mark.isprintable() else " " for mark in text)


def write(text: str) -> None:
    """To stdout, as it is."""
    click.echo(text, nl=False)


def say(sentence: str) -> None:
    """One line on stdout: the answer of a command that has no document."""
    click.echo(sentence)


def note(sentence: str) -> None:
    """One line for the person at the terminal; on stderr, so that stdout stays clean for scripts."""
    click.echo(sentence, err=True)


def write_doc(doc: Any, style: Format) -> None:
    """One document: json or yaml; as a table, its fields below each other."""
    match style:
        case Format.JSON:
            write(json.dumps(doc, indent=2, ensure_ascii=False, default=str) + "\n")
        case Format.YAML:
            write(to_yaml(doc))
        case Format.TABLE:
            fields = [Column("FIELD", lambda one: one["field"]), Column("VALUE", lambda one: one["value"])]
            write(table(fields, [{"field": key, "value": _flat(value)} for key, value in doc.items()]))


def write_list(docs: Sequence[Doc], columns: Sequence[Column], style: Format, nothing: str) -> None:
    """A list of documents; `nothing` is what people read instead of an empty one. JSON stays JSON."""
    if not docs and style is not Format.JSON:
        say(nothing)
    elif style is Format.TABLE:
        write(table(columns, docs))
    else:
        write_doc(docs, style)


def _flat(value: Any) -> object:
    """A field's value on one line of a table."""
    if isinstance(value, Mapping):
        return ", ".join(f"{key}: {_flat(one)}" for key, one in value.items())
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(str(_flat(one)) for one in value)
    return value
