"""Before anything is measured: does the proxy answer, and are these the bytes that the backend has?"""

from __future__ import annotations

import http.client
import time
import urllib.error
import urllib.request
from collections.abc import Mapping

from .backends import DOCUMENTS, MIB
from .peer import Proxy
from .processes import START, STEP, BenchFailed

_DEADLINE = 30.0  # seconds for one document


def until_ready(base: str) -> None:
    """Wait for a first right answer: a port may accept before anybody serves it. Raises BenchFailed."""
    deadline = time.monotonic() + START
    while True:
        try:
            fetch(base + "/1k")
            return
        except BenchFailed:
            if time.monotonic() > deadline:
                raise
            time.sleep(STEP)


def verify(direct: Proxy, proxy: Proxy) -> None:
    """Compare the smaller documents with the backend's own. Raises BenchFailed with what is different."""
    for path, size in DOCUMENTS.items():
        if size < MIB and fetch(proxy.documents + path) != fetch(direct.documents + path):
            raise BenchFailed(f"{path} is not what the backend sent")


def fetch(url: str, headers: Mapping[str, str] | None = None) -> bytes:
    """The body of a 200. Raises BenchFailed for anything else."""
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=dict(headers or {})), timeout=_DEADLINE) as got:
            body: bytes = got.read()
            if got.status != 200:
                raise BenchFailed(f"{url} was answered {got.status}")
            return body
    except urllib.error.HTTPError as error:
        raise BenchFailed(f"{url} was answered {error.code}") from error
    except (OSError, http.client.HTTPException) as error:
        raise BenchFailed(f"{url} was not answered: {error}") from error
