"""heads.py: the straight path says what the other path would say, or leaves the request to it."""

from __future__ import annotations

import httptools
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.config import Limits
from gateway.proxy import headers
from gateway.proxy.documents import Documents
from gateway.proxy.headers import Visit
from gateway.proxy.heads import BadHead, Lines, read_answer, read_request
from gateway.types import JobId

VISIT = Visit("10.1.2.3", "http", b"gw:10000", "gw10000-0123456789.")

values = st.text(alphabet="abc XYZ019=;,/-_\"'", max_size=20).map(lambda text: text.strip().encode())
plain_names = st.sampled_from(
    [b"Accept", b"User-Agent", b"X-Odd", b"Referer", b"Origin", b"authorization", b"If-None-Match"]
)
plain_lines = st.lists(st.tuples(plain_names, values), max_size=6)


def block(lines: list[tuple[bytes, bytes]]) -> bytes:
    return b"".join(b"%b: %b\r\n" % line for line in lines) + b"\r\n"


def straight_head(data: bytes) -> bytes | None:
    """What Straight writes to the job, without the sockets."""
    from gateway.proxy.straight import Straight

    request = read_request(data, {}, Limits())
    if request is None:
        return None
    straight = Straight.__new__(Straight)

    class Door:
        documents = Documents(JobId("j1"), 10100)

        def visit(self, client: str, host: bytes) -> Visit:
            return VISIT

    class Client:
        client = VISIT.client

    straight._door, straight._client = Door(), Client()  # type: ignore[assignment]
    method, target, lines = request
    straight._page = lines.asks_for_page
    return b"%b %b HTTP/1.1" % (method, target) + straight._edit(lines) + target + b"\r\n\r\n"


@given(
    plain_lines,
    st.booleans(),
    st.one_of(st.none(), st.sampled_from([b"_xsrf=1; gw10000-0123456789.a=2", b"gw1-ffffffffff.x=1"])),
    st.booleans(),
)
def test_both_paths_send_the_same_head(
    lines: list[tuple[bytes, bytes]], keep: bool, jar: bytes | None, page: bool
) -> None:
    came = [(b"Host", VISIT.host), *[line for line in lines if line[0] != b"Accept"]]
    came += [(b"accept", b"text/html,*/*;q=0.8"), (b"If-None-Match", b'W/"gw-x-1"')] * page
    came += [(b"Connection", b"keep-alive")] * keep
    came += [(b"Cookie", jar)] if jar else []
    target = b"/a%2fb?q=1"
    data = b"GET " + target + b" HTTP/1.1\r\n" + block(came)
    asked = Documents(JobId("j1"), 10100).asked(came) if page else came
    other = headers.request_head(b"GET", target, headers.for_job(asked, target, VISIT, upgrade=False))
    assert straight_head(data) == other


@pytest.mark.parametrize(
    "line",
    [
        b"Content-Length: 0", b"Transfer-Encoding: chunked", b"Upgrade: websocket", b"Expect: 100-continue",
        b"Connection: close", b"Connection: keep-alive, X-A", b"X-Forwarded-For: 1.1.1.1", b"X_Forwarded_For: 1",
        b"TE: trailers", b"Proxy: x", b"X-RStudio-Request: x",
        b"Accept: text/event-stream", b"Accept: a/b, text/event-stream;q=1",
        b"Forwarded: for=x", b"Host: b", b" folded", b"Cookie: a\r\nCookie: b", b"Bad Name: x", b"X: a\x00b",
        b"Keep-Alive: x",
    ],
)  # fmt: skip
def test_what_needs_care_takes_the_other_path(line: bytes) -> None:
    good = b"GET / HTTP/1.1\r\nHost: a\r\nX-First: 1\r\n"
    assert read_request(good + b"\r\n", {}, Limits()) is not None
    assert read_request(good + line + b"\r\n\r\n", {}, Limits()) is None
    assert read_request(good + line.lower() + b"\r\n\r\n", {}, Limits()) is None


@pytest.mark.parametrize(
    "first",
    [
        b"POST / HTTP/1.1", b"GET / HTTP/1.0", b"GET http://x/ HTTP/1.1", b"GET * HTTP/1.1", b"GET /a b HTTP/1.1",
        b"GET /#x HTTP/1.1", b"GET /\x01 HTTP/1.1", b"GET /.gw/state HTTP/1.1", b"get / HTTP/1.1", b"GET  / HTTP/1.1",
        b"GET / HTTP/1.1 ", b"GET / HTTP/1.12",
    ],
)  # fmt: skip
def test_a_request_line_that_is_odd_takes_the_other_path_even_with_known_lines(first: bytes) -> None:
    known: dict[bytes, Lines] = {}
    assert read_request(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", known, Limits()) is not None and known
    assert read_request(first + b"\r\nHost: a\r\n\r\n", known, Limits()) is None


def test_only_one_whole_head_is_taken() -> None:
    good = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
    assert read_request(good + good, {}, Limits()) is None
    assert read_request(good[:-1], {}, Limits()) is None
    assert read_request(good + b"x", {}, Limits()) is None


def answer(head: bytes, method: bytes = b"GET"):  # type: ignore[no-untyped-def]
    return read_answer(head, method, VISIT, httptools.HttpResponseParser(object()))


names = st.sampled_from(
    [
        b"Content-Type",
        b"ETag",
        b"Date",
        b"Set-Cookie",
        b"Keep-Alive",
        b"Strict-Transport-Security",
        b"x-CaSe",
        b"Server",
    ]
)


@given(st.lists(st.tuples(names, values.filter(bool)), max_size=6), st.sampled_from([b"", b"keep-alive", b"close"]))
def test_both_paths_give_the_browser_the_same_lines(lines: list[tuple[bytes, bytes]], connection: bytes) -> None:
    came = [*lines, (b"Content-Length", b"5")] + ([(b"Connection", connection)] if connection else [])
    got = answer(b"HTTP/1.1 200 Fine\r\n" + block(came))
    assert got.head == headers.answer_head(200, b"Fine", headers.for_browser(came, VISIT))
    assert got.length == 5 and got.keep == (connection != b"close")


@pytest.mark.parametrize(
    "lines",
    [
        b"Content-Length: 1\r\nContent-Length: 2", b"Content-Length: 1\r\nTransfer-Encoding: chunked",
        b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", b"Transfer-Encoding: gzip", b"Content-Length: +1",
        b"X: a\x00b", b"X: a\x7fb", b"X: a\r\n folded", b"Content-Length: 99999999999999999999",
    ],
)  # fmt: skip
def test_an_answer_that_contradicts_itself_is_refused(lines: bytes) -> None:
    with pytest.raises(BadHead):
        answer(b"HTTP/1.1 200 OK\r\n" + lines + b"\r\n\r\n")


def test_how_bodies_end() -> None:
    assert answer(b"HTTP/1.1 200 OK\r\n\r\n").until_close
    assert answer(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").chunked
    assert answer(b"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n").length == 0
    head = answer(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", b"HEAD")
    assert head.length == 0 and b"Content-Length: 9" in head.head
    with pytest.raises(BadHead):
        answer(b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n")
