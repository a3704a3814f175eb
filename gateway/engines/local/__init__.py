"""The engine of this machine: capsules where real moves are possible, plain processes elsewhere."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from gateway.config import Timeouts
from gateway.engines.local.capsules import Capsules
from gateway.engines.local.engine import LocalEngine
from gateway.engines.local.machine import examine
from gateway.engines.local.plain import Plain

__all__ = ["Capsules", "LocalEngine", "Plain", "local_engine"]


def local_engine(
    state: Path,
    criu_prefix: Path | None = None,
    timeouts: Timeouts | None = None,
    environ: Mapping[str, str] = os.environ,
) -> Capsules | Plain:
    """The best engine that this machine can have; its `capabilities()` say what was found and what is missing.

    Args:
        state: A folder of this engine's own: records of placements. Two engines never share one.
        criu_prefix: Where a CRIU of our own lies; None: `$FLOATGATE_CRIU`, else `~/.floatgate/criu`.
        environ: `FLOATGATE_ENGINE=plain` asks for plain processes whatever is possible.
    """
    found = examine(criu_prefix)
    if found.tools is None or environ.get("FLOATGATE_ENGINE") == "plain":
        return Plain(state, found, timeouts)
    return Capsules(state, found, found.tools, timeouts)
