"""The pure parts: hosts, sessions, nonces, throttles, policies, files and words."""

from __future__ import annotations

import gzip
import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.types import JobId
from widget import hosts, policy, windows
from widget.assets import LANGUAGES, inline, loader, modules, tag, tree, url, words
from widget.hosts import Place
from widget.limits import Limits
from widget.nonces import Nonces
from widget.sessions import Sessions
from widget.throttle import Throttle
from widget.windows import choose_language

STATIC = Path(__file__).parent.parent.parent / "static"
LIMITS = Limits()


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        ("127.0.0.1:10100", "http://127.0.0.1:10100"),
        ("LOCALHOST:80", "http://localhost"),
        ("[::1]:10100", "http://[::1]:10100"),
        ("gw.test", "http://gw.test"),
    ],
)
def test_a_host_header_becomes_the_origin_that_the_browser_would_say(host: str, origin: str) -> None:
    found = hosts.parse("http", host)
    assert found is not None
    assert found.origin == origin


@pytest.mark.parametrize("host", ["", "a b", "a,b", "user@a", "a/b", "a:b", "[::1", "a:123456", "a\nb"])
def test_what_is_no_host_is_nobody(host: str) -> None:
    assert hosts.parse("http", host) is None


@pytest.mark.parametrize(
    ("name", "ours"),
    [("10.1.2.3", True), ("[fd00::1]", True), ("localhost", True), ("gw.test", True), ("evil.test", False)],
)
def test_only_addresses_and_known_names_are_ours(name: str, ours: bool) -> None:
    assert hosts.is_ours(Place("http", name, 10100), {"gw.test"}) is ours


@pytest.mark.parametrize(
    ("scheme", "name", "peer", "private"),
    [
        ("https", "gw.test", "10.0.0.9", True),
        ("http", "127.0.0.1", "127.0.0.1", True),
        ("http", "localhost", "::1", True),
        ("http", "localhost", "10.0.0.9", False),  # a host name is the client's word
        ("http", "10.0.0.1", "127.0.0.1", False),  # some proxy on this machine: the browser is elsewhere
        ("http", "gw.test", "127.0.0.1", False),
    ],
)
def test_passwords_are_taken_where_nobody_can_read_them(scheme: str, name: str, peer: str, private: bool) -> None:
    assert hosts.is_private(Place(scheme, name, 10100), peer) is private


def test_a_session_ends_when_idle_when_old_and_when_closed() -> None:
    sessions = Sessions(LIMITS)
    idle, old, closed = (sessions.open("alice", "user", "t", 0.0) for _ in range(3))
    assert sessions.find(idle, LIMITS.session_idle - 1) is not None
    assert sessions.find(idle, LIMITS.session_idle) is None
    moment = 0.0
    while moment < LIMITS.session_life:
        assert sessions.use(old, moment) is not None
        moment += LIMITS.session_idle / 2
    assert sessions.use(old, LIMITS.session_life) is None
    sessions.close(closed)
    assert sessions.find(closed, 1.0) is None
    assert len(sessions) == 0


def test_looking_at_a_session_is_not_using_it() -> None:
    sessions = Sessions(LIMITS)
    token = sessions.open("alice", "user", "t", 0.0)
    assert sessions.find(token, LIMITS.session_idle - 1) is not None
    assert sessions.find(token, LIMITS.session_idle + 1) is None


def test_sessions_are_bounded() -> None:
    sessions = Sessions(Limits(sessions=2))
    first, second = sessions.open("a", "user", "t", 0.0), sessions.open("b", "user", "t", 1.0)
    sessions.use(first, 2.0)
    third = sessions.open("c", "user", "t", 3.0)
    assert [sessions.find(one, 4.0) is not None for one in (first, second, third)] == [True, False, True]


def test_tokens_are_256_bits_and_never_alike() -> None:
    sessions = Sessions(LIMITS)
    tokens = {sessions.open("alice", "user", "t", 0.0) for _ in range(100)}
    assert len(tokens) == 100
    assert all(re.fullmatch(r"[\w-]{43}", one) for one in tokens)


def test_a_nonce_answers_its_own_question_once() -> None:
    nonces = Nonces(LIMITS)
    nonce = nonces.make("s", "job", "suspend", 10.0)
    assert not nonces.redeem(nonce, "other", "job", "suspend", 12.0)
    assert not nonces.redeem(nonce, "s", "other", "suspend", 12.0)
    assert not nonces.redeem(nonce, "s", "job", "cancel", 12.0)
    assert nonces.redeem(nonce, "s", "job", "suspend", 12.0)
    assert not nonces.redeem(nonce, "s", "job", "suspend", 12.0)
    assert not Nonces(LIMITS).redeem(nonce, "s", "job", "suspend", 12.0)


@pytest.mark.parametrize(("act", "age", "fits"), [
    ("suspend", 0.5, False), ("suspend", 0.9, True), ("suspend", 120.0, False), ("resume", 0.0, True)])  # fmt: skip
def test_a_nonce_rests_and_dies(act: str, age: float, fits: bool) -> None:
    nonces = Nonces(LIMITS)
    assert nonces.redeem(nonces.make("s", "job", act, 10.0), "s", "job", act, 10.0 + age) is fits


@given(st.text(max_size=200))
def test_nothing_but_a_nonce_is_a_nonce(text: str) -> None:
    assert not Nonces(LIMITS).redeem(text, "s", "job", "resume", 0.0)


@given(st.lists(st.floats(0, 300), max_size=60).map(sorted))
def test_a_throttle_never_lets_more_through(moments: list[float]) -> None:
    throttle, passed = Throttle(5, 60.0, 10), []
    for moment in moments:
        if throttle.allows("alice", moment):
            passed.append(moment)
            throttle.fail("alice", moment)
    assert all(later - earlier >= 60 for earlier, later in zip(passed, passed[5:], strict=False))


def test_a_throttle_is_bounded_and_forgives() -> None:
    throttle = Throttle(1, 60.0, 2)
    for name in ("a", "b", "c"):
        throttle.fail(name, 0.0)
    assert [throttle.allows(name, 1.0) for name in ("a", "b", "c")] == [True, False, False]
    throttle.clear("b")
    assert throttle.allows("b", 1.0)


def test_a_document_may_be_framed_by_its_own_job_only() -> None:
    place = Place("https", "gw.test", 10100)
    assert "frame-ancestors https://gw.test:10001 https://gw.test:10007;" in policy.document(place, [10001, 10007])
    assert "frame-ancestors 'none';" in policy.document(place, [])
    assert "frame-ancestors http://*:10001;" in policy.document(Place("http", "[::1]", 10100), [10001])


def test_the_loader_is_small_and_its_tag_is_short() -> None:
    asset = loader(JobId("u6grzqqzwmnu8jfxtrq5n"), 10100)
    assert len(gzip.compress(asset.body, 9)) <= 2048
    assert re.fullmatch(rb'<script src="/\.gw/l\.[0-9a-f]{16}\.js"></script>', tag(asset))
    assert asset.path != loader(JobId("u6grzqqzwmnu8jfxtrq5n"), 10101).path


def test_the_frame_is_small() -> None:
    """Script and style, as they are sent; the document with the words of one language is another 3 KB at most."""
    sent = [tree()[url(name)].body for name in ("widget.js", "widget.css")]
    assert sum(len(gzip.compress(one, 9)) for one in sent) <= 12 << 10
    assert len(gzip.compress(json.dumps(dict(windows.catalogue("de"))).encode(), 9)) <= 3 << 10


def test_a_script_of_the_widget_s_comes_whole() -> None:
    for name in ("widget.js", "window.js"):
        assert not re.search(r"^(import|export) ", tree()[url(name)].body.decode(), re.M)
        text = "\n".join((STATIC / one).read_text("utf-8") for one in modules(name))
        top = r"^(?:export )?(?:const|let|function|async function|class) (\w+)|^const \w+ = [^;(]*?, (\w+) = "
        names = [one or other for one, other in re.findall(top, text, re.M)]
        assert len(names) > 20
        assert len(names) == len(set(names)), "two modules use a name for different things"


@pytest.mark.parametrize("job", ["", 'a";alert(1)//', "a b", "</script>", "ü"])
def test_the_loader_takes_ids_only(job: str) -> None:
    with pytest.raises(ValueError, match="job id"):
        loader(JobId(job), 10100)


def test_scripts_hold_nothing_that_turns_text_into_code() -> None:
    for path in STATIC.glob("*.js"):
        text = re.sub(r"^\s*(//|\*|/\*).*", "", path.read_text("utf-8"), flags=re.M)
        assert not re.search(
            r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|new Function|srcdoc", text
        ), path


def test_scripts_and_styles_name_no_other_host() -> None:
    for path in STATIC.iterdir():
        if path.suffix in (".js", ".css"):
            assert set(re.findall(r"https?://[\w.]+", path.read_text("utf-8"))) <= {"http://www.w3.org"}, path


def test_files_have_addresses_of_their_content() -> None:
    assert url("widget.js") in tree()
    assert inline("page.js").source.startswith("'sha256-")
    with pytest.raises(KeyError):
        url("nothing.js")


def test_every_language_has_every_word_with_the_same_gaps() -> None:
    english = words("en")
    for language in LANGUAGES:
        catalogue = words(language)
        assert catalogue.keys() == english.keys()
        for key, text in catalogue.items():
            assert sorted(re.findall(r"\{\w+\}", text)) == sorted(re.findall(r"\{\w+\}", english[key])), key
    assert not [key for key, text in words("de").items() if text == english[key] and len(text) > 12]


def test_every_word_that_a_script_asks_for_is_there() -> None:
    asked = set()
    for path in STATIC.glob("*.js"):
        asked |= set(re.findall(r"\bt\(\"([\w. ]+)\"", path.read_text("utf-8")))
    assert asked <= words("en").keys()


@pytest.mark.parametrize(("accepted", "language"), [
    ("", "en"), ("de-CH,de;q=0.9", "de"), ("fr,de;q=0.5,en;q=0.4", "de"), ("fr", "en"), ("*", "en")])  # fmt: skip
def test_the_first_known_language_is_taken(accepted: str, language: str) -> None:
    assert choose_language(accepted) == language


def test_the_table_of_what_proves_it_is_whole_and_names_tests_that_exist() -> None:
    page = (STATIC.parent / "docs" / "widget.md").read_text("utf-8")
    assert re.findall(r"^\| (C\d+) \|", page, re.M) == [f"C{one}" for one in range(1, 19)]
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", page)
    assert len(named) > 36
    missing = [
        f"{file}::{name}"
        for file, name in named
        if not re.search(rf"^(async )?def {name}\(", (STATIC.parent / file).read_text("utf-8"), re.M)
    ]
    assert not missing
