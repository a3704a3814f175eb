"""HTML bytes in, the same bytes plus one script tag out. When that may be done at all: documents.py.

Pure. The tag goes just after the `<head>` tag, else before the first token that makes a browser open the head by
itself. Up to there only white space, comments, doctypes and the tags html and head can stand, so the scanner is the
WHATWG tokenizer without its script, RCDATA and CDATA states (HTML, section 13.2.5). It goes byte by byte, so where
a chunk ends makes no difference, and keeps back only an unfinished tag, or a token of which it cannot say yet what.
Whatever is odd passes as it came, without the tag.
"""

from __future__ import annotations

import enum
import re

MAX_TAG = 256  # bytes: a page's `<meta charset>` must stay within its first 1024 (webrecorder/pywb issue 86)


def script_tag(source: bytes, nonce: bytes = b"") -> bytes:
    """The tag. Neither `async` nor `defer`: it must run before a `<meta>` policy in the page is read."""
    return b'<script src="%b"%b></script>' % (source, b' nonce="%b"' % nonce if nonce else b"")


class _State(enum.IntEnum):
    START = enum.auto()  # a byte order mark may come
    DATA = enum.auto()  # between tokens
    OPEN = enum.auto()  # in a token's first bytes, which do not tell yet
    BOGUS = enum.auto()  # doctype, `<!x`, `<?x`, `</3`: all end at the first `>`, even in quotes
    COMMENT_START = enum.auto()
    COMMENT_START_DASH = enum.auto()
    COMMENT = enum.auto()
    COMMENT_DASH = enum.auto()
    COMMENT_END = enum.auto()
    COMMENT_BANG = enum.auto()
    TAG_NAME = enum.auto()
    BEFORE_NAME = enum.auto()  # of an attribute
    NAME = enum.auto()
    AFTER_NAME = enum.auto()
    BEFORE_VALUE = enum.auto()
    DOUBLE_QUOTED = enum.auto()
    SINGLE_QUOTED = enum.auto()
    UNQUOTED = enum.auto()
    PLACE = enum.auto()  # the tag goes here, unless it is here already
    PASS = enum.auto()  # there is nothing more to do


_S = _State
_SPACE = b"\t\n\f\r "
# state: (where any other byte leads, {bytes: where these lead}); WHATWG HTML 13.2.5.8, .32 to .39, .41 to .52
_ROWS: dict[_State, tuple[_State, dict[bytes, _State]]] = {
    _S.BOGUS: (_S.BOGUS, {b">": _S.DATA}),
    _S.COMMENT_START: (_S.COMMENT, {b"-": _S.COMMENT_START_DASH, b">": _S.DATA}),
    _S.COMMENT_START_DASH: (_S.COMMENT, {b"-": _S.COMMENT_END, b">": _S.DATA}),
    _S.COMMENT: (_S.COMMENT, {b"-": _S.COMMENT_DASH}),
    _S.COMMENT_DASH: (_S.COMMENT, {b"-": _S.COMMENT_END}),
    _S.COMMENT_END: (_S.COMMENT, {b"-": _S.COMMENT_END, b"!": _S.COMMENT_BANG, b">": _S.DATA}),
    _S.COMMENT_BANG: (_S.COMMENT, {b"-": _S.COMMENT_DASH, b">": _S.DATA}),
    _S.TAG_NAME: (_S.TAG_NAME, {_SPACE + b"/": _S.BEFORE_NAME, b">": _S.DATA}),
    _S.BEFORE_NAME: (_S.NAME, {_SPACE + b"/": _S.BEFORE_NAME, b">": _S.DATA}),
    _S.NAME: (_S.NAME, {_SPACE: _S.AFTER_NAME, b"/": _S.BEFORE_NAME, b"=": _S.BEFORE_VALUE, b">": _S.DATA}),
    _S.AFTER_NAME: (_S.NAME, {_SPACE: _S.AFTER_NAME, b"/": _S.BEFORE_NAME, b"=": _S.BEFORE_VALUE, b">": _S.DATA}),
    _S.BEFORE_VALUE: (
        _S.UNQUOTED,
        {_SPACE: _S.BEFORE_VALUE, b'"': _S.DOUBLE_QUOTED, b"'": _S.SINGLE_QUOTED, b">": _S.DATA},
    ),
    _S.DOUBLE_QUOTED: (_S.DOUBLE_QUOTED, {b'"': _S.BEFORE_NAME}),
    _S.SINGLE_QUOTED: (_S.SINGLE_QUOTED, {b"'": _S.BEFORE_NAME}),
    _S.UNQUOTED: (_S.UNQUOTED, {_SPACE: _S.BEFORE_NAME, b">": _S.DATA}),
}
_NEXT = {
    state: [next((to for some, to in row.items() if byte in some), other) for byte in range(256)]
    for state, (other, row) in _ROWS.items()
}
_IN_TAG = frozenset(range(_S.TAG_NAME, _S.PLACE))
_HELD = _IN_TAG | {_S.START, _S.OPEN, _S.PLACE}  # where bytes wait for what comes next

_STEPPED_OVER = (b"<html", b"<head")
_OPENS_HEAD = (b"</head", b"</body", b"</html", b"</br")  # 13.2.6.4.3; any other end tag is ignored before head
_TELLING = (b"<!--", *_STEPPED_OVER, *_OPENS_HEAD)
_END_TAG = re.compile(rb"</[a-z]")
_MARK = b"\xef\xbb\xbf"  # UTF-8's; a page in UTF-16 begins with another, or with a NUL among its first two bytes
_ESCAPE = 0x1B  # ISO-2022-JP: from here on a `<` may be half of a letter


def _opened(token: bytes) -> _State:
    """What a token with these first bytes is, in lower case; OPEN while that is not clear. 13.2.5.6, .7, .42"""
    if token == b"<!--":
        return _S.COMMENT_START
    if any(known.startswith(token) for known in _TELLING):
        return _S.OPEN
    name, ended = token[:-1], token[-1] in _SPACE + b"/>"
    if ended and name in _OPENS_HEAD:
        return _S.PLACE
    if _END_TAG.match(token) or (ended and name in _STEPPED_OVER):
        return _S.TAG_NAME
    return _S.BOGUS if token[1] in b"!/?" else _S.PLACE


def _after_data(byte: int) -> _State:
    if byte in _SPACE:
        return _S.DATA
    if byte in b"{[":
        return _S.PASS  # JSON sent as text/html, which RStudio does: somebody parses it
    return _S.OPEN if byte == ord("<") else _S.PLACE


# How nearly all documents begin, up to the end of `<head>`; the same place that the scanner finds, in one step.
_USUAL = re.compile(
    rb"(?:\xef\xbb\xbf)?[\t\n\f\r ]*<!doctype html>[\t\n\f\r ]*"
    rb"(?:<html(?:[\t\n\f\r ]+[a-z-]+=\"[^\"\x1b]*\")*[\t\n\f\r ]*>[\t\n\f\r ]*)?<head>",
    re.IGNORECASE,
)


def usual_place(data: bytes, begin: int, limit: int, tag: bytes) -> int:
    """Where in `data` the tag goes, for a document that begins at `begin` as nearly all do; else 0: look closer."""
    usual = _USUAL.match(data, begin, begin + limit)
    if usual is None:
        return 0
    at = usual.end()
    here = tag.startswith(data[at : at + len(tag)])  # the tag is here already, or the rest of it may come
    return 0 if here else at


class Injector:
    """Puts `tag` into one document. `limit`: bytes looked at for its place; then all passes without it.

    Raises ValueError for a tag that is not short ASCII.
    """

    def __init__(self, tag: bytes, limit: int) -> None:
        if not tag.isascii() or len(tag) > MAX_TAG:
            raise ValueError("the tag must be short ASCII")
        self._tag = tag
        self._left = limit
        self._state = _S.START
        self._held = b""
        self._in_head_tag = False
        self.injected = False

    @property
    def done(self) -> bool:
        """Whatever comes now passes as it is."""
        return self._state is _S.PASS

    def feed(self, chunk: bytes) -> bytes:
        """Take a piece of the document, of any size; returns what may go out now."""
        if self.done:
            return chunk
        if self._state is _S.START and not self._held and (at := usual_place(chunk, 0, self._left, self._tag)):
            self.injected, self._state = True, _S.PASS
            return b"".join((chunk[:at], self._tag, chunk[at:]))
        looked_at, rest = chunk[: self._left], chunk[self._left :]
        self._left -= len(looked_at)
        out = self._look(self._held + looked_at, len(self._held))
        if not self._left:
            self._state = _S.PASS
        return out + self._release() + rest if self.done else out

    def finish(self) -> bytes:
        """The document has ended; returns the rest. A cut tag is forgotten by parsers; a cut comment gets no tag."""
        out = b""
        if self._state is _S.START:
            self._state = _S.DATA
            out = self._look(self._held, 0)
        if self._state in _HELD | {_S.DATA} and not self._held.startswith(b"<!"):
            self._insert()
        self._state = _S.PASS
        return out + self._release()

    def _look(self, data: bytes, at: int) -> bytes:
        """Scan data[at:], keep what is undecided, return the rest."""
        cut = self._scan(data, at)
        self._held = data[cut:]
        if self._state is _S.PLACE:
            self._place()
        return data[:cut]

    def _scan(self, data: bytes, at: int) -> int:
        """Step over data[at:] until the place is known; returns where the undecided bytes begin."""
        begun = 0
        if self._state is _S.START:
            at = self._start(data)
        while at < len(data) and self._state < _S.PLACE:
            byte = data[at]
            if byte == _ESCAPE:
                self._state = _S.PASS
            elif self._state is _S.DATA:
                begun = at
                self._state = _after_data(byte)
            elif self._state is _S.OPEN:
                token = data[begun : at + 1].lower()
                self._state = _opened(token)
                self._in_head_tag = token.startswith(b"<head")
                if self._state in (_S.TAG_NAME, _S.BOGUS):
                    continue  # the byte once more, as this state reads it
            else:
                self._step(byte)
                begun = begun if self._state in _IN_TAG else at + 1
            at += 1
        return begun if self._state in _HELD else len(data)

    def _start(self, data: bytes) -> int:
        """Step over a byte order mark; returns where the document begins."""
        if data[:2] in (b"\xfe\xff", b"\xff\xfe") or (len(data) >= 2 and 0 in data[:2]):
            self._state = _S.PASS
        elif len(data) >= 2 and data != _MARK[:2]:
            self._state = _S.DATA
            return len(_MARK) if data.startswith(_MARK) else 0
        return len(data)

    def _step(self, byte: int) -> None:
        self._state = _NEXT[self._state][byte]
        if self._state is _S.DATA and self._in_head_tag:
            self._state = _S.PLACE

    def _place(self) -> None:
        """A body that has the tag here already, from another gateway, is left alone."""
        if self._held.startswith(self._tag):
            self._state = _S.PASS
        elif not self._tag.startswith(self._held):
            self._insert()

    def _insert(self) -> None:
        self._held = self._tag + self._held
        self.injected = True
        self._state = _S.PASS

    def _release(self) -> bytes:
        held, self._held = self._held, b""
        return held
