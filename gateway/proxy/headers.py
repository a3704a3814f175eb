"""Header policy: what goes on to the job, what comes back to the browser. One home, each rule with its reason.

Pure. Names and values pass as the bytes that came, in their order; rules only remove lines, add lines at the end
or rewrite cookies. What a client lists in `Connection` is removed before our own lines are added, so that nobody
can strip those (RFC 9110 §7.6.1).
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass

from . import cookies

RawHeaders = list[tuple[bytes, bytes]]

# RFC 9110 §7.6.1: about one connection only. `TE` goes as well: trailers pass anyway.
_HOP_BY_HOP = frozenset(
    b"connection keep-alive proxy-connection te trailer transfer-encoding upgrade proxy-authenticate "
    b"proxy-authorization".split()
)
# A client may not say these: they are set here, or a server behind would believe them.
_OURS = frozenset(
    b"forwarded x-forwarded-for x-forwarded-proto x-forwarded-host x-forwarded-port x-forwarded-server "
    b"x-forwarded-prefix x-forwarded-scheme x-real-ip x-rstudio-request x-rstudio-root-path x-rstudio-proto "
    b"x-scheme x-original-url x-rewrite-url".split()
)
# `Expect` is answered here (RFC 9110 §10.1.1); `Proxy` becomes HTTP_PROXY in CGI programs; h2c never passes.
_NEVER = frozenset(b"expect proxy http2-settings".split())

_NO_TRAILERS = _HOP_BY_HOP | frozenset(
    b"content-length content-encoding content-type content-range host authorization set-cookie cookie cache-control "
    b"expires location vary strict-transport-security".split()
)

# RFC 9110 §6.5.1: behind a body nothing may say whether and how the request is done, nor anything that is policy here.
_NO_REQUEST_TRAILERS = (_NO_TRAILERS | _NEVER | _OURS) | frozenset(
    b"accept accept-charset accept-encoding accept-language content-language content-location date from if-match "
    b"if-modified-since if-none-match if-range if-unmodified-since max-forwards origin pragma range referer user-agent "
    b"via x-csrftoken x-csrf-token x-http-method-override x-requested-with x-xsrftoken x-xsrf-token".split()
)

FORBIDDEN_IN_VALUE = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")  # RFC 9110 §5.5
_HOST = re.compile(rb"(?:[A-Za-z0-9](?:[A-Za-z0-9._-]*)|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?")
_LARGEST_PORT = 65535
_TARGET = re.compile(rb"/[\x21-\x22\x24-\x7e\x80-\xff]*")  # origin-form, no fragment (RFC 9112 §3.2.1)


@dataclass(frozen=True, slots=True)
class Visit:
    """Who asks, and through which door: what the added lines say."""

    client: str  # IP
    scheme: str  # "http" or "https"
    host: bytes  # the Host header as it came
    cookie_prefix: str


def _connection_listed(headers: Sequence[tuple[bytes, bytes]]) -> set[bytes]:
    """Names that `Connection` makes hop-by-hop."""
    values = [value for name, value in headers if name.lower() == b"connection"]
    return {token.strip().lower() for value in values for token in value.split(b",")}


def _is_ours(name: bytes) -> bool:
    """Ours, or a twin that a CGI-like server cannot tell from ours (`X_Forwarded_For`)."""
    return name.replace(b"_", b"-") in _OURS


def for_job(headers: Sequence[tuple[bytes, bytes]], target: bytes, visit: Visit, *, upgrade: bool) -> RawHeaders:
    """The lines that go to the job. `upgrade`: this is a WebSocket handshake, which keeps its upgrade."""
    dropped = _HOP_BY_HOP | _NEVER | _connection_listed(headers)
    out: RawHeaders = []
    for name, value in headers:
        key = name.lower()
        if key in dropped - {b"host", b"cookie", b"content-length"} or _is_ours(key):
            continue
        if key == b"cookie":
            kept = cookies.incoming(value, visit.cookie_prefix)
            if kept:
                out.append((name, kept))
            continue
        out.append((name, value))
    out += _added(target, visit)
    if upgrade:
        out += [(b"Connection", b"Upgrade"), (b"Upgrade", b"websocket")]
    return out


def added_before_target(visit: Visit) -> bytes:
    """Our own lines as bytes, up to where the target follows: the same for all requests of a visit."""
    return _lines(_added(b"", visit)).removesuffix(b"\r\n")


def before_target(lines: RawHeaders, visit: Visit) -> bytes:
    """A request's lines as bytes, after policy, up to where the target follows."""
    out = for_job(lines, b"", visit, upgrade=False)
    return b"\r\n" + _lines(out).removesuffix(b"\r\n")


def _added(target: bytes, visit: Visit) -> RawHeaders:
    scheme = visit.scheme.encode()
    return [
        (b"X-Forwarded-For", visit.client.encode()),
        (b"X-Forwarded-Proto", scheme),
        (b"X-Forwarded-Host", visit.host),
        (b"X-RStudio-Request", scheme + b"://" + visit.host + target),  # RStudio builds its redirects from it
    ]


def for_browser(headers: Sequence[tuple[bytes, bytes]], visit: Visit) -> RawHeaders:
    """The lines that go to the browser, without framing, which the exchange adds."""
    dropped = _HOP_BY_HOP | _connection_listed(headers)
    out: RawHeaders = []
    for name, value in headers:
        key = name.lower()
        if key in dropped - {b"set-cookie", b"content-type"}:
            continue
        if key == b"strict-transport-security" and visit.scheme == "http":
            continue  # RFC 6797 §7.2: it would hold for every port of this host, theirs and ours
        if key == b"set-cookie":
            out += _set_cookie(name, value, visit.cookie_prefix)
            continue
        out.append((name, value))
    return out


def trailers(lines: Sequence[tuple[bytes, bytes]]) -> RawHeaders:
    """What may follow a body: nothing that says how to read the message, or who may (RFC 9110 §6.5.1)."""
    return [line for line in lines if line[0].lower() not in _NO_TRAILERS]


def request_trailers(lines: Sequence[tuple[bytes, bytes]]) -> bytes:
    """What may follow a request's body, as bytes. A CGI-like server takes `_` for `-`."""
    return _lines([line for line in lines if line[0].lower().replace(b"_", b"-") not in _NO_REQUEST_TRAILERS])


def _set_cookie(name: bytes, value: bytes, prefix: str) -> RawHeaders:
    """The cookie under its own name here, and a second line where a deletion must reach the renamed one too."""
    also = cookies.clearing(value, prefix)
    return [(name, cookies.outgoing(value, prefix))] + ([(name, also)] if also else [])


def request_head(method: bytes, target: bytes, headers: RawHeaders) -> bytes:
    """Bytes of a request head."""
    return b"%b %b HTTP/1.1\r\n%b\r\n" % (method, target, _lines(headers))


def answer_head(status: int, reason: bytes, headers: RawHeaders) -> bytes:
    """Bytes of an answer's head."""
    return b"HTTP/1.1 %d %b\r\n%b\r\n" % (status, reason, _lines(headers))


def _lines(headers: RawHeaders) -> bytes:
    return b"".join(b"%b: %b\r\n" % line for line in headers)


def fields_of(raw: bytes) -> RawHeaders:
    """The names and values of header lines, from the CRLF before the first to the empty line."""
    parts = (line.partition(b":") for line in raw[2:-4].split(b"\r\n"))
    return [(name, value.strip(b" \t")) for name, _, value in parts]


def values(headers: Sequence[tuple[bytes, bytes]], name: bytes) -> list[bytes]:
    """Every value of a header; `name` in lower case."""
    return [value for key, value in headers if key.lower() == name]


def without(headers: Sequence[tuple[bytes, bytes]], *names: bytes) -> RawHeaders:
    """The lines but those of these names, given in lower case."""
    return [line for line in headers if line[0].lower() not in names]


def well_formed_target(target: bytes) -> bool:
    """Origin-form without control bytes, spaces or a fragment."""
    return _TARGET.fullmatch(target) is not None


def well_formed_host(host: bytes) -> bool:
    """A name or an IP literal, with a port or without: no userinfo, path, comma or space (RFC 9110 §7.2)."""
    port = host.rpartition(b":")[2]
    return _HOST.fullmatch(host) is not None and not (port.isdigit() and b":" in host and int(port) > _LARGEST_PORT)


def host_name(host: bytes) -> str:
    """A Host header without its port; an IPv6 address keeps its brackets."""
    text = host.decode("latin-1")
    return text[: text.index("]") + 1] if text.startswith("[") else text.rsplit(":", 1)[0]


def served_host(host: bytes, names: frozenset[str]) -> bool:
    """Whether we answer to this Host at all. A name that is not ours may have been rebound to our IP by its DNS."""
    name = host_name(host).lower().strip("[]")
    if name in names or name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
