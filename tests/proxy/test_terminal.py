"""terminal.py: whatever of a terminal's output was shown, after a re-dial each character is shown once."""

from __future__ import annotations

import json
import time
import tracemalloc

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.proxy.frames import Opcode, frame, size_of, text_of
from gateway.proxy.terminal import REPLAY, TerminalReplay, unseen

words = st.text(alphabet="ab\n", max_size=30)
PATIENCE = 20.0  # seconds; what is tested here takes one or two, or minutes if its time grows with the square


def say(kind: str, value: object) -> bytes:
    return frame(Opcode.TEXT, json.dumps([kind, value]).encode(), masked=False)


def frames_of(raw: bytes) -> list[bytes]:
    """All of it; fails if the last frame is not whole."""
    frames = []
    while raw:
        size = size_of(raw, masked=False)
        assert 0 < size <= len(raw)
        frames.append(raw[:size])
        raw = raw[size:]
    return frames


@given(words, words, st.integers(0, 60))
def test_the_new_part_is_never_lost_and_a_long_overlap_never_doubled(shown: str, new: str, kept: int) -> None:
    output = shown + "#mark#" + new  # a mark that random text does not repeat: the overlap is certain
    replay = output[-max(kept, len(new) + 6) :]
    assert unseen(shown + "#mark#", replay) == new


def test_nothing_in_common_is_all_new() -> None:
    assert unseen("abc", "xyz") == "xyz"
    assert unseen("", "xyz") == "xyz"
    assert unseen("abc", "") == ""


# Texts that repeat themselves, and almost: where a comparison goes wrong, or takes the square of the time.
repeating = st.builds(
    lambda head, part, times, tail: head + part * times + tail,
    st.text("ab", max_size=4), st.text("ab", min_size=1, max_size=4), st.integers(0, 20), st.text("ab", max_size=4),
)  # fmt: skip


def slowly_unseen(shown: str, replay: str) -> str:
    """`unseen`, as its words say it."""
    if shown and shown in replay:
        return replay[replay.rindex(shown) + len(shown) :]
    overlaps = [size for size in range(len(replay) + 1) if shown.endswith(replay[:size])]
    return replay[max(overlaps) :]


@given(repeating, repeating)
@example("aab" * 3, "aab" * 5 + "a")
@example("baaa", "aaab")
@example("ab" * 7 + "a", "ab" * 5)
def test_the_comparison_is_what_its_words_say(shown: str, replay: str) -> None:
    assert unseen(shown, replay) == slowly_unseen(shown, replay)
    assert unseen("x" + shown, replay + "x") == slowly_unseen("x" + shown, replay + "x")


@given(st.text("ab", min_size=1, max_size=9), st.integers(0, 99), st.integers(0, 99), st.integers(0, 99))
def test_the_comparison_is_so_over_the_end_of_a_repetition(part: str, before: int, after: int, cut: int) -> None:
    shown, replay = "c" + (part * 99)[: before + cut], (part * 99)[cut:] + "c"
    assert unseen(shown, replay) == slowly_unseen(shown, replay)
    shown, replay = (part * 99)[:before] + "c" + (part * 99)[:after], (part * 99)[:cut] + "c" + (part * 99)[:after]
    assert unseen(shown, replay) == slowly_unseen(shown, replay)


MILLION = 1 << 20
HARD = [
    ("b" + "a" * (MILLION // 2), "a" * MILLION, MILLION // 2),
    ("a" * (MILLION // 2) + "b", "a" * MILLION, MILLION),
    ("a" * MILLION, "a" * (MILLION - 1) + "b", 1),
    ("a" * (MILLION - 1) + "b", "a" * MILLION, MILLION),
    ("c" + "ab" * (MILLION // 2 - 1), "ab" * (MILLION // 4) + "b" * (MILLION // 2), MILLION // 2),
    ("a" * (MILLION // 2) + "b" + "a" * (MILLION // 2 - 1), "a" * (MILLION // 2) + "c", 2),
    ("a" * (MILLION // 4) + "b" + "a" * (MILLION // 4), "a" * MILLION, MILLION - MILLION // 4),
    ("é" * (MILLION // 2) + "日", "é" * MILLION, MILLION),
]


@pytest.mark.parametrize(("shown", "replay", "new"), HARD)
def test_the_comparison_s_time_grows_with_the_text_only(shown: str, replay: str, new: int) -> None:
    began = time.process_time()
    assert len(unseen(shown, replay)) == new
    assert time.process_time() - began < PATIENCE


def in_pieces(data: st.DataObject, stream: bytes) -> list[bytes]:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=30)))
    return [stream[begin:end] for begin, end in zip([0, *cuts], [*cuts, len(stream)], strict=True)]


@given(st.data())
def test_any_chunking(data: st.DataObject) -> None:
    replay = TerminalReplay(1 << 16)
    live = say("setup", {}) + say("stdout", "one\n") + say("stdout", "two\n")
    assert replay.feed(live) == live
    replay.redialled()
    stream = say("setup", {}) + say("stdout", "one\ntwo\nthree\n") + say("stdout", "four\n") + say("other", 1)
    out = b"".join([replay.feed(piece) for piece in in_pieces(data, stream)])
    shown = [json.loads(text_of(one, masked=False) or "") for one in frames_of(out)]
    assert shown == [["stdout", "three\n"], ["stdout", "four\n"], ["other", 1]]


anything = st.one_of(
    st.builds(say, st.just("stdout"), st.text("ab\n", max_size=40)),
    st.builds(say, st.just("stdout"), st.text("ab\n", min_size=100, max_size=300)),
    st.builds(say, st.sampled_from(["setup", "other"]), st.just({})),
    st.builds(
        lambda opcode, payload: frame(opcode, payload, masked=False),
        st.sampled_from([Opcode.TEXT, Opcode.BINARY, Opcode.CONTINUATION]),
        st.sampled_from([b"", b"[" * 70_000, b"{}", b"[1]", b"\xff", b"x" * 200]),
    ),
    st.just(b"\x01\x03[1]"),  # a message's first fragment
)
connections = st.lists(st.lists(anything, max_size=8), min_size=1, max_size=4)


class Slowly:
    """The same, of whole frames; what was shown and not noted is `None`."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.shown: list[str | None] = []

    def note(self, text: str | None) -> None:
        self.shown += [None] if text is None else text

    def connection(self, frames: list[bytes], *, first: bool) -> bytes:
        """What the browser gets of one connection."""
        out, waits = b"", not first
        for one in frames:
            kind, text = self.message(one)
            kept = len(one) <= (REPLAY if waits else 1) * self.limit
            if waits and kind == "setup" and kept:
                continue
            if waits and kind == "stdout" and kept:
                known = "".join("\0" if part is None else part for part in self.shown[-self.limit :])
                text = slowly_unseen(known, text)
                out += say("stdout", text) if text else b""
            else:
                out += one
            waits = False
            self.note((text if kind == "stdout" else "") if kept else None)
        return out

    def message(self, one: bytes) -> tuple[str, str]:
        try:
            kind, value = json.loads(text_of(one, masked=False) or "")
        except (ValueError, TypeError, RecursionError):
            return "", ""
        return (kind, value) if isinstance(value, str) else (kind, "")


@given(connections, st.sampled_from([1, 16, 60, 200, 1 << 17]), st.data())
def test_nothing_is_lost_repeated_or_reordered(frames: list[list[bytes]], limit: int, data: st.DataObject) -> None:
    """Under any chunking, over several moves, with frames shorter and longer than the limit."""
    replay, slowly = TerminalReplay(limit), Slowly(limit)
    for number, one in enumerate(frames):
        if number:
            replay.redialled()
        stream = b"".join(one)
        out = b""
        for piece in in_pieces(data, stream):
            given_out = replay.feed(piece)
            assert given_out == piece or (number and not out), "at once"
            out += given_out
        assert out == slowly.connection(one, first=not number)


@given(st.integers(1, 300), st.integers(10, 400), st.lists(st.integers(0, 300), max_size=20))
def test_a_frame_that_has_no_end_passes_at_once(limit: int, size: int, pieces: list[int]) -> None:
    """Also in the replay's place: as soon as its header says that it is too long."""
    header = b"\x82\x7f" + (size + (1 << 40)).to_bytes(8)
    replay = TerminalReplay(limit)
    replay.redialled()
    assert b"".join([replay.feed(bytes([one])) for one in header]) == header
    for one in pieces:
        assert replay.feed(b"x" * one) == b"x" * one


@pytest.mark.parametrize("again", [False, True], ids=["live", "after a move"])
def test_an_endless_frame_is_not_kept(again: bool) -> None:
    replay, piece = TerminalReplay(MILLION), b"x" * (64 << 10)
    if again:
        replay.redialled()
    began = time.process_time()
    tracemalloc.start()
    try:
        replay.feed(b"\x82\x7f" + (1 << 40).to_bytes(8))
        for _ in range(400):
            assert replay.feed(piece) == piece
        assert tracemalloc.get_traced_memory()[1] < 4 * MILLION
    finally:
        tracemalloc.stop()
    assert time.process_time() - began < PATIENCE


def test_small_pieces_and_small_frames_take_no_longer_than_large_ones() -> None:
    replay = TerminalReplay(MILLION)
    began = time.process_time()
    long = frame(Opcode.TEXT, b"x" * (MILLION - 100), masked=False)
    for at in range(0, len(long), 4):
        replay.feed(long[at : at + 4])
    short = say("stdout", "tick\n") * 1000
    for _ in range(200):
        replay.feed(short)
    assert time.process_time() - began < PATIENCE
    replay.redialled()
    assert replay.feed(say("stdout", "tick\n" * 9000 + "tock\n")) == say("stdout", "tock\n")


def test_what_is_nested_too_deep_is_no_message() -> None:
    deep = frame(Opcode.TEXT, b"[" * 200_000, masked=False)
    replay = TerminalReplay(MILLION)
    assert replay.feed(deep) == deep
    replay.redialled()
    assert replay.feed(deep) == deep


def test_a_replay_that_is_longer_than_what_is_noted_is_cut_all_the_same() -> None:
    """A thousand chunks of output, most of which nobody noted any more."""
    replay, output = TerminalReplay(1000), "".join(f"line {number}\r\n" for number in range(1000))
    for at in range(0, len(output), 50):
        replay.feed(say("stdout", output[at : at + 50]))
    replay.redialled()
    assert replay.feed(say("stdout", output + "new\r\n")) == say("stdout", "new\r\n")
    long = say("stdout", "x" * 1100)
    assert replay.feed(long) == long
    assert replay.feed(long[:-1]) == long[:-1], "after the replay the usual limit holds"
