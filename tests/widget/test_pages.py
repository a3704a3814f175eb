"""The gateway's own pages as bytes: status, policy, escaping."""

from __future__ import annotations

import html
import html.parser
import json
import re
from dataclasses import replace

import pytest

from gateway.errors import Outcome
from gateway.proxy.pages import Page, page
from gateway.types import GateState, JobId, JobStatus, Listener, Step

LISTENER = Listener(
    10001, JobId("u6grzqqzwmnu8jfxtrq5n"), "rstudio", 8787, GateState.HELD, JobStatus.FLOATING, 2, 1_700_000_000_000
)
EVIL = '"><script>alert(1)</script><!--'


def made(outcome: Outcome, listener: Listener = LISTENER, host: str = "127.0.0.1", nonce: str | None = None) -> Page:
    return page(listener, outcome, scheme="http", host=host, control_port=10100, nonce=nonce)


def header(one: Page, name: bytes) -> str:
    return dict(one.headers)[name].decode()


class Tags(html.parser.HTMLParser):
    """Every start tag of a document."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


@pytest.mark.parametrize("outcome", Outcome)
def test_every_outcome_has_a_page_with_its_status(outcome: Outcome) -> None:
    one = made(outcome)
    assert one.status == outcome.status
    assert dict(one.headers).get(b"Retry-After", b"None").decode() == str(outcome.retry_after)
    assert header(one, b"Cache-Control") == "no-store"
    assert outcome.status == 503 or outcome.sentence in html.unescape(one.body.decode())
    assert b"Set-Cookie" not in dict(one.headers)


@pytest.mark.parametrize("outcome", [Outcome.MOVING, Outcome.ENDED, Outcome.SUSPENDED, Outcome.UNREACHABLE])
def test_what_a_user_chose_stays_text(outcome: Outcome) -> None:
    one = made(outcome, replace(LISTENER, name=EVIL, reason=EVIL))
    scripts = [attrs for tag, attrs in Tags(one.body.decode()).found if tag == "script"]
    assert len(scripts) == 3  # the loader, the data, the page's own
    assert b"<script>alert" not in one.body


@pytest.mark.parametrize("outcome", [Outcome.REFUSED, Outcome.WRONG_HOST, Outcome.BAD_REQUEST])
def test_who_is_refused_learns_nothing_of_the_job(outcome: Outcome) -> None:
    body = made(outcome).body
    assert b"rstudio" not in body
    assert LISTENER.job.encode() not in body
    assert b"/.gw/l." not in body


@pytest.mark.parametrize("host", ["", "a b", "a'; script-src *", "x\r\nSet-Cookie: a=b", "a:10001", "user@a"])
def test_a_host_that_is_none_reaches_neither_policy_nor_page(host: str) -> None:
    one = made(Outcome.MOVING, host=host)
    assert "frame-src 'none'" in header(one, b"Content-Security-Policy")
    assert not host or host.encode() not in one.body + b"".join(value for _, value in one.headers)


def test_the_policy_lets_in_the_page_itself_and_the_widget_only() -> None:
    policy = header(made(Outcome.MOVING), b"Content-Security-Policy")
    assert policy.startswith("default-src 'none'; script-src 'self' 'sha256-")
    assert "frame-src http://127.0.0.1:10100;" in policy
    assert "unsafe" not in policy
    assert "frame-src http://*:10100;" in header(made(Outcome.MOVING, host="[::1]"), b"Content-Security-Policy")


def test_a_nonce_takes_the_place_of_the_hashes() -> None:
    one = made(Outcome.MOVING, nonce="abc")
    assert "script-src 'self' 'nonce-abc'; style-src 'nonce-abc'" in header(one, b"Content-Security-Policy")
    assert one.body.count(b'nonce="abc"') == 2


def test_resume_is_one_link_to_the_gateway_s_own_window() -> None:
    tags = Tags(made(Outcome.SUSPENDED, replace(LISTENER, status=JobStatus.SUSPENDED)).body.decode()).found
    links = [attrs for tag, attrs in tags if tag == "a"]
    assert [one["href"] for one in links] == [f"http://127.0.0.1:10100/confirm?job={LISTENER.job}&act=resume"]
    assert links[0]["rel"] == "noopener"


def test_the_end_says_what_happened_and_why() -> None:
    body = made(Outcome.ENDED, replace(LISTENER, status=JobStatus.FAIL_TO_COMPLETE, reason="host lost")).body
    assert b"The job has failed" in body
    assert b"Reason: its host was lost" in body
    assert b"Reason: The disk is full." in made(Outcome.ENDED, replace(LISTENER, reason="The disk is full.")).body


def test_the_data_of_the_script_is_json_that_cannot_end_its_element() -> None:
    body = made(Outcome.MOVING, replace(LISTENER, name=EVIL, step=Step.RESTORING)).body.decode()
    found = re.search(r'<script type="application/json" id="gw-data">(.*?)</script>', body, re.S)
    assert found is not None
    doc = json.loads(found[1])
    assert (doc["name"], doc["step"], doc["kind"]) == (EVIL, "restoring", "wait")
    assert "<" not in found[1]
