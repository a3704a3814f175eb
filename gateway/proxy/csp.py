"""The smallest amendment of a page's Content-Security-Policy that lets the loader and its frame in.

Pure; sections are of https://www.w3.org/TR/CSP3/. Policies come in many header lines and many in one line, between
commas; all of them hold, so each is amended, report-only ones too (else the app's operators get reports about us).
What needs nothing keeps its bytes. What is added is one exact script URL, one origin for frames, or a nonce; never
a nonce to a list that lives by 'unsafe-inline', which that would switch off (§6.7.3.2).

No connect-src or style-src is touched: the frame does the network, and the loader styles through the CSSOM.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import SplitResult, unquote, urlsplit

from .headers import RawHeaders, without

_ENFORCED = b"content-security-policy"
_REPORT_ONLY = b"content-security-policy-report-only"
_SCRIPT = (b"script-src-elem", b"script-src", b"default-src")  # the first found decides, §6.8.3
_FRAME = (b"frame-src", b"child-src", b"default-src")
_NONCE = re.compile(rb"'nonce-([A-Za-z0-9+/_-]{1,128}={0,2})'", re.IGNORECASE)  # longer: inject.MAX_TAG
_SCHEME_SOURCE = re.compile(r"([a-z][a-z0-9+.-]*):", re.IGNORECASE)
_HOST_SOURCE = re.compile(
    r"(?:(?P<scheme>[a-z][a-z0-9+.-]*)://)?(?P<host>\*|(?:\*\.)?[a-z0-9_-]+(?:\.[a-z0-9_-]+)*)"
    r"(?::(?P<port>[0-9]{1,5}|\*))?(?P<path>/[^?#]*)?",
    re.IGNORECASE,
)
_DEFAULT_PORT = {"http": "80", "https": "443"}


@dataclass(frozen=True, slots=True)
class Amended:
    """All the header lines, and the nonce that the tag must carry; b"" if none."""

    headers: RawHeaders
    nonce: bytes


@dataclass(frozen=True, slots=True)
class DoNotInject:
    """The page must stay as it came. `why` is for the log."""

    why: str


class _CannotAmend(Exception):
    """This policy has no room for us; never leaves this file."""


@dataclass(frozen=True, slots=True)
class _Wish:
    loader: str
    frame: str
    page: str
    nonce: bytes  # of the tag
    ours: bytes  # the same if it is none of the page's, and may be added to a list


def amend(
    headers: Sequence[tuple[bytes, bytes]],
    *,
    loader_url: str,
    control_origin: str,
    app_origin: str,
    fresh_nonce: bytes = b"",
) -> Amended | DoNotInject:
    """Let `loader_url` run and `control_origin` be framed in a page of `app_origin`.

    Absolute URLs, as the browser sees them. `fresh_nonce`: one that nobody can guess, for a page that trusts some
    scripts by hash and what those load ('strict-dynamic'); such a page is not injected without.
    """
    enforced = [one for name, value in headers if name.lower() == _ENFORCED for one in value.split(b",")]
    reported = [one for name, value in headers if name.lower() == _REPORT_ONLY for one in value.split(b",")]
    if any(b"sandbox" in _directives(policy) for policy in enforced):  # ignored in the other, §6.3.1
        return DoNotInject("sandboxed")
    scripts = [sources for policy in enforced if (sources := _effective(policy, _SCRIPT)) is not None]
    strict = [sources for sources in scripts if _is_strict(sources)]
    others = [sources for policy in reported if (sources := _effective(policy, _SCRIPT)) is not None]
    nonce = _most_named(strict) if strict else _most_named(scripts) or _most_named(others)
    ours = fresh_nonce if strict and not nonce else b""
    wish = _Wish(loader_url, control_origin, app_origin, nonce or ours, ours)
    try:
        out = [(name, _line(name.lower(), value, wish)) for name, value in headers]
    except _CannotAmend as error:
        return DoNotInject(str(error))
    # A 304 would leave the stored page with the nonce of today under the policy of tomorrow.
    return Amended(without(out, b"etag", b"last-modified") if ours else out, wish.nonce)


def _line(name: bytes, value: bytes, wish: _Wish) -> bytes:
    if name == _ENFORCED:
        return b",".join(_with_frame(_with_script(one, wish), wish) for one in value.split(b","))
    if name == _REPORT_ONLY:
        return b",".join(_tried(one, wish) for one in value.split(b","))
    return value


def _tried(policy: bytes, wish: _Wish) -> bytes:
    """A policy that only reports: one that has no room for us stays as it is, and reports us."""
    try:
        return _with_frame(_with_script(policy, wish), wish)
    except _CannotAmend:
        return policy


def _with_script(policy: bytes, wish: _Wish) -> bytes:
    sources = _effective(policy, _SCRIPT)
    if sources is None or (wish.nonce and wish.nonce in _nonces(sources)):
        return policy
    if not _is_strict(sources):
        if _cover(sources, wish.loader, wish.page):
            return policy
        return _set(policy, b"script-src-elem", sources, _nameable(wish.loader))
    if not wish.ours:
        raise _CannotAmend("its policies ask for a nonce that the tag cannot have")
    return _set(policy, b"script-src-elem", sources, b"'nonce-%b'" % wish.ours)


def _with_frame(policy: bytes, wish: _Wish) -> bytes:
    sources = _effective(policy, _FRAME)
    if sources is None or _cover(sources, wish.frame, wish.page):
        return policy
    return _set(policy, b"frame-src", sources, _nameable(wish.frame))


def _nameable(url: str) -> bytes:
    if "[" in url:  # w3c/webappsec-csp issue 224: browsers skip such a source
        raise _CannotAmend("an IPv6 address cannot be named in a policy")
    return url.encode("ascii")


# Policies as text, §2.2.1: directives between semicolons, of two with one name the first.


def _directives(policy: bytes) -> dict[bytes, list[bytes]]:
    found: dict[bytes, list[bytes]] = {}
    for directive in policy.split(b";"):
        name, *sources = directive.split() or [b""]
        found.setdefault(name.lower(), sources)
    return found


def _effective(policy: bytes, names: tuple[bytes, ...]) -> list[bytes] | None:
    """The source list that decides; None: the policy does not care."""
    found = _directives(policy)
    return next((found[name] for name in names if name in found), None)


def _set(policy: bytes, name: bytes, sources: list[bytes], added: bytes) -> bytes:
    """The policy with a directive of these sources and one more; without 'none', which would have to stand alone."""
    kept = [one for one in sources if one.lower() != b"'none'"]
    made = b" ".join([name, *kept, added])
    parts = policy.split(b";")
    for index, part in enumerate(parts):
        if part.split()[:1] and part.split()[0].lower() == name:
            parts[index] = b" " * (index > 0 or part[:1] == b" ") + made
            return b";".join(parts)
    return policy.rstrip(b"; \t") + b"; " + made


# Source lists


def _is_strict(sources: list[bytes]) -> bool:
    """Only nonces and hashes count, URLs do not (§8.2)."""
    return any(one.lower() == b"'strict-dynamic'" for one in sources)


def _nonces(sources: list[bytes]) -> list[bytes]:
    return [found[1] for one in sources if (found := _NONCE.fullmatch(one))]


def _most_named(lists: list[list[bytes]]) -> bytes:
    """The nonce that most of these lists name; b"" if none names one."""
    named = [nonce for sources in lists for nonce in _nonces(sources)]
    return max(named, key=named.count, default=b"")


def _cover(sources: list[bytes], url: str, page: str) -> bool:
    """Whether a list lets a URL in by its address, §6.7.2.7. In doubt no: one source too many does no harm."""
    return any(_matches(one.decode("latin-1"), urlsplit(url), urlsplit(page)) for one in sources)


def _matches(source: str, url: SplitResult, page: SplitResult) -> bool:
    if source == "*":
        return url.scheme in _DEFAULT_PORT
    if source.lower() == "'self'":
        return (url.scheme, url.netloc) == (page.scheme, page.netloc)
    if scheme := _SCHEME_SOURCE.fullmatch(source):
        return _scheme_matches(scheme[1], url)
    found = _HOST_SOURCE.fullmatch(source)
    return (
        found is not None
        and _scheme_matches(found["scheme"] or page.scheme, url)
        and _host_matches(found["host"].lower(), url.hostname or "")
        and _port_matches(found["port"] or _DEFAULT_PORT.get(url.scheme, ""), url)
        and _path_matches(found["path"] or "/", url.path)
    )


def _scheme_matches(scheme: str, url: SplitResult) -> bool:
    """§6.7.2.9: what is good enough by http is good by https."""
    return scheme.lower() == url.scheme or (scheme.lower() == "http" and url.scheme == "https")


def _host_matches(host: str, name: str) -> bool:
    return host in ("*", name) or (host.startswith("*.") and name.endswith(host[1:]))


def _port_matches(port: str, url: SplitResult) -> bool:
    return port in ("*", str(url.port or _DEFAULT_PORT.get(url.scheme)))


def _path_matches(path: str, wanted: str) -> bool:
    """§6.7.2.12: a path that ends with a slash is the beginning of what it allows."""
    known = unquote(path)
    return (wanted or "/").startswith(known) if known.endswith("/") else wanted == known
