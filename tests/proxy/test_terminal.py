"""terminal.py: whatever of a terminal's output was shown, after a re-dial each character is shown once."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from gateway.proxy.frames import Opcode, frame, split_frames, text_of
from gateway.proxy.terminal import TerminalReplay, unseen

words = st.text(alphabet="ab\n", max_size=30)


def say(kind: str, value: object) -> bytes:
    return frame(Opcode.TEXT, json.dumps([kind, value]).encode(), masked=False)


@given(words, words, st.integers(0, 60))
def test_the_new_part_is_never_lost_and_a_long_overlap_never_doubled(shown: str, new: str, kept: int) -> None:
    output = shown + "#mark#" + new  # a mark that random text does not repeat: the overlap is certain
    replay = output[-max(kept, len(new) + 6) :]
    assert unseen(shown + "#mark#", replay) == new


def test_nothing_in_common_is_all_new() -> None:
    assert unseen("abc", "xyz") == "xyz"
    assert unseen("", "xyz") == "xyz"
    assert unseen("abc", "") == ""


@given(st.data())
def test_any_chunking(data: st.DataObject) -> None:
    replay = TerminalReplay(1 << 16)
    live = say("setup", {}) + say("stdout", "one\n") + say("stdout", "two\n")
    assert replay.feed(live) == live
    replay.redialled()
    stream = say("setup", {}) + say("stdout", "one\ntwo\nthree\n") + say("stdout", "four\n") + say("other", 1)
    out, at = b"", 0
    while at < len(stream):
        step = data.draw(st.integers(1, len(stream) - at))
        out += replay.feed(stream[at : at + step])
        at += step
    frames, rest = split_frames(out, masked=False)
    shown = [json.loads(text_of(one, masked=False) or "") for one in frames]
    assert not rest and shown == [["stdout", "three\n"], ["stdout", "four\n"], ["other", 1]]
