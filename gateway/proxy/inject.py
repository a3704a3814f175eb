"""HTML bytes in, the same bytes plus one script tag out; and when that may be done at all.

Pure. The tag goes just after the `<head>` tag, else before the first token that makes a browser open the head by
itself. Up to there only white space, comments, doctypes and the tags html and head can stand, so the scanner is the
WHATWG tokenizer without its script, RCDATA and CDATA states (HTML, section 13.2.5). It goes byte by byte, so where
a chunk ends makes no difference, and keeps back only an unfinished tag, or a token of which it cannot say yet what.
Whatever is odd passes as it came, without the tag.
"""

from __future__ import annotations

import enum
import importlib
import re
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_to_bytes

from .headers import RawHeaders, values, without

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


# When. Each rule says no where it is not sure: a page without the widget is whole, a file with it is broken.

# RStudio's form targets and both servers' APIs and files, some of them JSON sent as text/html; and our own paths.
_NEVER_UNDER = (b"/upload", b"/auth-update-credentials", b"/rpc", b"/files", b"/api", b"/.gw")
# How the labels of UTF-16, ISO-2022-JP and `replacement` begin (WHATWG Encoding, section 4.2), and two that are none:
# in these a `<` is not always the byte 0x3C.
_FOREIGN_CHARSET = re.compile(rb"utf-?(?:16|32|7)|ucs-2|(?:cs)?unicode|iso-10646|(?:cs)?iso-?2022|hz-gb|replacement")
_CHARSET = re.compile(rb""";\s*charset\s*=\s*["']?([^\s;"']*)""")


def may_inject_request(method: bytes, target: bytes, headers: Sequence[tuple[bytes, bytes]]) -> bool:
    """Whether this request is a navigation of a top document, as far as a request can tell.

    Over plain http to a name or an IP browsers send no Sec-Fetch headers (Fetch Metadata, section 2: only to
    trustworthy URLs); there a frame looks the same, and the script itself stays away from frames.
    """
    path = unquote_to_bytes(target.partition(b"?")[0])
    if method != b"GET" or any(path == base or path.startswith(base + b"/") for base in _NEVER_UNDER):
        return False
    if destination := values(headers, b"sec-fetch-dest"):
        return destination == [b"document"]
    accepts = b",".join(values(headers, b"accept")).lower()
    return b"text/html" in accepts and not values(headers, b"x-requested-with")


def may_inject_response(status: int, headers: Sequence[tuple[bytes, bytes]]) -> bool:
    """Whether this answer is a document that a browser shows. What its policy says to it: csp.py."""
    shown = 200 <= status < 600 and status not in (204, 205, 206, 304)  # RFC 9110 §15.3.5-7, §15.4.5
    redirects = 300 <= status < 400 and bool(values(headers, b"location"))
    inline = all(_essence(value) == b"inline" for value in values(headers, b"content-disposition"))
    return shown and not redirects and inline and _is_html(headers) and _is_decodable(headers)


def _essence(value: bytes) -> bytes:
    return value.partition(b";")[0].strip().lower()


def _is_html(headers: Sequence[tuple[bytes, bytes]]) -> bool:
    kinds = values(headers, b"content-type")
    if [_essence(kind) for kind in kinds] != [b"text/html"]:
        return False
    charset = _CHARSET.search(kinds[0].lower())
    return charset is None or not _FOREIGN_CHARSET.match(charset[1])


def coding_of(headers: Sequence[tuple[bytes, bytes]]) -> bytes:
    """The Content-Encoding in lower case, as `Decoder` takes it; `identity` if there is none."""
    return b",".join(values(headers, b"content-encoding")).strip().lower() or b"identity"


def _is_decodable(headers: Sequence[tuple[bytes, bytes]]) -> bool:
    return coding_of(headers) in (b"identity", *CODINGS)


_TAGS = re.compile(rb'(?:W/)?"([^"]*)"')


def request_edits(headers: Sequence[tuple[bytes, bytes]], version: bytes) -> RawHeaders:
    """The lines that ask the job for a whole, plain document.

    `version` names the form into which we bring it (the script's hash, and which edits of its policy). A validator
    that names this form goes on as the job's own; any other goes, so that a 304 can only mean our form.
    """
    ours = b"gw-%b-" % version
    tags = _TAGS.findall(b",".join(values(headers, b"if-none-match")))
    mapped = [b'"%b"' % tag.removeprefix(ours) for tag in tags if tag.startswith(ours)]
    dropped = (b"accept-encoding", b"if-none-match", b"if-modified-since", b"range", b"if-range")
    out = [*without(headers, *dropped), (b"Accept-Encoding", b"identity")]
    return [*out, (b"If-None-Match", b", ".join(mapped))] if mapped else out


# What describes the job's bytes, not ours; RFC 9110 §8, RFC 9530 §2 and §3, RFC 3230 §4.3.2, RFC 1864.
_ABOUT_BYTES = (
    b"content-length content-encoding accept-ranges last-modified etag content-md5 digest repr-digest content-digest"
).split()


def response_edits(headers: Sequence[tuple[bytes, bytes]], version: bytes) -> RawHeaders:
    """The lines of a document that gets the tag, and of a 304 in answer to what `request_edits` made."""
    out = varies(without(headers, *_ABOUT_BYTES))
    for value in values(headers, b"etag")[:1]:
        if tag := _TAGS.fullmatch(value.strip()):
            out.append((b"ETag", b'W/"gw-%b-%b"' % (version, tag[1])))
    return out


def varies(headers: Sequence[tuple[bytes, bytes]]) -> RawHeaders:
    """The same lines, and that the answer is another one in a frame (RFC 9110 §12.5.5)."""
    named = {one.strip().lower() for value in values(headers, b"vary") for one in value.split(b",")}
    known = named & {b"*", b"sec-fetch-dest"}
    return list(headers) if known else [*headers, (b"Vary", b"Sec-Fetch-Dest")]


# A document that came back compressed in spite of `Accept-Encoding: identity`.

STEP = 64 << 10  # bytes of one step, brotli's up to half as much again: a bomb does not fill the memory


def _optional(*names: str) -> Any:
    for name in names:
        try:
            return importlib.import_module(name)
        except ImportError:
            continue
    return None


_brotli = _optional("brotli", "brotlicffi")
if not hasattr(getattr(_brotli, "Decompressor", None), "can_accept_more_data"):
    _brotli = None  # before 1.2 its steps have no bound
_zstd = _optional("compression.zstd", "backports.zstd")
CODINGS = frozenset(
    [b"gzip", b"x-gzip", b"deflate"] + [b"br"] * (_brotli is not None) + [b"zstd"] * (_zstd is not None)
)
_ERRORS: tuple[type[Exception], ...] = (
    zlib.error,
    *([_brotli.error] if _brotli else []),
    *([_zstd.ZstdError] if _zstd else []),
)


@dataclass(frozen=True, slots=True)
class Decoded:
    """`more`: not all that came is decoded yet, call `step(b"")` before the next chunk."""

    data: bytes
    more: bool


@dataclass(frozen=True, slots=True)
class Undecodable:
    """The bytes are not of this coding. Before anything went out: pass them on as they came."""


class Decoder:
    """Decodes one body, in pieces of any size. Raises ValueError for a coding that is not in CODINGS."""

    def __init__(self, coding: bytes) -> None:
        if coding not in CODINGS:
            raise ValueError("unknown content coding")
        self._engine = _Brotli() if coding == b"br" else _Members(*_STREAMS[coding])

    def step(self, chunk: bytes) -> Decoded | Undecodable:
        """Decode `chunk`, which must be empty where `more` was said."""
        try:
            data = self._engine.step(chunk)
        except _ERRORS:
            return Undecodable()
        return Decoded(data, self._engine.more)


class _Brotli:
    def __init__(self) -> None:
        self._stream = _brotli.Decompressor()
        self.more = False

    def step(self, chunk: bytes) -> bytes:
        out: bytes = self._stream.process(chunk, output_buffer_limit=STEP)
        self.more = bool(out) and not self._stream.is_finished()  # only an empty step tells that it has no more
        return out


def _gzip(_: bytes) -> Any:
    return zlib.decompressobj(wbits=31)


def _deflate(head: bytes) -> Any:
    """RFC 9110 §8.4.1.2: the zlib format; but some send what is inside of it, and browsers take both."""
    is_zlib = head[0] & 0x0F == 8 and int.from_bytes(head[:2], "big") % 31 == 0  # RFC 1950 §2.2
    return zlib.decompressobj(wbits=15 if is_zlib else -15)


def _zstandard(_: bytes) -> Any:
    window = {_zstd.DecompressionParameter.window_log_max: 23}  # 8 MiB, RFC 9659 §3
    return _zstd.ZstdDecompressor(options=window)


_STREAMS = {
    b"gzip": (_gzip, b"\x1f\x8b"),
    b"x-gzip": (_gzip, b"\x1f\x8b"),
    b"deflate": (_deflate, b""),
    b"zstd": (_zstandard, b"\x28\xb5"),
}


class _Members:
    """Streams that may follow each other (RFC 1952 §2.2, RFC 8878 §3.1), if each begins with `magic`.

    Anything else after the end is ignored, as browsers do.
    """

    def __init__(self, begin: Callable[[bytes], Any], magic: bytes) -> None:
        self._begin = begin
        self._magic = magic
        self._stream: Any = None
        self._rest = b""
        self._over = False
        self.more = False

    def step(self, chunk: bytes) -> bytes:
        data, self._rest, self.more = self._rest + chunk, b"", False
        if self._stream is None or self._stream.eof:
            if len(data) < 2:
                self._rest = data
                return b""
            self._over |= self._stream is not None and not (self._magic and data.startswith(self._magic))
            self._stream = self._begin(data)
        return b"" if self._over else self._decode(data)

    def _decode(self, data: bytes) -> bytes:
        stream = self._stream
        out: bytes = stream.decompress(data, STEP)
        self._rest = stream.unused_data if stream.eof else getattr(stream, "unconsumed_tail", b"")
        self.more = bool(self._rest) or not getattr(stream, "needs_input", len(out) < STEP)
        return out
