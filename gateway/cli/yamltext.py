"""YAML as the original `float` prints it (pure): users' scripts read it with grep and awk.

Four spaces a level, sequences indented below their key, and inside of a sequence's item only the two columns of
`- ` (go-yaml's rule: the next level is the next multiple of four). Strings that would load as something else are in
double quotes; times are plain.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

_STEP = 4


def to_yaml(doc: Any) -> str:
    """The document as text, with a newline at its end."""
    if isinstance(doc, Mapping) and doc:
        lines = _mapping(doc, 0)
    elif _is_list(doc) and doc:
        lines = _sequence(doc, 0)
    else:
        lines = iter([_scalar(doc)])
    return "".join(f"{line}\n" for line in lines)


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str)


def _next(indent: int) -> int:
    return _STEP * ((indent + _STEP) // _STEP)


def _mapping(doc: Mapping[str, Any], indent: int) -> Iterator[str]:
    for key, value in doc.items():
        head = f"{' ' * indent}{_scalar(str(key))}:"
        if isinstance(value, Mapping) and value:
            yield head
            yield from _mapping(value, _next(indent))
        elif _is_list(value) and value:
            yield head
            yield from _sequence(value, _next(indent))
        else:
            yield f"{head} {_scalar(value)}"


def _sequence(items: Sequence[Any], indent: int) -> Iterator[str]:
    for item in items:
        dash = f"{' ' * indent}- "
        if isinstance(item, Mapping) and item:
            first, *rest = _mapping(item, indent + 2)
            yield dash + first.lstrip(" ")
            yield from rest
        else:
            yield dash + _scalar(item)


def _scalar(value: Any) -> str:
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    if isinstance(value, str):
        return value if _is_plain(value) else _escaped(json.dumps(value, ensure_ascii=False))
    return _escaped(json.dumps(value, ensure_ascii=False))  # null, true, numbers, []: the same words in YAML


def _escaped(text: str) -> str:
    """JSON's quoted text as YAML's: what cannot be printed has no place in it as it is (YAML 1.1, 5.1)."""
    return "".join(mark if mark.isprintable() else _escape(ord(mark)) for mark in text)


def _escape(code: int) -> str:
    return f"\\u{code:04x}" if code < 1 << 16 else f"\\U{code:08x}"


def _is_plain(text: str) -> bool:
    """May this string stand without quotes?"""
    if not text or text != text.strip() or not text.isprintable():
        return False
    import yaml  # only what is printed as YAML pays for it

    try:
        return bool(yaml.safe_load(text) == text)
    except (yaml.YAMLError, ValueError):  # ValueError: looks like a date, but is none
        return False
