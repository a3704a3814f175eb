"""What a test needs of the machine is said by its markers; what is not there is skipped by name, with the reason."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cache
from shutil import which

import pytest
from hypothesis import settings

# A property is true however slow the machine is at the moment.
settings.register_profile("floatgate", deadline=None)
settings.load_profile("floatgate")

# No test speaks TLS to the world, and each process that imports aiohttp reads every certificate authority: 0.1 s each.
os.environ.setdefault("SSL_CERT_FILE", os.devnull)


@cache
def _no_browser() -> str:
    found = any(which(one) for one in ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable"))
    return "" if found else "no Chromium on this machine"


@cache
def _no_root() -> str:
    return "" if os.geteuid() == 0 else "needs root for network namespaces"


@cache
def _no_criu() -> str:
    from gateway.engines.local.machine import examine

    found = examine()
    return "" if found.tools is not None else f"no capsules, missing: {', '.join(one.what for one in found.missing)}"


_NEEDS: dict[str, Callable[[], str]] = {"browser": _no_browser, "root": _no_root, "criu": _no_criu}


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip what this machine cannot run. In CI .ci/skips.py fails the run if the machine could have."""
    for marker, lack in _NEEDS.items():
        if item.get_closest_marker(marker) is not None and (reason := lack()):
            pytest.skip(reason)
