"""Cookies of jobs that share one host name: a browser keeps one jar for all its ports (RFC 6265 §8.5).

Pure. A cookie that scripts cannot read (HttpOnly) is kept under another name, `gw<port>-<job>.<name>`: nothing but
this file sees the change. Cookies that scripts read, such as Jupyter's `_xsrf`, must keep their names, and all jobs
of the host see them. Lines are cut and joined as text, values are never decoded and encoded again.

What this cannot do: an unprefixed cookie does not say whose page set it, so one that no prefixed cookie overrules
passes. A renamed cookie is 17 bytes longer, and browsers take 4096 for name and value (RFC 6265bis §5.6).
"""

from __future__ import annotations

import hashlib
import re

from gateway.types import JobId

_DEEPEST = 16  # paths: a page of a job is rarely below more
_BLANK = b" \t"
_RENAMED = re.compile(rb"gw[0-9]{1,5}-[0-9a-f]{10}\.")
# RFC 6265bis §4.1.3: browsers want something of names that begin so, in any case of letters; it stays in front.
_SECURITY = re.compile(rb"__(?:Host-Http|Host|Http|Secure)-", re.IGNORECASE)
_OVER = re.compile(rb"\s*max-age\s*=\s*(?:-[0-9]+|0+)\s*", re.IGNORECASE)


def prefix(port: int, job: JobId, key: bytes) -> str:
    """What a job's cookies are renamed with. The next job of this port has another one.

    `key`: the gateway's secret, at most 64 bytes. Job ids are known to many, and a page that knew this name could set
    such a cookie itself.
    """
    return f"gw{port}-{hashlib.blake2b(job.encode(), key=key, digest_size=5).hexdigest()}."


def marker(port: int, job: JobId, key: bytes) -> bytes:
    """The cookie of our own, name and value, that tells which job of this port a browser has seen last.

    It looks renamed, so that no job is sent it, and has the prefix of none.
    """
    seen = hashlib.blake2b(job.encode(), key=key, person=b"seen", digest_size=8).hexdigest()
    return f"{prefix(port, JobId(''), key)}seen={seen}".encode()


def outgoing(set_cookie: bytes, prefix: str) -> bytes:
    """The value of a job's Set-Cookie line for the browser: renamed if HttpOnly, and for this host name only.

    A name that looks renamed already is renamed whatever its flags: it would be another job's.
    """
    pair, attributes = _parts(set_cookie)
    if _is_http_only(attributes) or _looks_renamed(pair):
        pair = _rename(pair, prefix)
    return b";".join([pair, *attributes])


def clearing(set_cookie: bytes, prefix: str) -> bytes:
    """The value of a second Set-Cookie line, to be sent after `outgoing`'s; b"" if none is needed.

    Servers delete a cookie without saying again that it was HttpOnly (tornado's clear_cookie, so JupyterLab's log
    out), and then the renamed one must go as well. One that is not deleted but set anew as readable does not take
    the place of the old one.
    """
    pair, attributes = _parts(set_cookie)
    _, equals, value = pair.partition(b"=")
    emptied = bool(equals) and value.strip(_BLANK) in (b"", b'""')
    deleted = emptied or any(_OVER.fullmatch(one) for one in attributes)
    if _is_http_only(attributes) or _looks_renamed(pair) or not deleted:
        return b""
    return b";".join([_rename(pair, prefix), *attributes, b" Max-Age=0"])  # the last one counts, RFC 6265 §5.3


def incoming(cookie: bytes, prefix: str) -> bytes | None:
    """The value of a browser's Cookie line for this job; None if nothing is left of it: then no line is sent.

    Own cookies get their names back, other jobs' go. Where the job has a renamed cookie, an unprefixed one of that
    name goes too: any page of this host can set it. So does a cookie that has a `=` and no name, which some servers
    read as if its value were a pair (Werkzeug, CVE-2023-23934).
    """
    pairs = [pair.strip(_BLANK) for pair in cookie.split(b";")]
    restored = [_restore(pair, prefix.encode()) for pair in pairs]
    overruled = {_name(pair) for pair in restored if pair}
    passes = [not (_looks_renamed(pair) or pair[:1] == b"=" or _name(pair) in overruled) for pair in pairs]
    kept = [own or came * ok for own, came, ok in zip(restored, pairs, passes, strict=True)]
    return b"; ".join(pair for pair in kept if pair) or None


def expiring(cookie: bytes, target: bytes, host: str, *, every: bool, room: int) -> list[bytes]:
    """Values of Set-Cookie lines that delete what a browser sends here, the largest first; at most `room` bytes.

    A Cookie line says neither path nor domain, so each is deleted wherever it can be. `every`: also renamed ones, which
    are logins of sessions of this host.
    """
    pairs = sorted({pair.strip(_BLANK) for pair in cookie.split(b";")} - {b""}, key=len, reverse=True)
    places = [path + domain for path in _paths(target) for domain in _domains(host)]
    out: list[bytes] = []
    for pair in pairs:
        if _looks_renamed(pair) and not every:
            continue
        name, equals, _ = pair.partition(b"=")
        head = name + b"=" if equals and name else b"=x"  # one of neither name nor value is taken by no browser
        flags = b"; Secure; HttpOnly" if _lead(name) else b""
        for place in places:
            line = b"%b; Max-Age=0%b%b" % (head, flags, place)
            room -= len(line) + len(b"Set-Cookie: \r\n")
            if room < 0:
                return out
            out.append(line)
    return out


def _paths(target: bytes) -> list[bytes]:
    """`; Path=` of all cookies that are sent to a target (RFC 6265 §5.1.4), the shortest first, 16 at most."""
    path = target.partition(b"?")[0].partition(b";")[0]
    ends = [at for at in range(1, len(path) + 1) if path[at - 1 : at] == b"/" or path[at : at + 1] in (b"/", b"")]
    return [b"; Path=" + path[:end] for end in ends[:_DEEPEST]]


def _domains(host: str) -> list[bytes]:
    """`; Domain=` of the same, and none: browsers keep those of a host apart from those of its domain."""
    labels = host.lower().split(".")
    if host.startswith("[") or labels[-1].isdigit():
        return [b""]
    return [b"", *(b"; Domain=" + ".".join(labels[at:]).encode() for at in range(len(labels) - 1))]


def _parts(set_cookie: bytes) -> tuple[bytes, list[bytes]]:
    """The pair and the attributes, without Domain: it would offer the cookie to other hosts."""
    pair, *attributes = set_cookie.split(b";")  # also within quotes, RFC 6265 §5.2
    return pair, [one for one in attributes if _name(one).lower() != b"domain"]


def _name(pair: bytes) -> bytes:
    return pair.partition(b"=")[0].strip(_BLANK)


def _is_http_only(attributes: list[bytes]) -> bool:
    return any(_name(one).lower() == b"httponly" for one in attributes)


def _lead(name: bytes) -> bytes:
    """`__Host-` or another of its kind, else nothing."""
    found = _SECURITY.match(name)
    return found[0] if found else b""


def _looks_renamed(pair: bytes) -> bool:
    """Also where a nameless cookie's value looks so: browsers send it as it is, without the `=`."""
    text = pair.lstrip(_BLANK + b"=")
    return _RENAMED.match(text, len(_lead(text))) is not None


def _rename(pair: bytes, prefix: str) -> bytes:
    name, equals, value = pair.lstrip(_BLANK).partition(b"=")
    if not equals:  # RFC 6265bis §5.6: what has no `=` is a value without a name
        name, value = b"", name
    lead = _lead(name)
    return b"%b%b%b=%b" % (lead, prefix.encode(), name[len(lead) :], value)


def _restore(pair: bytes, prefix: bytes) -> bytes:
    """An own cookie under its own name; b"" for any other, and for one that only a script can have made."""
    name, equals, value = pair.partition(b"=")
    lead = _lead(name)
    if not equals or not name.startswith(prefix, len(lead)):
        return b""
    own = lead + name[len(lead) + len(prefix) :]
    back = own + equals + value if own else value
    return b"" if _lead(back) and not lead else back
