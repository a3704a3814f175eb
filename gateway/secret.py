"""Secrets that a program makes for itself at its first start and keeps for good."""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from pathlib import Path


def secret_of(path: Path) -> bytes:
    """32 random bytes that stay the same, readable by us alone."""
    with suppress(FileNotFoundError):
        found = path.read_bytes()
        if len(found) == 32:
            return found
    made = secrets.token_bytes(32)
    draft = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    with os.fdopen(os.open(draft, os.O_CREAT | os.O_WRONLY | os.O_EXCL, 0o600), "wb") as file:
        file.write(made)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    return made
