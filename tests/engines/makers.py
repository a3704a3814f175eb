"""Engines of this machine, as `local_engine` makes them; light, for the processes that a test kills read this first."""

from __future__ import annotations

from pathlib import Path

from gateway.engines.local import Capsules, Plain, machine

FOUND = machine.examine()


def plain(state: Path) -> Plain:
    """A plain engine, whatever this machine could do."""
    return Plain(state, FOUND)


def capsules(state: Path) -> Capsules:
    """A capsule engine, where it is possible."""
    assert FOUND.tools is not None
    return Capsules(state, FOUND, FOUND.tools)
