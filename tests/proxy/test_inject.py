"""inject.py: where the tag goes, byte for byte, whatever the chunks; and when it goes nowhere.

The last test asks a real Chromium: the page with the tag must be the page without it, and one script in its head.
"""

from __future__ import annotations

import gzip
import itertools
import random
import shutil
import zlib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.proxy import documents as policy
from gateway.proxy import inject
from gateway.proxy.coding import CODINGS, STEP, Decoded, Decoder, Undecodable
from gateway.proxy.inject import Injector

TAG = inject.script_tag(b"/.gw/l.js")
LIMIT = 4096


def pieces(document: bytes, cuts: list[int]) -> list[bytes]:
    edges = [0, *sorted(min(cut, len(document)) for cut in cuts), len(document)]
    return [document[a:b] for a, b in itertools.pairwise(edges)]


def injected(chunks: list[bytes], tag: bytes = TAG, limit: int = LIMIT) -> bytes:
    injector = Injector(tag, limit)
    return b"".join([*(injector.feed(chunk) for chunk in chunks), injector.finish()])


# Where: `^` is the place

PLACES = [
    # after the head tag
    *("<!doctype html><html><head>^<meta charset=utf-8></head><body></body></html>", "<head>^", "<HEAD>^<title>"),
    *("<head >^x", "<head/>^<title>", "<head\n>^", "<head a=1 b = '>' c=\">\" d=>^<title>"),
    *("<html a='<head>'><head>^", '<html data-x="a>b"><head>^'),
    "<html =a='>'>^'><head>",  # an attribute's name may begin with =, and then the quote is a name's
    "<html a\"b='>'><head>^",  # a quote within a name is a letter
    '<html a=b">^"><head>',  # within an unquoted value as well
    *("<html a = b/><head>^", "<html a= '>'/'>^'><head>", "<html/a/b='>'><head>^", "<html a='x'b='>'><head>^"),
    *("<html a \t= '>'><head>^", "<html a b='>'><head>^", "<html a='><head>'><head>^", "<head a='\"' b='>'>^"),
    "<html a\f=\r'>'\n><head>^<p>",
    # comments
    *("<!-- a > b --><head>^", "<!--[if IE]><head><![endif]--><head>^", "<!--><head>^-->", "<!---><head>^-->"),
    *("<!----><head>^-->", "<!--a--!><head>^-->", "<!--!><head>--><head>^", "<!---!><head>--><head>^"),
    *("<!-- <!-- --><head>^-->", "<!-- <!--> <head>^", "<!--a--- ><head>---><head>^", "<!--a--!-><head>--><head>^"),
    *("<!--a--!x><head>--><head>^", "<!--a--!--><head>^", "<!--a- -><head>--><head>^", "<!-- a --->^x"),
    # what ends at the first >
    *('<!doctype html "><head>^', "<!doctype html PUBLIC '-//>^'>", "<?xml version='1.0'?><head>^", "<?><head>^"),
    *("<!><head>^", "<!-><!doctype html>^-->", "<!-a><head>^", "<!x <head>^", "<![CDATA[><head>^]]>", "</><head>^"),
    *("</3><head>^", "</ head><head>^"),
    # end tags
    *("</p><head>^", "</p a='>'><head>^", "</heads><head>^", "</hea><head>^", "</brr><head>^", "^</head><body>"),
    *("^</BODY>", "<html>^</html>x", "^</br>", "^</br/><head>", "^</head x><head>"),
    # what opens the head by itself
    *("^<title>x</title>", "^<meta charset=utf-8>", "^<script>'<head>'</script>", "^<body>", "<html>^<body>"),
    *("<html lang=en>\n<!-- x -->\n^<link>", "^<header>", "^<heads>", "^<htmlx>", "^<he>", "^<h1>x", "^<h\0ead>"),
    *("^hello", "  \t\r\n\f^hello", "^\v", "^<", "^< head>", "^<3", "^<html\0><head>", "<!doctype html>^&lt;"),
    *("<!doctype html><!doctype html>^a", "<html><html a>^<p>"),
    # the end comes first
    *("<html>^", "<!doctype html>^", " ^", "<!-- a -->^", "^<hea", "^<html", "^</", "^</b", "^", "^\0"),
    *("<html>^<html a='>", "^<head a", "<!-- a -->^</p a"),
    # byte order mark
    *("\xef\xbb\xbf<html><head>^", "\xef\xbb\xbf^x", "\xef\xbb\xbf^", "^\xef\xbb", "^\xef\xbbx", "^\xef", "^x"),
]

NOWHERE = [
    *("<!-- a", "<!-- a --", "<!-- a --!", "<!--", "<!-", "<!", "<!doctype html", "<?a", "</3", '{"result": 1}'),
    *(" [1]", "<!doctype html>{{ template }}", "\xfe\xff\0<\0h", "\xff\xfe<\0h\0"),
    "<\0h\0t\0m\0l\0>\0",  # UTF-16 without a mark
    *("\0<\0h\0t\0m\0l\0>", "\n\0<\0h\0"),
    "<!-- \x1b$B --><head>",  # ISO-2022-JP
    *("<html \x1b(B><head>", "\x1b$B"),
]


MARKED = [text.encode("latin-1") for text in PLACES]
EXPECTED = [(text.replace(b"^", b""), text.replace(b"^", TAG)) for text in MARKED]
EXPECTED += [(text.encode("latin-1"), text.encode("latin-1")) for text in NOWHERE]


@pytest.mark.parametrize(("document", "expected"), EXPECTED)
def test_the_tag_goes_to_its_place_however_the_document_is_cut(document: bytes, expected: bytes) -> None:
    assert injected([document]) == expected
    assert injected([bytes([one]) for one in document]) == expected
    for cut in range(len(document)):
        assert injected([document[:cut], b"", document[cut:]]) == expected


SOUP = [
    *(b"<html>", b"<HTML lang='a>b'>", b"<html a=b/>", b"</html>", b"<head>", b"<head/>", b'<HEAD x=">">', b"</head>"),
    *(b"<!doctype html>", b"<!DOCTYPE html PUBLIC '-//W3C//DTD HTML 4.01//EN'>", b"<!doctype", b"<!doctype x '>'>"),
    *(b"<!-- a -->", b"<!-->", b"<!--->", b"<!--a--!>", b"<!-- <!-- -->", b"<!--a--!-->", b"<!>", b"<?xml?>", b"</3>"),
    *(b"<![CDATA[x]]>", b"</>", b"</p>", b"</br>", b"</body>", b"</a x='>'>", b"<!-", b"<!--", b"-->", b"<"),
    *(b" ", b"\n", b"\t\r\n", b"\f", b"a", b"&lt;", b"&nbsp;", b">", b'"', b"'", b"\xc3\xa9", b"--", b"=", b"/"),
    *(b"<body>", b"<body class=a>", b"<p>", b"<p a='x' b=>", b"<table>", b"<tr>", b"<td>", b"<select>", b"<option>"),
    *(b"<title>a</title>", b"<title>", b"<meta charset=utf-8>", b"<link>", b"<base href=x>", b"<style>a{}</style>"),
    *(b"<script>'<head>'</script>", b"<noscript><p></noscript>", b"<template><p></template>", b"<textarea>"),
    *(
        *(b"<frameset>", b"<frame>", b"</frameset>", b"<svg><p></svg>", b"<math><mi>"),
        *(
            b"<plaintext>",
            b"<h1>",
            b"<header>",
        ),
    ),
    *(b"<a>", b"<b>", b"<i>", b"</b>", b"<form>", b"<input type=hidden>", b"<button>", b"<hr>", b"<br>", b"<img>"),
]
documents = st.lists(st.sampled_from([*SOUP, TAG, TAG[:9], b"\0", b"\x1b"]) | st.binary(max_size=3), max_size=12).map(
    b"".join
)


@given(documents, st.lists(st.integers(0, 200), max_size=12), st.integers(0, 120))
@settings(max_examples=600)
def test_any_cut_gives_the_same_bytes_and_without_the_tag_the_original(
    document: bytes, cuts: list[int], limit: int
) -> None:
    whole = injected([document], limit=limit)
    assert injected(pieces(document, cuts), limit=limit) == whole
    assert whole == document or whole in [
        document[:at] + TAG + document[at:] for at in range(min(len(document), limit) + 1)
    ]


@given(documents, st.lists(st.integers(0, 200), max_size=12))
def test_it_says_whether_it_injected_and_when_it_is_done(document: bytes, cuts: list[int]) -> None:
    injector = Injector(TAG, LIMIT)
    out = b""
    for chunk in pieces(document, cuts):
        was_done = injector.done
        gone = injector.feed(chunk)
        assert not was_done or gone == chunk
        out += gone
    out += injector.finish()
    assert injector.done
    assert injector.injected == (len(out) > len(document))


def test_what_is_decided_goes_out_at_once() -> None:
    injector = Injector(TAG, LIMIT)
    assert injector.feed(b"<!doctype html>\n<!-- a long") == b"<!doctype html>\n<!-- a long"
    assert injector.feed(b" licence --><html lang") == b" licence -->"
    assert injector.feed(b"='en'><h") == b"<html lang='en'>"
    assert injector.feed(b"ead>") == b"<head>"  # the tag may be in the page already: the next byte tells
    assert not injector.done
    assert injector.feed(b"\n") == TAG + b"\n"
    assert injector.done


@pytest.mark.parametrize("before", [b"<html><head>", b"", b"\xef\xbb\xbf<!doctype html>"])
def test_a_page_that_has_the_tag_is_left_alone(before: bytes) -> None:
    document = before + TAG + b"<title>x</title>"
    assert injected([document]) == document
    assert injected([bytes([one]) for one in document]) == document
    assert injected([document[: len(before) + 9]]) == before + TAG + TAG[:9]
    other = before + TAG[:9] + b"x>"
    assert injected([bytes([one]) for one in other]) == before + TAG + TAG[:9] + b"x>"


@pytest.mark.parametrize("size", [1, 7, 10_000])
def test_after_the_limit_the_page_passes(size: int) -> None:
    comment = b"<!--" + b"x" * 93 + b"-->"
    document = comment + b"<head>" + b"x" * 5000
    chunks = [document[at : at + size] for at in range(0, len(document), size)]
    assert injected(chunks, limit=106) == document  # the byte after `<head>` was not looked at
    assert injected(chunks, limit=107) == comment + b"<head>" + TAG + b"x" * 5000
    assert injected(chunks, limit=0) == document


def test_no_more_is_kept_than_the_limit() -> None:
    injector = Injector(TAG, 1000)
    assert injector.feed(b"<html a='" + b"x" * 990) == b""
    assert injector.feed(b"y" * 50_000) == b"<html a='" + b"x" * 990 + b"y" * 50_000
    assert injector.done
    assert not injector.injected


@pytest.mark.parametrize("tag", [b"<script>\xe9</script>", b"x" * 257])
def test_a_tag_is_short_ascii(tag: bytes) -> None:
    with pytest.raises(ValueError, match="short ASCII"):
        Injector(tag, LIMIT)


def test_a_tag_of_the_longest_nonce_is_short_enough_and_no_longer_one_is_taken() -> None:
    Injector(b"x" * 256, LIMIT)
    Injector(inject.script_tag(b"/.gw/l.0123456789abcdef.js", b"n" * 128 + b"=="), LIMIT)


def test_the_tag_blocks_and_carries_a_nonce() -> None:
    assert inject.script_tag(b"/.gw/l.1f.js") == b'<script src="/.gw/l.1f.js"></script>'
    assert inject.script_tag(b"/.gw/l.js", b"a+/=") == b'<script src="/.gw/l.js" nonce="a+/="></script>'


# When: requests

ACCEPT = (b"Accept", b"text/html,application/xhtml+xml,*/*;q=0.8")
NAVIGATION = [
    (b"GET", b"/", [ACCEPT]),
    (b"GET", b"/lab?path=/api/x", [(b"accept", b"TEXT/HTML")]),
    (b"GET", b"/apian", [ACCEPT]),
    (b"GET", b"/lab/api", [ACCEPT]),
    (b"GET", b"/", [(b"Sec-Fetch-Dest", b"document"), (b"Accept", b"*/*")]),
]
NO_NAVIGATION = [
    (b"POST", b"/", [ACCEPT]),
    (b"HEAD", b"/", [ACCEPT]),
    (b"GET", b"/", []),
    (b"GET", b"/", [(b"Accept", b"*/*")]),
    (b"GET", b"/", [(b"Accept", b"application/json")]),
    (b"GET", b"/", [ACCEPT, (b"X-Requested-With", b"XMLHttpRequest")]),
    (b"GET", b"/", [ACCEPT, (b"Sec-Fetch-Dest", b"iframe")]),
    (b"GET", b"/", [ACCEPT, (b"sec-fetch-dest", b"empty")]),
    (b"GET", b"/", [ACCEPT, (b"Sec-Fetch-Dest", b"document"), (b"Sec-Fetch-Dest", b"iframe")]),
    (b"GET", b"/upload", [ACCEPT]),
    (b"GET", b"/upload?x", [ACCEPT]),
    (b"GET", b"/auth-update-credentials", [ACCEPT]),
    (b"GET", b"/rpc/get", [ACCEPT]),
    (b"GET", b"/files/a.html", [ACCEPT]),
    (b"GET", b"/%66iles/a.html", [ACCEPT]),
    (b"GET", b"/api/contents", [(b"Sec-Fetch-Dest", b"document")]),
    (b"GET", b"/.gw/l.js", [ACCEPT]),
]


@pytest.mark.parametrize(("method", "target", "headers"), NAVIGATION)
def test_a_navigation_of_a_top_document(method: bytes, target: bytes, headers: list[tuple[bytes, bytes]]) -> None:
    assert policy.may_inject_request(method, target, headers)


@pytest.mark.parametrize(("method", "target", "headers"), NO_NAVIGATION)
def test_no_navigation(method: bytes, target: bytes, headers: list[tuple[bytes, bytes]]) -> None:
    assert not policy.may_inject_request(method, target, headers)


# When: answers

HTML = (b"Content-Type", b"text/html")
DOCUMENTS = [
    (200, [HTML]),
    (200, [(b"content-type", b"Text/HTML; Charset=UTF-8")]),
    (200, [(b"Content-Type", b'text/html;charset="shift_jis"')]),
    (404, [HTML]),
    (503, [HTML]),
    (300, [HTML]),
    (200, [HTML, (b"Content-Disposition", b"inline; filename=a.html")]),
    *((200, [HTML, (b"Content-Encoding", coding)]) for coding in (b"identity", b"GZIP", b"deflate", b"br", b"zstd")),
]
NO_DOCUMENTS = [
    *((status, [HTML]) for status in (101, 199, 204, 205, 206, 304, 600)),
    (302, [HTML, (b"Location", b"/")]),
    (200, []),
    (200, [(b"Content-Type", b"application/xhtml+xml")]),
    (200, [(b"Content-Type", b"text/html-x")]),
    (200, [(b"Content-Type", b"text/plain; a=text/html")]),
    (200, [HTML, HTML]),
    (200, [HTML, (b"Content-Disposition", b"attachment")]),
    (200, [HTML, (b"Content-Disposition", b"filename=x")]),
    (200, [HTML, (b"Content-Encoding", b"dcb")]),
    (200, [HTML, (b"Content-Encoding", b"gzip, br")]),
    (200, [HTML, (b"Content-Encoding", b"gzip"), (b"Content-Encoding", b"gzip")]),
    *(
        (200, [(b"Content-Type", b"text/html; charset=" + charset)])
        for charset in (b"utf-16", b"UTF-16LE", b"'utf-16be'", b"unicode", b"ISO-2022-JP", b"csiso2022jp", b"ucs-2")
    ),
    (200, [(b"Content-Type", b'text/html; x=y; charset = "hz-gb-2312"')]),
]


@pytest.mark.parametrize(("status", "headers"), DOCUMENTS)
def test_a_document(status: int, headers: list[tuple[bytes, bytes]]) -> None:
    assert policy.may_inject_response(status, headers)


@pytest.mark.parametrize(("status", "headers"), NO_DOCUMENTS)
def test_no_document(status: int, headers: list[tuple[bytes, bytes]]) -> None:
    assert not policy.may_inject_response(status, headers)


# Edits


def test_the_job_is_asked_for_a_whole_plain_document() -> None:
    came = [
        (b"Host", b"gw:10001"),
        (b"accept-encoding", b"gzip, br"),
        (b"If-Modified-Since", b"Thu, 01 Jan 1970 00:00:00 GMT"),
        (b"Range", b"bytes=1-"),
        (b"If-Range", b'"x"'),
        (b"Cookie", b"a=b"),
    ]
    assert policy.request_edits(came, b"7") == [
        (b"Host", b"gw:10001"),
        (b"Cookie", b"a=b"),
        (b"Accept-Encoding", b"identity"),
    ]


@pytest.mark.parametrize(
    ("validators", "asked"),
    [
        ([b'W/"gw-7-abc"'], [b'"abc"']),
        ([b'W/"gw-7-a,b", W/"gw-7-c"', b'W/"gw-7-"'], [b'"a,b", "c", ""']),
        ([b'W/"gw-7-gw-7-a"'], [b'"gw-7-a"']),
        ([b'"abc"'], []),
        ([b'W/"gw-6-abc"'], []),
        ([b"*"], []),
        ([b"gw-7-abc"], []),
        ([b'"x", W/"gw-7-abc"'], [b'"abc"']),
    ],
)
def test_only_a_validator_of_our_own_form_goes_on(validators: list[bytes], asked: list[bytes]) -> None:
    out = policy.request_edits([(b"If-None-Match", value) for value in validators], b"7")
    assert [value for name, value in out if name == b"If-None-Match"] == asked


def test_an_etag_makes_the_round() -> None:
    answered = policy.response_edits([(b"etag", b'"5-x"')], b"7")
    assert (b"ETag", b'W/"gw-7-5-x"') in answered
    asked = policy.request_edits([(b"If-None-Match", dict(answered)[b"ETag"])], b"7")
    assert (b"If-None-Match", b'"5-x"') in asked


@pytest.mark.parametrize("etag", [b"5-x", b'"a" "b"', b"W/x", b""])
def test_a_malformed_etag_goes(etag: bytes) -> None:
    assert policy.response_edits([(b"ETag", etag)], b"7") == [(b"Vary", b"Sec-Fetch-Dest")]


def test_a_weak_etag_is_taken_as_well() -> None:
    assert (b"ETag", b'W/"gw-7-x"') in policy.response_edits([(b"ETag", b'W/"x"')], b"7")


def test_what_describes_other_bytes_goes() -> None:
    about = [
        *((b"Content-Length", b"5"), (b"Content-Encoding", b"gzip"), (b"Accept-Ranges", b"bytes")),
        *((b"last-modified", b"x"), (b"Content-MD5", b"x"), (b"Digest", b"x"), (b"Repr-Digest", b"x")),
        (b"Content-Digest", b"x"),
    ]
    kept = [HTML, (b"Set-Cookie", b"a=b"), (b"Set-Cookie", b"c=d")]
    assert policy.response_edits([*about, *kept], b"7") == [*kept, (b"Vary", b"Sec-Fetch-Dest")]


@pytest.mark.parametrize("vary", [b"*", b"Accept, sec-fetch-dest", b"Sec-Fetch-Dest"])
def test_vary_says_it_once(vary: bytes) -> None:
    assert policy.varies([(b"Vary", vary)]) == [(b"Vary", vary)]
    assert policy.varies([(b"Vary", b"Accept")]) == [(b"Vary", b"Accept"), (b"Vary", b"Sec-Fetch-Dest")]


# Decoding

PAGE = b"<!doctype html>" + bytes(range(256)) * 3000 + b"\0" * 1_000_000


def raw_deflate(data: bytes) -> bytes:
    made = zlib.compressobj(wbits=-15)
    return made.compress(data) + made.flush()


def brotli(data: bytes) -> bytes:
    module: Any = pytest.importorskip("brotli")
    made: bytes = module.compress(data)
    return made


def zstandard(data: bytes) -> bytes:
    module: Any = pytest.importorskip("backports.zstd")
    made: bytes = module.compress(data)
    return made


ENCODED = {
    "gzip": (b"gzip", gzip.compress(PAGE)),
    "x-gzip": (b"x-gzip", gzip.compress(PAGE)),
    "gzip members": (b"gzip", gzip.compress(PAGE[:9]) + gzip.compress(PAGE[9:])),
    "gzip and junk": (b"gzip", gzip.compress(PAGE) + b"\0\0junk\x1f\x8b"),
    "deflate": (b"deflate", zlib.compress(PAGE)),
    "raw deflate": (b"deflate", raw_deflate(PAGE)),
    "deflate and junk": (b"deflate", zlib.compress(PAGE) + b"junk"),
    "br": (b"br", brotli(PAGE)),
    "zstd": (b"zstd", zstandard(PAGE)),
    "zstd frames": (b"zstd", zstandard(PAGE[:9]) + zstandard(PAGE[9:])),
}


def decoded(decoder: Decoder, chunk: bytes) -> list[bytes]:
    """The outputs of all steps that one chunk needs."""
    step = decoder.step(chunk)
    assert isinstance(step, Decoded)
    return [step.data] if not step.more else [step.data, *decoded(decoder, b"")]


@pytest.mark.parametrize("size", [1, 100, 1 << 20])
@pytest.mark.parametrize("name", ENCODED)
def test_a_body_is_decoded_in_bounded_steps(name: str, size: int) -> None:
    coding, body = ENCODED[name]
    decoder = Decoder(coding)
    body = body if size > 1 else body[:20_000]
    out = [one for at in range(0, len(body), size) for one in decoded(decoder, body[at : at + size])]
    assert b"".join(out) == PAGE[: len(b"".join(out))]
    assert size == 1 or b"".join(out) == PAGE
    assert max(map(len, out)) <= STEP * 3 // 2


@pytest.mark.parametrize("coding", sorted(CODINGS))
def test_bytes_of_another_coding_are_a_value(coding: bytes) -> None:
    assert Decoder(coding).step(b"<!doctype html><html><head>") == Undecodable()


def test_an_unknown_coding_is_refused() -> None:
    with pytest.raises(ValueError, match="coding"):
        Decoder(b"dcz")


def test_what_was_flushed_comes_out_at_once() -> None:
    made = zlib.compressobj(wbits=31)
    start = made.compress(b"<head>") + made.flush(zlib.Z_SYNC_FLUSH)
    assert Decoder(b"gzip").step(start) == Decoded(b"<head>", more=False)


def test_a_frame_that_wants_a_big_window_is_refused() -> None:
    module: Any = pytest.importorskip("backports.zstd")
    made = module.ZstdCompressor(options={module.CompressionParameter.window_log: 27})
    assert Decoder(b"zstd").step(made.compress(b"x") + made.flush()) == Undecodable()


# A real parser

SCRIPT = """(pairs) => {
  // A form's or frameset's children may hide these properties, so they are taken from where they are defined.
  const own = (type, key) => {
    const { get } = Object.getOwnPropertyDescriptor(type.prototype, key);
    return (node) => get.call(node);
  };
  const children = own(Node, "childNodes"), attributes = own(Element, "attributes");
  const tree = (node) => [
    node.nodeType, node.nodeName, node.namespaceURI || "", node.publicId || "", node.systemId || "",
    node instanceof CharacterData ? node.data : "",
    node instanceof Element ? [...attributes(node)].map((one) => [one.name, one.value]) : [],
    [...children(node)].map(tree),
    node instanceof HTMLTemplateElement ? tree(node.content) : [],
  ];
  const parse = (text) => new DOMParser().parseFromString(text, "text/html");
  return pairs.map(([before, after]) => {
    const page = parse(before), ours = parse(after);
    const scripts = ours.querySelectorAll('script[src="/.gw/l.js"]');
    if (scripts.length !== 1 || scripts[0].parentNode !== ours.head) return scripts.length + " scripts in head";
    scripts[0].remove();
    const same = page.compatMode === ours.compatMode && JSON.stringify(tree(page)) === JSON.stringify(tree(ours));
    return same ? "same" : "another page";
  });
}"""


def soups(count: int) -> list[bytes]:
    """Documents as the WHATWG's tree construction tests have them: tokens in any order, most of them wrong.

    As there, few end within a comment.
    """
    draw = random.Random(20261123)
    ends = (b"", b"-->", b"-->x")
    return [b"".join([*draw.choices(SOUP, k=draw.randint(1, 9)), draw.choice(ends)]) for _ in range(count)]


@pytest.mark.browser
def test_a_browser_sees_the_same_page_and_one_script() -> None:
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("no Chromium")
    playwright = pytest.importorskip("playwright.sync_api")
    corpus = [*(document for document, expected in EXPECTED if document != expected), *soups(3000)]
    corpus = [document for document in corpus if b"\0" not in document]
    pairs = [(document, injected([document], limit=65536)) for document in corpus]
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        found = browser.new_page().evaluate(
            SCRIPT, [[one.decode("utf-8-sig", "replace") for one in pair] for pair in pairs]
        )
        browser.close()
    others = [pair for pair, what in zip(pairs, found, strict=True) if what != "same"]
    assert [pair for pair in others if pair[0] != pair[1]] == []
    assert [
        before for before, _ in others if injected([before + b"-->"]) == before + b"-->"
    ] == []  # else: cut comments
    assert len(others) / len(corpus) <= 13 / 1604  # what the first prototype left out of the WHATWG's tests
