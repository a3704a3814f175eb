"""First lines, targets, hosts, versions, sizes and upgrades of requests that a proxy must not pass on as they are."""

from __future__ import annotations

from .case import SMUGGLED, Case, clean, get, head, never, post

_HOST = b"Host: 127.0.0.1"
_WEBSOCKET = (b"Connection: Upgrade", b"Upgrade: websocket", b"Sec-WebSocket-Version: 13", b"Sec-WebSocket-Key: eA==")
_HIDDEN = b"Content-Length: %d" % len(SMUGGLED)
_IN_A_CHUNK = b"%x\r\n%b\r\n0\r\n\r\n" % (len(SMUGGLED), SMUGGLED)


def _line(name: str, line: bytes, *statuses: int) -> Case:
    return never(name, head(line, _HOST), *statuses)


def _host(name: str, *lines: bytes, statuses: tuple[int, ...] = ()) -> Case:
    """Nobody doubts where such a request ends."""
    return never(name, head(b"GET /x HTTP/1.1", *lines), *statuses, then_smuggled=False)


FIRST_LINES = [
    _line("control byte in the method", b"G\x01T /x HTTP/1.1"),
    _line("bare CR in the method", b"G\rX /x HTTP/1.1"),
    _line("space before the method", b" GET /x HTTP/1.1"),
    _line("no method", b"/x HTTP/1.1"),
    _line("method with a colon", b"GET: /x HTTP/1.1"),
    _line("method in small letters", b"get /x HTTP/1.1", 400, 501),
    _line("method that nobody knows", b"FROBNICATE /x HTTP/1.1", 400, 501),
    _line("method with an 8-bit byte", b"G\xcbT /x HTTP/1.1", 400, 501),
    clean("two spaces", head(b"GET  /x HTTP/1.1", _HOST), also=(400,)),
    _line("a tab for a space", b"GET\t/x HTTP/1.1"),
    _line("a space at the end", b"GET /x HTTP/1.1 "),
    _line("a vertical tab for a space", b"GET /x\x0bHTTP/1.1"),
    _line("space in the target", b"GET /x y HTTP/1.1"),
    _line("HTTP/0.9", b"GET /x"),
    _line("HTTP/0.9 with a space", b"GET /x "),
    _line("version 0.9", b"GET /x HTTP/0.9", 400, 505),
    _line("version 1.2", b"GET /x HTTP/1.2", 400, 505),
    _line("version 2.0", b"GET /x HTTP/2.0", 400, 505),
    _line("version 3", b"GET /x HTTP/3", 400, 505),
    _line("version 1.10", b"GET /x HTTP/1.10", 400, 505),
    _line("version 1.", b"GET /x HTTP/1.", 400, 505),
    _line("version 01.1", b"GET /x HTTP/01.1", 400, 505),
    _line("version in small letters", b"GET /x http/1.1", 400, 505),
    _line("version of Unicode digits", "GET /x HTTP/1.\u0661".encode(), 400, 505),
    _line("version of another protocol", b"GET /x ICE/1.0", 400, 505),
    _line("version of another protocol, RTSP", b"OPTIONS /x RTSP/1.0", 400, 501, 505),
    _line("CR in the version", b"GET /x HTTP/1.1\rX: y", 400, 505),
    never("HTTP/2's preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400, 501, 505),
    never("TLS where plain text is spoken", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(64)),
    never("the PROXY protocol", b"PROXY TCP4 6.6.6.6 127.0.0.1 1 1\r\n" + get()),
    never("only NULs", bytes(512)),
]

TARGETS = [
    never(f"target {target!r}", head(b"GET %b HTTP/1.1" % target, _HOST), *statuses, then_smuggled=False)
    for target, *statuses in [
        (b"http://evil.example/x", 400, 421),
        (b"http://127.0.0.1/x", 400),
        (b"https://127.0.0.1/x", 400),
        (b"HTTP://evil.example/", 400, 421),
        (b"ftp://127.0.0.1/", 400),
        (b"evil.example:80", 400),
        (b"evil.example", 400),
        (b"@evil.example/", 400),
        (b"*", 400),
        (b"x", 400),
        (b"?x", 400),
        (b"#", 400),
        (b"/x#fragment", 400),
        (b"/x?y#fragment", 400),
        (b"\\x", 400),
    ]
]

FORMS = [
    never("CONNECT", head(b"CONNECT 127.0.0.1:22 HTTP/1.1", b"Host: 127.0.0.1:22"), 400, 405, 501),
    never("CONNECT with a path", head(b"CONNECT /x HTTP/1.1", _HOST), 400, 405, 501),
    never(
        "CONNECT and something behind", head(b"CONNECT 127.0.0.1:22 HTTP/1.1", _HOST) + b"SSH-2.0-x\r\n", 400, 405, 501
    ),
    never("TRACE", head(b"TRACE /x HTTP/1.1", _HOST), 400, 405, 501, then_smuggled=False),
    never("TRACE with a body", head(b"TRACE /x HTTP/1.1", _HOST, b"Content-Length: 1") + b"x", 400, 405, 501),
    never("OPTIONS *", head(b"OPTIONS * HTTP/1.1", _HOST), 200, 204, 400, 501, then_smuggled=False),
    clean(
        "another origin after two slashes", head(b"GET //evil.example/.. HTTP/1.1", _HOST), target=b"//evil.example/.."
    ),
    clean("dots", head(b"GET /a/../../etc/passwd HTTP/1.1", _HOST), target=b"/a/../../etc/passwd"),
    clean("quoted dots", head(b"GET /%2e%2e/%5c..%00 HTTP/1.1", _HOST), target=b"/%2e%2e/%5c..%00"),
    clean("a quoted fragment", head(b"GET /x%23y HTTP/1.1", _HOST), target=b"/x%23y"),
    clean("an @ in the path", head(b"GET /@evil.example HTTP/1.1", _HOST), target=b"/@evil.example"),
    clean("8-bit bytes in the path", head(b"GET /\xc3\xa9\xff HTTP/1.1", _HOST), target=b"/\xc3\xa9\xff", also=(400,)),
]

HOSTS = [
    _host("no Host"),
    _host("two Hosts", _HOST, _HOST),
    _host("two Hosts, not equal", _HOST, b"Host: evil.example"),
    _host("empty Host", b"Host:"),
    _host("Host with a userinfo", b"Host: user@127.0.0.1"),
    _host("Host with a password", b"Host: user:pass@127.0.0.1"),
    _host("Host with a path", b"Host: 127.0.0.1/x"),
    _host("Host with a query", b"Host: 127.0.0.1?x"),
    _host("Host with a fragment", b"Host: 127.0.0.1#x"),
    _host("Host with a comma", b"Host: 127.0.0.1, evil.example"),
    _host("Host with a space", b"Host: 127.0.0.1 evil.example"),
    _host("Host with a scheme", b"Host: http://127.0.0.1"),
    _host("Host with a port that is none", b"Host: 127.0.0.1:80x"),
    _host("Host with a port that is too large", b"Host: 127.0.0.1:65536"),
    _host("Host with an empty port", b"Host: 127.0.0.1:"),
    _host("Host with two ports", b"Host: 127.0.0.1:80:80"),
    _host("Host with markup", b"Host: <script>alert(1)</script>"),
    _host("Host with a quote", b'Host: 127.0.0.1"'),
    _host("Host with a semicolon", b"Host: 127.0.0.1;x"),
    _host("Host in an open bracket", b"Host: [::1"),
    _host("Host that is no IPv6 address", b"Host: [::g]"),
    _host("Host that begins with a dot", b"Host: .localhost"),
    _host("Host that is not ours", b"Host: evil.example", statuses=(400, 421)),
    _host("Host that ends like ours", b"Host: localhost.evil.example", statuses=(400, 421)),
    _host("Host that begins like ours", b"Host: 127.0.0.1.evil.example", statuses=(400, 421)),
    _host("no Host in HTTP/1.0, but an X-Forwarded-Host", b"X-Forwarded-Host: 127.0.0.1"),
]

UPGRADES = [
    clean(
        "h2c",
        get(b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AAMAAABkAAQAAP__"),
        also=(400,),
    ),
    clean("h2c without Connection", get(b"Upgrade: h2c"), also=(400,)),
    clean("an upgrade to nothing", get(b"Connection: Upgrade"), also=(400,)),
    clean("an upgrade to TLS", get(b"Connection: Upgrade", b"Upgrade: TLS/1.0"), also=(400,)),
    clean("an upgrade to two protocols", get(b"Connection: Upgrade", b"Upgrade: h2c, websocket"), also=(400,)),
    clean("websocket by POST, and a body", post(*_WEBSOCKET, _HIDDEN, body=SMUGGLED), body=SMUGGLED, also=(400,)),
    clean("websocket with a length", get(*_WEBSOCKET, _HIDDEN) + SMUGGLED, body=SMUGGLED, also=(400,)),
    clean(
        "websocket with chunks",
        get(*_WEBSOCKET, b"Transfer-Encoding: chunked") + _IN_A_CHUNK,
        body=SMUGGLED,
        also=(400,),
    ),
    clean("websocket in HTTP/1.0", head(b"GET /x HTTP/1.0", _HOST, *_WEBSOCKET), also=(400,)),
]

SIZES = [
    never("target of 20 KiB", head(b"GET /" + b"a" * (20 << 10) + b" HTTP/1.1", _HOST), 414),
    never("target of 1 MiB", head(b"GET /" + b"a" * (1 << 20) + b" HTTP/1.1", _HOST), 414),
    never("method of 1 MiB", head(b"G" * (1 << 20) + b" /x HTTP/1.1", _HOST), 400, 414, 431, 501),
    never("one header of 70 KiB", get(b"A: " + b"b" * (70 << 10)), 431),
    never("one header of 1 MiB", get(b"A: " + b"b" * (1 << 20)), 431),
    never("a name of 70 KiB", get(b"A" * (70 << 10) + b": b"), 431),
    never("100 headers of 1 KiB", get(*(b"A%d: " % number + b"b" * 1024 for number in range(100))), 431),
    never("120 headers of 32 KiB", get(*(b"A%d: " % number + b"b" * (32 << 10) for number in range(120))), 431),
    never("129 headers", get(*(b"A%d: b" % number for number in range(129))), 431),
    never("10,000 headers", get(*(b"A: b" for _ in range(10_000))), 431),
    never("10,000 cookies", get(*(b"Cookie: a=b" for _ in range(10_000))), 431),
    clean("100 headers", get(*(b"A%d: b" % number for number in range(100)))),
    clean("target of 8 KiB", head(b"GET /" + b"a" * (8 << 10) + b" HTTP/1.1", _HOST), target=b"/" + b"a" * (8 << 10)),
]
