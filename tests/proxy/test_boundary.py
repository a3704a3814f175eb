"""boundary.py: never `between` in the middle of a request, however the bytes come."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gateway.proxy.boundary import CHUNKED, Boundary

BODIES = st.binary(max_size=12) | st.sampled_from([b"\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n"])
REQUESTS = st.lists(st.tuples(st.sampled_from([b"GET /", b"POST /a"]), BODIES), min_size=1, max_size=5)


def stream(requests: list[tuple[bytes, bytes]]) -> tuple[bytes, list[tuple[int, int, int]]]:
    """All their bytes; of each request where its head ends, where it ends, and its length of body."""
    data, ends = b"", []
    for first, body in requests:
        data += b"%b HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % (first, len(body))
        ends.append((len(data), len(data) + len(body), len(body)))
        data += body
    return data, ends


@given(REQUESTS, st.lists(st.integers(1, 40), max_size=30))
def test_it_is_between_only_where_a_request_begins(requests: list[tuple[bytes, bytes]], cuts: list[int]) -> None:
    data, ends = stream(requests)
    boundary, at = Boundary(1000), 0
    for cut in [*cuts, len(data)]:
        begin, at = at, min(at + cut, len(data))
        inside = [(head, length) for head, _, length in ends if begin < head <= at]
        boundary.fed(data[begin:at], len(inside), inside[-1][1] if inside else 0)
        if boundary.between:
            assert at in {0, *(end for _, end, _ in ends)}
        if boundary.in_head:
            assert not boundary.between


@given(REQUESTS, st.integers(1, 40))
def test_requests_one_after_the_other_are_followed_for_ever(requests: list[tuple[bytes, bytes]], size: int) -> None:
    """Each in pieces of its own, as browsers send them."""
    boundary = Boundary(1000)
    for first, body in requests:
        data, [(head, _, length)] = stream([(first, body)])
        for begin in range(0, len(data), size):
            assert boundary.between == (begin == 0)
            boundary.fed(data[begin : begin + size], int(begin < head <= begin + size), length)
            assert boundary.in_head == (begin + size < head)
    assert boundary.between


def test_a_connection_that_has_had_chunks_stays_with_aiohttp() -> None:
    boundary = Boundary(1000)
    boundary.fed(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 1, CHUNKED)
    assert not boundary.between and not boundary.in_head
    boundary.fed(b"GET / HT", 0, 0)
    assert not boundary.between and boundary.in_head
    boundary.fed(b"TP/1.1\r\n\r\n", 1, 0)
    assert not boundary.between and not boundary.in_head


TRAILERS = st.lists(st.tuples(st.sampled_from([b"X-Sum", b"X"]), st.sampled_from([b"", b"1", b"a b"])), max_size=3)


def chunked(body: list[bytes], trailers: list[tuple[bytes, bytes]]) -> tuple[bytes, bytes]:
    """A request's head, and what is behind it."""
    chunks = b"".join(b"%x;a=b\r\n%b\r\n" % (len(one), one) for one in body if one)
    end = b"0\r\n" + b"".join(b"%b: %b\r\n" % line for line in trailers) + b"\r\n"
    return b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", chunks + end


@given(st.lists(st.tuples(st.lists(BODIES, max_size=3), TRAILERS), min_size=1, max_size=4), st.integers(1, 50))
def test_what_follows_the_chunks_is_known_however_they_come(
    requests: list[tuple[list[bytes], list[tuple[bytes, bytes]]]], size: int
) -> None:
    """One request after the other on one connection."""
    boundary = Boundary(1000)
    for body, lines in requests:
        head, rest = chunked(body, lines)
        data, found = head + rest, None
        for begin in range(0, len(data), size):
            part = data[begin : begin + size]
            ends = begin < len(head) <= begin + len(part)
            found = boundary.fed(part, int(ends), CHUNKED if ends else 0) or found
            assert found is not None or begin + size < len(head)
            assert found is None or found.complete == (begin + size >= len(data))
        assert found is not None and found.lines == lines and not found.too_large


def test_after_what_came_behind_the_chunks_nobody_knows() -> None:
    boundary = Boundary(1000)
    head, rest = chunked([b"hello"], [(b"X", b"1")])
    pipelined = boundary.fed(head + rest + b"GET / HT", 1, CHUNKED)
    assert pipelined is not None and pipelined.lines == [(b"X", b"1")]
    assert boundary.fed(head + rest, 1, CHUNKED) is None and not boundary.between and not boundary.in_head


def test_too_many_trailers_are_not_kept() -> None:
    boundary = Boundary(50)
    head, rest = chunked([b"hello"], [(b"X", b"y" * 20)] * 10_000)
    found = boundary.fed(head + rest, 1, CHUNKED)
    assert found is not None and found.too_large and len(found.lines) == 2


def test_a_head_that_the_parser_gave_later_is_not_followed() -> None:
    """It stops for a while when too many requests wait."""
    boundary = Boundary(1000)
    boundary.fed(b"GET / HTTP/1.1\r\n\r\nGET /2", 0, 0)
    boundary.fed(b"", 1, 0)
    assert not boundary.between
