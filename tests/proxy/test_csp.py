"""csp.py: what is added to which policy, and that a real Chromium then runs the loader and shows its frame."""

from __future__ import annotations

import base64
import hashlib
import shutil
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.proxy.csp import Amended, DoNotInject, amend
from gateway.proxy.inject import script_tag

APP = "http://10.0.0.5:10001"
CONTROL = "http://10.0.0.5:10999"
LOADER = APP + "/.gw/l.1f.js"
URL, FRAME = LOADER.encode(), CONTROL.encode()
CSP, REPORT_ONLY = b"Content-Security-Policy", b"Content-Security-Policy-Report-Only"
NONCE = b"'nonce-ours'"


def amended(*lines: tuple[bytes, bytes], loader: str = LOADER, control: str = CONTROL) -> Amended | DoNotInject:
    app = loader.rpartition("/.gw/")[0]
    return amend(list(lines), loader_url=loader, control_origin=control, app_origin=app, fresh_nonce=b"ours")


def policy(text: bytes, **urls: str) -> tuple[bytes, bytes]:
    """One policy after the amendment, and the tag's nonce."""
    result = amended((CSP, text), **urls)
    assert isinstance(result, Amended)
    assert [name for name, _ in result.headers] == [CSP]
    return result.headers[0][1], result.nonce


UNTOUCHED = [
    b"",
    b";",
    b"frame-ancestors 'self'; report-uri /api/security/csp-report",  # JupyterLab
    b"img-src 'none'; style-src 'none'; connect-src 'none'",
    b"require-trusted-types-for 'script'; trusted-types a",
    b"script-src 'self'",
    b"script-src 'SELF' 'unsafe-inline'",
    b"SCRIPT-SRC *",
    b"script-src http:",
    b"script-src " + URL,
    b"script-src http://10.0.0.5:10001",
    b"script-src http://10.0.0.5:10001/",
    b"script-src http://10.0.0.5:10001/.gw/",
    b"script-src http://10.0.0.5:10001/.%67w/l.1f.js",
    b"script-src 10.0.0.5:10001",
    b"script-src 10.0.0.5:*",
    b"script-src *:10001",
    b"script-src 'none'; script-src-elem 'self'",
    b"script-src-elem 'self'; default-src http:",
    b"default-src 'self' http:",
    b"frame-src " + FRAME,
    b"frame-src *",
    b"frame-src http:",
    b"frame-src 10.0.0.5:*",
    b"frame-src 'self' http://*:10999",
    b"child-src 'none'; frame-src *",
    b"default-src 'none'; frame-src *; script-src 'self'",
    b"default-src 'none'; child-src *; script-src 'self'",
    b"  script-src\t'self' ;; frame-src  * ; ",
]


@pytest.mark.parametrize("text", UNTOUCHED)
def test_a_policy_that_lets_us_in_keeps_its_bytes(text: bytes) -> None:
    assert policy(text) == (text, b"")


SCRIPTS = [
    (b"script-src 'none'", b"script-src 'none'; script-src-elem " + URL),
    (b"script-src", b"script-src; script-src-elem " + URL),
    (b"script-src 'NONE' ;", b"script-src 'NONE'; script-src-elem " + URL),
    (b"script-src 'unsafe-inline'", b"script-src 'unsafe-inline'; script-src-elem 'unsafe-inline' " + URL),
    (
        b"script-src 'sha256-aa=' cdn.example; img-src x",
        b"script-src 'sha256-aa=' cdn.example; img-src x; script-src-elem 'sha256-aa=' cdn.example " + URL,
    ),
    (b"script-src-elem a.example; script-src 'self'", b"script-src-elem a.example " + URL + b"; script-src 'self'"),
    (b"script-src 'self'; script-src-elem", b"script-src 'self'; script-src-elem " + URL),
    (b"script-src a; script-src 'self'", b"script-src a; script-src 'self'; script-src-elem a " + URL),
    (b"script-src-elem a; script-src-elem b", b"script-src-elem a " + URL + b"; script-src-elem b"),
    (b"x;\tScript-Src-Elem a", b"x; script-src-elem a " + URL),
    *(
        (b"script-src " + source, b"script-src " + source + b"; script-src-elem " + source + b" " + URL)
        for source in (
            *(
                b"https:",
                b"https://10.0.0.5:10001",
                b"http://10.0.0.5",
                b"10.0.0.5",
                b"10.0.0.5:10002",
                b"10.0.0.6:10001",
            ),
            *(
                b"http://10.0.0.5:10001/x",
                b"http://10.0.0.5:10001/.gw",
                b"*.0.0.5",
                b"*.10.0.0.5:10001",
                b"'nonce-'",
                b"'nonce-a b'",
            ),
            *(
                b"http://10.0.0.5:10001/.gw/l.1f.js/",
                b"http://10.0.0.5:10001/.GW/l.1f.js",
                b"'nonce-%s'" % (b"a" * 129),
            ),
            *(b"'self", b"data:", b"http", b"http://*.5:10001x", b"ws:"),
        )
    ),
]


@pytest.mark.parametrize(("text", "expected"), SCRIPTS)
def test_the_exact_script_is_added_to_the_list_that_decides(text: bytes, expected: bytes) -> None:
    assert policy(text) == (expected, b"")


FRAMES = [
    (b"frame-src 'none'", b"frame-src " + FRAME),
    (b"frame-src", b"frame-src " + FRAME),
    (b"img-src x; frame-src 'self'; font-src y", b"img-src x; frame-src 'self' " + FRAME + b"; font-src y"),
    (b"child-src blob:", b"child-src blob:; frame-src blob: " + FRAME),
    (b"frame-src a; child-src *; default-src *", b"frame-src a " + FRAME + b"; child-src *; default-src *"),
    (b"default-src 'self'", b"default-src 'self'; frame-src 'self' " + FRAME),
    (b"default-src 'self'; child-src 'none'", b"default-src 'self'; child-src 'none'; frame-src " + FRAME),
    (
        b"default-src 'none'",
        b"default-src 'none'; script-src-elem " + URL + b"; frame-src " + FRAME,
    ),
    (b"default-src https:", b"default-src https:; script-src-elem https: " + URL + b"; frame-src https: " + FRAME),
]


@pytest.mark.parametrize(("text", "expected"), FRAMES)
def test_the_control_origin_is_added_to_the_list_that_decides(text: bytes, expected: bytes) -> None:
    assert policy(text) == (expected, b"")


def test_sources_are_compared_by_the_rules_of_the_scheme() -> None:
    secure = {"loader": "https://gw.example/.gw/l.js", "control": "https://gw.example:10999"}
    for covers in (b"http:", b"https:", b"gw.example", b"http://gw.example:443", b"*.EXAMPLE:443", b"GW.example"):
        text = b"script-src " + covers
        assert policy(text, **secure) == (text, b"")
    for other in (b"*.gw.example", b"gw.example:80", b"xgw.example", b"example", b"ws://gw.example"):
        text = b"script-src " + other
        assert policy(text, **secure) == (
            text + b"; script-src-elem " + other + b" https://gw.example/.gw/l.js",
            b"",
        )
    plain = {"loader": "http://gw.example/.gw/l.js"}
    for covers in (b"script-src gw.example", b"script-src gw.example:80"):
        assert policy(covers, **plain) == (covers, b"")
    assert policy(b"script-src https:", **plain)[0].endswith(b"https: http://gw.example/.gw/l.js")


# Nonces


@pytest.mark.parametrize(
    "text",
    [
        b"script-src 'nonce-a+/_-9=='",
        b"script-src 'self' 'nonce-a+/_-9=='",
        b"default-src 'NONCE-a+/_-9=='; frame-src *",
        b"script-src 'strict-dynamic' 'nonce-a+/_-9==' 'nonce-b'",
        b"script-src 'unsafe-inline' 'nonce-a+/_-9==' https:",
        b"script-src 'nonce-x'; script-src-elem 'nonce-a+/_-9=='",
    ],
)
def test_the_pages_nonce_is_used_and_the_policy_stays(text: bytes) -> None:
    assert policy(text) == (text, b"a+/_-9==")


@pytest.mark.parametrize("hashes", [b"'sha256-aa='", b"'sha256-aa=' 'unsafe-inline' https: 'self'", b""])
def test_a_strict_list_without_nonces_gets_the_fresh_one(hashes: bytes) -> None:
    sources = b" ".join([b"'strict-dynamic'", *hashes.split()])
    made, nonce = policy(b"script-src " + sources)
    assert nonce == b"ours"
    assert made == b"script-src " + sources + b"; script-src-elem " + sources + b" " + NONCE


def test_without_a_fresh_nonce_a_strict_list_without_nonces_is_left() -> None:
    headers = [(CSP, b"script-src 'strict-dynamic'")]
    result = amend(headers, loader_url=LOADER, control_origin=CONTROL, app_origin=APP)
    assert isinstance(result, DoNotInject)


def test_a_page_with_a_fresh_nonce_is_not_revalidated() -> None:
    validators = [(b"ETag", b'"x"'), (b"last-modified", b"y"), (b"A", b"b")]
    for source, kept in ((b"'strict-dynamic'", validators[2:]), (b"'nonce-a'", validators), (b"'none'", validators)):
        result = amended(*validators, (CSP, b"script-src " + source))
        assert isinstance(result, Amended)
        assert result.headers[:-1] == kept


def values(*texts: bytes) -> tuple[list[bytes], bytes]:
    result = amended(*((CSP, text) for text in texts))
    assert isinstance(result, Amended)
    return [value for _, value in result.headers], result.nonce


def test_two_policies_with_different_nonces_take_the_url_where_they_can() -> None:
    assert values(b"script-src 'nonce-a'", b"script-src 'nonce-b'") == (
        [b"script-src 'nonce-a'", b"script-src 'nonce-b'; script-src-elem 'nonce-b' " + URL],
        b"a",
    )
    assert values(b"script-src 'nonce-a'", b"script-src 'nonce-b' 'self'")[0][1] == b"script-src 'nonce-b' 'self'"
    strict = b"script-src 'strict-dynamic' 'nonce-b'"
    assert values(b"script-src 'nonce-a' 'self'", strict) == ([b"script-src 'nonce-a' 'self'", strict], b"b")
    assert values(b"script-src 'nonce-a' 'nonce-c'", b"script-src 'nonce-c'")[1] == b"c"


def test_a_strict_policy_that_shares_no_nonce_is_left() -> None:
    strict = b"script-src 'strict-dynamic' "
    assert isinstance(amended((CSP, strict + b"'nonce-a'"), (CSP, strict + b"'nonce-b'")), DoNotInject)
    assert isinstance(amended((CSP, strict + b"'nonce-a'"), (CSP, strict + b"'sha256-aa='")), DoNotInject)
    shared = [strict + b"'nonce-a' 'nonce-c'", strict + b"'nonce-b' 'nonce-c'"]
    assert values(*shared) == (shared, b"c")


def test_a_page_nonce_is_never_added_to_a_list_that_has_it_not() -> None:
    made, nonce = values(b"script-src 'nonce-a' 'self'", b"script-src 'strict-dynamic' 'sha256-aa='")
    assert nonce == b"ours"
    assert made[0] == b"script-src 'nonce-a' 'self'"
    assert made[1].endswith(b"; script-src-elem 'strict-dynamic' 'sha256-aa=' 'nonce-ours'")


# Many policies


def test_every_policy_of_every_line_is_amended_and_other_lines_stay() -> None:
    lines = [
        (b"Content-Type", b"text/html"),
        (b"content-security-policy", b"img-src x, script-src 'none' ,default-src *"),
        (b"X", b"script-src 'none'"),
        (CSP, b"frame-src 'none'"),
    ]
    result = amended(*lines)
    assert isinstance(result, Amended)
    assert result.headers == [
        lines[0],
        (lines[1][0], b"img-src x, script-src 'none'; script-src-elem " + URL + b",default-src *"),
        lines[2],
        (CSP, b"frame-src " + FRAME),
    ]


def test_a_page_without_a_policy_stays() -> None:
    lines = [(b"Content-Type", b"text/html"), (b"ETag", b'"x"')]
    assert amended(*lines) == Amended(lines, b"")


@pytest.mark.parametrize("text", [b"sandbox", b"Sandbox allow-scripts", b"img-src x; sandbox;", b"a, sandbox"])
def test_a_sandboxed_page_is_left(text: bytes) -> None:
    assert isinstance(amended((CSP, text)), DoNotInject)


def test_a_policy_that_only_reports_is_amended_and_never_stops_us() -> None:
    result = amended((REPORT_ONLY, b"script-src 'none'; sandbox, script-src 'strict-dynamic' 'sha256-aa='"))
    assert isinstance(result, Amended)
    assert result.nonce == b""
    assert result.headers == [
        (
            REPORT_ONLY,
            b"script-src 'none'; sandbox; script-src-elem " + URL + b", script-src 'strict-dynamic' 'sha256-aa='",
        )
    ]
    both = amended((REPORT_ONLY, b"script-src 'nonce-b'"), (CSP, b"script-src 'nonce-a'"))
    assert isinstance(both, Amended)
    assert both.nonce == b"a"
    alone = amended((REPORT_ONLY, b"script-src 'nonce-b'"))
    assert alone == Amended([(REPORT_ONLY, b"script-src 'nonce-b'")], b"b")


def test_an_ipv6_address_cannot_be_named() -> None:
    six = {"loader": "http://[fd00::5]:10001/.gw/l.js", "control": "http://[fd00::5]:10999"}
    assert policy(b"script-src 'self'", **six) == (b"script-src 'self'", b"")
    assert policy(b"frame-src http:", **six) == (b"frame-src http:", b"")
    for text in (b"frame-src 'self'", b"script-src 'none'"):
        assert isinstance(amended((CSP, text), **six), DoNotInject)


words = st.sampled_from(
    b"script-src script-src-elem default-src frame-src child-src 'self' 'none' * x.example http: \xff ; ; ; , "
    b"'unsafe-inline' 'strict-dynamic' 'nonce-a' 'nonce-b' 'sha256-aa='".split()
)


@given(st.lists(words, max_size=14).map(b" ".join))
def test_an_amended_policy_needs_no_more_and_never_loses_unsafe_inline(text: bytes) -> None:
    first = amended((CSP, text))
    if isinstance(first, DoNotInject):
        return
    value = first.headers[0][1]
    assert not (b"'unsafe-inline'" in text and b"'strict-dynamic'" not in text and b"'nonce-ours'" in value)
    if first.nonce != b"ours":  # a page has one fresh nonce, not two
        assert amended((CSP, value)) == first
    for before, after in zip(text.split(b","), value.split(b","), strict=True):
        assert len(after.split(b";")) - len(before.rstrip(b"; ").split(b";")) <= 2 + before.count(b";")


# A real browser. The app's own probes must do after the amendment what they did before.

PAGE = """<!doctype html><html><head>%s<title>app</title></head><body onload="document.title += ' handler'">
<script>document.title += " inline"</script><script nonce="a">document.title += " nonce"</script>
<script src="/app.js"></script><script src="http://other.example/app.js"></script></body></html>"""
LOADER_JS = f"""
const frame = document.createElement("iframe");
frame.src = "{CONTROL}/w/job";
document.documentElement.append(frame);
"""

INLINE = base64.b64encode(hashlib.sha256(b'document.title += " inline"').digest())
PAGES: list[list[tuple[bytes, bytes]]] = [
    [],
    *(
        [(CSP, text)]
        for text in (
            *(text for text, _ in (*FRAMES, *SCRIPTS[:6])),
            b"script-src 'none'; style-src 'none'; connect-src 'none'",
            b"default-src 'self' 'unsafe-inline'",
            b"script-src 'unsafe-inline'; frame-src 'none'",
            b"script-src 'nonce-a'; frame-src 'none'",
            b"script-src 'nonce-a' 'strict-dynamic'; object-src 'none'; base-uri 'none'",
            b"script-src 'strict-dynamic' 'sha256-%b'" % INLINE,
            b"script-src 'nonce-b', script-src 'nonce-a'",
            b"script-src http://other.example; require-trusted-types-for 'script'",
            b"frame-ancestors 'self'; default-src 'none', script-src 'self'",
        )
    ),
    [
        (CSP, b"script-src 'nonce-a'"),
        (CSP, b"script-src 'nonce-b'"),
        (REPORT_ONLY, b"script-src 'none'; frame-src 'none'"),
    ],
]


def visit(page: Any, headers: list[tuple[bytes, bytes]], tag: bytes) -> tuple[str, bool]:
    """The title, to which the app's probes add their words, and whether the frame came up."""
    lines = [(name.decode(), value.decode()) for name, value in headers]
    answers = {
        f"{APP}/": {"body": PAGE % tag.decode(), "content_type": "text/html"},
        LOADER: {"body": LOADER_JS, "content_type": "text/javascript"},
        f"{CONTROL}/w/job": {"body": "control", "content_type": "text/html"},
    }
    probe = {"body": "document.title += ' ' + document.currentScript.src", "content_type": "text/javascript"}

    def serve(route: Any) -> None:
        answer: dict[str, Any] = dict(answers.get(route.request.url, probe))
        if route.request.url == f"{APP}/":
            merged = {name: ", ".join(value for key, value in lines if key == name) for name, _ in lines}
            answer["headers"] = {**merged, "Content-Type": answer.pop("content_type")}
        route.fulfill(**answer)

    page.route("**/*", serve)
    page.goto(f"{APP}/")
    seen = page.title(), any(frame.url == f"{CONTROL}/w/job" and "control" in frame.content() for frame in page.frames)
    page.unroute("**/*")
    return seen


@pytest.mark.browser
def test_a_browser_runs_the_loader_and_the_app_does_what_it_did() -> None:
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("no Chromium")
    playwright = pytest.importorskip("playwright.sync_api")
    wrong = []
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page()
        for headers in PAGES:
            result = amended(*headers)
            assert isinstance(result, Amended)
            before, _ = visit(page, headers, b"")
            after = visit(page, result.headers, script_tag(b"/.gw/l.1f.js", result.nonce))
            if after != (before, True):
                wrong.append((headers, before, after))
        browser.close()
    assert wrong == []
