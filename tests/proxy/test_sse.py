"""sse.py: whole events, whatever the chunks."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gateway.proxy.sse import EventStream, is_event_stream

lines = st.sampled_from([b"data: x", b"id: 7", b"id:8", b": note", b"event: e", b"id"])
events = st.lists(st.lists(lines, min_size=1, max_size=4), max_size=6)


@given(events, st.sampled_from([b"\n", b"\r\n"]), st.lists(st.integers(1, 30), max_size=20))
def test_any_chunking_gives_whole_events(spec: list[list[bytes]], end: bytes, steps: list[int]) -> None:
    whole = b"".join(b"".join(line + end for line in event) + end for event in spec)
    cut = whole + b"data: not whole"
    stream, out, at = EventStream(1 << 20), b"", 0
    for step in [*steps, len(cut)]:
        out += stream.feed(cut[at : at + step])
        at += step
    assert out == whole
    ids = [line for event in spec for line in event if line.startswith(b"id")]
    again = dict(stream.again([(b"Last-Event-ID", b"old")]))
    if ids:
        expected = ids[-1].removeprefix(b"id").removeprefix(b":").strip()
        assert again[b"Last-Event-ID"] == expected
    else:
        assert again[b"Last-Event-ID"] == b"old"
    assert stream.finish() == b"", "what was cut is forgotten: it comes again"


def test_an_event_that_is_too_large_passes_in_pieces() -> None:
    stream = EventStream(10)
    assert stream.feed(b"data: " + b"x" * 20) == b"data: " + b"x" * 20


def test_which_answers_are_streams() -> None:
    kind = (b"Content-Type", b"text/event-stream; charset=utf-8")
    assert is_event_stream(200, [kind])
    assert not is_event_stream(500, [kind])
    assert not is_event_stream(200, [kind, (b"Content-Encoding", b"gzip")])
    assert not is_event_stream(200, [(b"Content-Type", b"text/html")])
