"""What a browser is told that comes to this job for the first time: nothing of the port's last job may be left.

Ports are used again, and an origin is its port: a service worker that the last job's page has registered would read
and rewrite this job's pages, and so would its scripts in the cache. A cookie of ours says which job this browser has
seen last here. Without it, the document's answer has the browser forget what that origin has stored; and where a
worker answers the navigations itself, the browser's update check for its script does (Service Workers, section
4.4, `Service-Worker: script`, which goes past the worker).

Pure. Browsers have service workers, heed Clear-Site-Data and send Sec-Fetch headers for trustworthy origins only:
https and loopback. Never "cookies": these are the whole host's, and people are logged in to its other sessions.
"""

from __future__ import annotations

from collections.abc import Sequence

from .headers import RawHeaders, values

CLEAR = (b"Clear-Site-Data", b'"cache", "storage"')
_LIFE = 400 * 24 * 3600  # seconds: no browser keeps a cookie longer (RFC 6265bis, section 5.5)


def is_new(headers: Sequence[tuple[bytes, bytes]], marker: bytes) -> bool:
    """Whether these are the lines of a browser that has seen another job here last, or none, as far as one can tell."""
    return not any(marker in value for value in values(headers, b"cookie"))


def is_trustworthy(headers: Sequence[tuple[bytes, bytes]]) -> bool:
    """Whether the browser takes this origin for one where all of this is of use."""
    return bool(values(headers, b"sec-fetch-dest"))


def is_worker_script(headers: Sequence[tuple[bytes, bytes]]) -> bool:
    """Whether a browser wants the script of a service worker, be it a new one or an old one's update."""
    return values(headers, b"service-worker") == [b"script"]


def is_workers_navigation(headers: Sequence[tuple[bytes, bytes]]) -> bool:
    """Whether a service worker passes a navigation on that the browser gave to it."""
    return values(headers, b"sec-fetch-mode") == [b"navigate"] and values(headers, b"sec-fetch-dest") == [b"empty"]


def lines(marker: bytes, scheme: str) -> RawHeaders:
    """What the first document of this job says besides."""
    secure = b"; Secure" if scheme == "https" else b""
    return [CLEAR, (b"Set-Cookie", b"%b; Path=/; Max-Age=%d; HttpOnly; SameSite=Lax%b" % (marker, _LIFE, secure))]
