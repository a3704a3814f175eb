"""frames.py: however the bytes are cut, the same frames come out."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.proxy.frames import (
    Control,
    Data,
    FrameError,
    Opcode,
    Scanner,
    close_code,
    close_frame,
    frame,
    size_of,
    text_of,
)


def raw_frame(opcode: int, payload: bytes, *, fin: bool, mask: bytes | None) -> bytes:
    flag = 0x80 if mask is not None else 0
    size = len(payload)
    if size < 126:
        head = bytes((fin << 7 | opcode, flag | size))
    elif size < 1 << 16:
        head = bytes((fin << 7 | opcode, flag | 126)) + size.to_bytes(2)
    else:
        head = bytes((fin << 7 | opcode, flag | 127)) + size.to_bytes(8)
    key = mask or b""
    body = bytes(byte ^ key[at % 4] for at, byte in enumerate(payload)) if mask else payload
    return head + key + body


# Sizes, not bytes: a failing example stays readable, and the payload follows from its size.
sizes = st.one_of(st.integers(0, 20), st.sampled_from([125, 126, 70_000]))
masks = st.binary(min_size=4, max_size=4)
controls = st.tuples(st.sampled_from([Opcode.PING, Opcode.PONG]), st.binary(max_size=125))
messages = st.lists(st.tuples(st.lists(sizes, min_size=1, max_size=3), st.lists(controls, max_size=2)), max_size=5)


Spec = list[tuple[list[int], list[tuple[Opcode, bytes]]]]


def stream(spec: Spec, mask: bytes | None) -> tuple[bytes, list[bytes], list[tuple[int, int]]]:
    """Messages in fragments with control frames after each: bytes, control payloads, each message's span."""
    out, seen, spans = b"", [], []
    for fragments, between in spec:
        start = len(out)
        for at, size in enumerate(fragments):
            payload = bytes([size % 251]) * size
            opcode = Opcode.BINARY if at == 0 else Opcode.CONTINUATION
            out += raw_frame(opcode, payload, fin=at == len(fragments) - 1, mask=mask)
            if at == len(fragments) - 1:
                spans.append((start, len(out)))
            for kind, words in between:
                out += raw_frame(kind, words, fin=True, mask=mask)
                seen.append(words)
    return out, seen, spans


@given(messages, st.one_of(st.none(), masks), st.lists(st.integers(1, 80_000), max_size=50))
def test_any_chunking_gives_the_same_bytes_and_controls(spec: Spec, mask: bytes | None, steps: list[int]) -> None:
    whole, expected, _ = stream(spec, mask)
    scanner = Scanner(masked=mask is not None)
    out, controls_seen, at = b"", [], 0
    for step in [*steps, len(whole)]:
        for piece in scanner.feed(whole[at : at + step]):
            out += piece.raw
            if isinstance(piece, Control):
                controls_seen.append(piece.payload)
        at += step
    assert out == whole
    assert controls_seen == expected
    assert scanner.between_messages


@given(messages.filter(bool), masks, st.integers(0, 200))
def test_feed_to_boundary_stops_at_the_end_of_the_message_under_way(spec: Spec, mask: bytes, cut: int) -> None:
    whole, _, spans = stream(spec, mask)
    scanner = Scanner(masked=True)
    before = b"".join(piece.raw for piece in scanner.feed(whole[:cut]))
    pieces, rest = scanner.feed_to_boundary(whole[cut:])
    done = before + b"".join(piece.raw for piece in pieces)
    assert done + rest == whole
    assert scanner.between_messages
    under_way = [end for start, end in spans if start < len(before) < end]
    assert len(done) == (under_way[0] if under_way else len(before))


def test_one_whole_chunk_of_data_is_not_copied() -> None:
    data = frame(Opcode.BINARY, b"x" * 1000, masked=False) * 3
    pieces = Scanner(masked=False).feed(data)
    assert len(pieces) == 1 and isinstance(pieces[0], Data) and pieces[0].raw is data


@pytest.mark.parametrize(
    "bad",
    [
        b"\xc1\x00",  # a reserved bit
        b"\x83\x00",  # an unknown opcode
        b"\x81\x80\0\0\0\0",  # masked by a server
        b"\x09\x00",  # a ping that is not final
        b"\x89\x7e\x00\x7e",  # a ping of 126 bytes
        b"\x80\x00",  # a continuation of nothing
        b"\x01\x00\x81\x00",  # a new message inside another
        b"\x82\x7f\xff\xff\xff\xff\xff\xff\xff\xff",  # a length of 64 bits
    ],
)
def test_what_a_peer_may_not_send(bad: bytes) -> None:
    with pytest.raises(FrameError):
        Scanner(masked=False).feed(bad)


def test_frames_of_our_own() -> None:
    for masked in (True, False):
        for size in (0, 125, 126, 65_536):
            one = frame(Opcode.TEXT, b"a" * size, masked=masked)
            assert text_of(one, masked=masked) == "a" * size
            assert size_of(one + one[:1], masked=masked) == len(one) and not size_of(one[:1], masked=masked)
    (control,) = Scanner(masked=True).feed(close_frame(1012, "moved " + "x" * 200, masked=True))
    assert isinstance(control, Control) and close_code(control.payload) == 1012 and len(control.payload) == 125
    assert close_code(b"") is None
