"""passage.py: what goes on unread is what the relay would have sent on as it is, and nothing else."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.proxy.doubt import Doubt
from gateway.proxy.frames import Data, Opcode, Scanner
from gateway.proxy.passage import State, to_browser, to_job

from .test_frames import masks, raw_frame


class Asked(Doubt):
    """One that has no event loop to arm."""

    def __init__(self) -> None:
        super().__init__(1.0, lambda _: True)
        self.armed = 0

    def arm(self) -> None:
        self.armed += 1


@dataclass
class Way:
    """One direction, and what became of the reads."""

    masked: bool
    state: State = State.LIVE
    went: list[bytes] = field(default_factory=list)
    left: list[bytes] = field(default_factory=list)
    doubt: Asked = field(default_factory=Asked)

    def __post_init__(self) -> None:
        self.scanner = Scanner(masked=self.masked)
        if self.masked:
            self.received = to_job(self, self.scanner, self, self.doubt, self.left.append)
        else:
            self.received = to_browser(self, self.scanner, self, self.left.append)

    def out(self, written: tuple[object, bytes]) -> None:
        self.went.append(written[1])


def short(mask: bytes | None, body: bytes, opcode: int = Opcode.TEXT, *, fin: bool = True) -> bytes:
    return raw_frame(opcode, body[:125], fin=fin, mask=mask)


@given(st.binary(max_size=125), st.sampled_from([Opcode.TEXT, Opcode.BINARY]), st.none() | masks)
def test_each_whole_short_message_goes_on(body: bytes, opcode: int, mask: bytes | None) -> None:
    way, data = Way(mask is not None), short(mask, body, opcode)
    way.received(data)
    assert (way.went, way.left) == ([data], [])


@given(
    st.binary(max_size=200),
    st.integers(0, 255),
    st.sampled_from([0, 1, 0x7D, 0x7E, 0x7F, 0x80, 0x81, 0xFC, 0xFD, 0xFE, 0xFF]) | st.integers(0, 255),
    st.none() | masks,
)
def test_what_goes_on_unread_is_one_message(body: bytes, first: int, second: int, mask: bytes | None) -> None:
    whole = short(mask, body)
    for data in (bytes((first, second)) + body, whole + body, body, whole[:-1], whole + whole):
        way = Way(mask is not None)
        way.received(data)
        assert [*way.went, *way.left] == [data]
        if way.went:
            assert way.scanner.feed(data) == [Data(data)] and way.scanner.between_messages


@given(st.binary(max_size=125), st.none() | masks)
def test_nothing_goes_on_in_the_midst_of_something_else(body: bytes, mask: bytes | None) -> None:
    whole = short(mask, body)
    begun = [whole[:1], whole[:-1], short(mask, b"", fin=False), whole + short(mask, b"x")[:-1]]
    for part in begun:
        way = Way(mask is not None)
        way.scanner.feed(part)
        way.received(whole)
        assert way.scanner.between_messages or not way.went  # an empty frame without its last byte is a head begun


@pytest.mark.parametrize("masked", [True, False])
@pytest.mark.parametrize("state", [state for state in State if state is not State.LIVE])
def test_only_a_live_relay_lets_pass(state: State, masked: bool) -> None:
    way = Way(masked, state)
    data = short(b"mask" if masked else None, b"hello")
    way.received(data)
    assert (way.went, way.left, way.doubt.sent) == ([], [data], 0)
    way.state = State.LIVE
    way.received(data)
    assert way.went == [data]


def test_what_goes_to_the_job_is_counted_and_asked_about() -> None:
    way = Way(masked=True)
    for _ in range(3):
        way.received(short(b"mask", b"hello"))
    assert (way.doubt.sent, way.doubt.armed, way.doubt.exists) == (3, 3, True)
