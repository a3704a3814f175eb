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
    boundary, at = Boundary(), 0
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
    boundary = Boundary()
    for first, body in requests:
        data, [(head, _, length)] = stream([(first, body)])
        for begin in range(0, len(data), size):
            assert boundary.between == (begin == 0)
            boundary.fed(data[begin : begin + size], int(begin < head <= begin + size), length)
            assert boundary.in_head == (begin + size < head)
    assert boundary.between


def test_after_chunks_nobody_knows() -> None:
    boundary = Boundary()
    boundary.fed(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 1, CHUNKED)
    boundary.fed(b"GET / HTTP/1.1\r\n\r\n", 1, 0)
    assert not boundary.between and not boundary.in_head


def test_a_head_that_the_parser_gave_later_is_not_followed() -> None:
    """It stops for a while when too many requests wait."""
    boundary = Boundary()
    boundary.fed(b"GET / HTTP/1.1\r\n\r\nGET /2", 0, 0)
    boundary.fed(b"", 1, 0)
    assert not boundary.between
