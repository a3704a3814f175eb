"""A trusted proxy before the gateway: whom it asks for, and who else may not say so."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.proxy.control import ControlPort
from gateway.proxy.forwarded import TrustedProxies
from gateway.types import Rule
from tests.peers import Conversation, backend, connect
from tests.ports import free_ports
from tests.proxy.harness import gateway
from tests.proxy.test_group import snapshot
from widget.desk import Desk

PROXIES = TrustedProxies(["127.0.0.1", "10.0.0.0/8", "fd00::/8"])

FOR = [
    ([], "127.0.0.1"),
    (["192.0.2.7"], "192.0.2.7"),
    (["6.6.6.6, 192.0.2.7"], "192.0.2.7"),  # what stands left of it the client wrote itself
    (["6.6.6.6, 192.0.2.7, 10.1.2.3"], "192.0.2.7"),
    (["6.6.6.6", "192.0.2.7"], "192.0.2.7"),  # two lines are one list
    (["192.0.2.7", "10.1.2.3"], "192.0.2.7"),
    (["10.9.9.9, 10.1.2.3"], "10.9.9.9"),  # all are trusted: the farthest
    (["192.0.2.7:5678"], "192.0.2.7"),
    (["2001:db8::7"], "2001:db8::7"),
    (["[2001:db8::7]"], "2001:db8::7"),
    (["[2001:DB8::7]:443"], "2001:db8::7"),
    (["::ffff:192.0.2.7"], "192.0.2.7"),
    (["192.0.2.7, fd00::1"], "192.0.2.7"),
    (["192.0.2.7, [fd00::1]:80"], "192.0.2.7"),
    ([" , 192.0.2.7 ,, "], "192.0.2.7"),
    (["unknown"], "127.0.0.1"),
    (["192.0.2.7, unknown"], "127.0.0.1"),
    (["192.0.2.7, _hidden, 10.1.2.3"], "10.1.2.3"),
    (["192.0.2.7, 1.2.3.4.5"], "127.0.0.1"),
    (["192.0.2.7, 999.0.0.1"], "127.0.0.1"),
    (["192.0.2.7, 0x7f.1"], "127.0.0.1"),
    (['192.0.2.7, 10.0.0.1", "status": 200, "x": "'], "127.0.0.1"),
    (['192.0.2.7, fe80::1%a"b'], "fe80::1"),
    (["192.0.2.7 10.1.2.3"], "127.0.0.1"),
]


@pytest.mark.parametrize(("lines", "client"), FOR, ids=[str(one) for one, _ in FOR])
def test_the_client_is_the_first_from_the_right_that_is_not_trusted(lines: list[str], client: str) -> None:
    raw = [(b"X-Forwarded-For", one.encode()) for one in lines]
    assert PROXIES.origin("127.0.0.1", raw).client == client


PROTO = [
    ("192.0.2.7", ["https"], "https"),
    ("192.0.2.7", ["HTTPS"], "https"),
    ("192.0.2.7", ["wss"], "https"),
    ("192.0.2.7", ["https, http"], "http"),  # the client wrote the first, the proxy the second
    ("192.0.2.7, 10.1.2.3", ["https, http"], "https"),  # two proxies: the outer one's word
    ("192.0.2.7, 10.1.2.3", ["https"], "https"),  # the inner one passed it on
    ("192.0.2.7", [], "http"),
    ("192.0.2.7", ["javascript"], "http"),
    ("", ["https"], "https"),
]


@pytest.mark.parametrize(("clients", "lines", "scheme"), PROTO)
def test_the_scheme_is_the_word_of_the_proxy_that_the_client_came_to(
    clients: str, lines: list[str], scheme: str
) -> None:
    raw = [(b"x-forwarded-for", clients.encode()), *((b"x-forwarded-proto", one.encode()) for one in lines)]
    assert PROXIES.origin("127.0.0.1", raw).scheme == scheme


def test_networks_that_are_none_are_refused() -> None:
    with pytest.raises(ValueError):
        TrustedProxies(["10.0.0.0/33"])


async def echo(peer: Conversation) -> None:
    """Answers with the head that it got."""
    while True:
        head = await peer.head()
        await peer.say(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(head), head))


def lines_of(body: bytes, name: bytes) -> list[bytes]:
    lines = [line.partition(b": ") for line in body.split(b"\r\n")]
    return [value for key, _, value in lines if key.lower() == name]


CLAIMS = (
    "X-Forwarded-For: 192.0.2.7", "X_Forwarded_For: 6.6.6.6", "X-Real-IP: 6.6.6.6", "Forwarded: for=6.6.6.6",
    "X-Forwarded-Proto: https",
)  # fmt: skip
EVERYBODY = (Rule(1, 65535, "0.0.0.0/0"),)


async def test_nobody_is_believed_by_default() -> None:
    async with backend(echo) as (_, host, port), gateway(host, port) as gate:
        for lines in (CLAIMS, ("Expect: 100-continue", *CLAIMS)):  # both ways through the gateway
            _, body = await gate.ask(gate.get("/", *lines))
            assert lines_of(body, b"x-forwarded-for") == [b"127.0.0.1"]
            assert lines_of(body, b"x-forwarded-proto") == [b"http"]
            assert b"6.6.6.6" not in body and b"192.0.2.7" not in body


async def test_a_trusted_proxy_is_believed_request_by_request() -> None:
    async with backend(echo) as (_, host, port), gateway(host, port, trusted=("127.0.0.1",), rules=EVERYBODY) as gate:
        proxy = await gate.client()
        for number in range(3):
            claim = f"X-Forwarded-For: 6.6.6.6, 192.0.2.{number}"
            await proxy.say(gate.get("/", claim, "X-Forwarded-For: 10.0.0.9, 127.0.0.1", "X-Forwarded-Proto: https"))
            _, body = await proxy.answer()
            assert lines_of(body, b"x-forwarded-for") == [b"10.0.0.9"], "the first from the right that is not trusted"
            await proxy.say(gate.get("/", claim, *CLAIMS[1:]))
            _, body = await proxy.answer()
            assert lines_of(body, b"x-forwarded-for") == [b"192.0.2.%d" % number]
            assert lines_of(body, b"x-forwarded-proto") == [b"https"]
            assert lines_of(body, b"x-rstudio-request") == [b"https://127.0.0.1:%d/" % gate.number]
            assert b"6.6.6.6" not in body


async def test_security_groups_judge_whom_the_trusted_proxy_asks_for() -> None:
    rules = (Rule(1, 65535, "192.0.2.0/24"), Rule(1, 65535, "2001:db8::/32"))
    async with (
        backend(echo) as (server, host, port),
        gateway(host, port, trusted=("127.0.0.0/8",), rules=rules) as gate,
    ):
        proxy = await gate.client()
        for claim in ("192.0.2.1", "[2001:db8::1]:5", "6.6.6.6, 192.0.2.9"):
            await proxy.say(gate.get("/", f"X-Forwarded-For: {claim}"))
            assert (await proxy.answer())[0].startswith(b"HTTP/1.1 200")
        reached = server.connections
        for claim in ("198.51.100.1", "192.0.2.1, 198.51.100.1", "192.0.2.1, unknown", ""):
            head, body = await gate.ask(gate.get("/", f"X-Forwarded-For: {claim}"))
            assert head.startswith(b"HTTP/1.1 403") and b"REFUSED" in body, claim
        assert server.connections == reached, "no byte of it reached the job"


async def test_documents_and_pages_are_of_the_scheme_that_the_browser_used() -> None:
    async def document(peer: Conversation) -> None:
        while True:
            await peer.head()
            body = b"<!doctype html><html><head></head></html>"
            policy = b"Content-Security-Policy: default-src 'none'; frame-src 'none'"
            lines = b"Content-Type: text/html\r\n%b\r\nContent-Length: %d" % (policy, len(body))
            await peer.say(b"HTTP/1.1 200 OK\r\n%b\r\n\r\n%b" % (lines, body))

    page = ("Accept: text/html", "X-Forwarded-For: 192.0.2.1", "X-Forwarded-Proto: https")
    async with (
        backend(document) as (_, host, port),
        gateway(host, port, trusted=("127.0.0.1",), rules=EVERYBODY) as gate,
    ):
        head, _ = await gate.ask(gate.get("/", *page))
        assert b"https://127.0.0.1" in head and b"http://" not in head
        await gate.hold()
        head, body = await gate.ask(gate.get("/", *page))
        assert head.startswith(b"HTTP/1.1 503") and b"https://127.0.0.1:10100" in head + body
        assert b"http://127" not in head + body


async def test_the_control_port_believes_the_same_proxies(tmp_path: Path) -> None:
    job, number = free_ports(2)
    doc = snapshot(1, [job], number)
    control = ControlPort(Desk("http://127.0.0.1:1", doc), tmp_path)
    control.set((Rule(1, 65535, "192.0.2.0/24"),), ("127.0.0.1",), ["gw.example"])
    await control.serve("127.0.0.1", number)
    try:
        for client, host, status in (
            ("192.0.2.1", "127.0.0.1", b"200"),
            ("192.0.2.1", "gw.example", b"200"),
            ("192.0.2.1", "other.example", b"421"),
            ("198.51.100.1", "127.0.0.1", b"403"),
            ("unknown", "127.0.0.1", b"403"),
        ):
            browser = await connect("127.0.0.1", number)
            lines = f"Host: {host}:{number}\r\nX-Forwarded-For: {client}\r\nX-Forwarded-Proto: https\r\n"
            await browser.say(f"GET /w/{doc.listeners[0].job} HTTP/1.1\r\n{lines}\r\n".encode())
            head, _ = await browser.answer()
            await browser.close()
            assert head.startswith(b"HTTP/1.1 " + status), (client, host)
            if status == b"200":
                assert f"wss://{host}:{number}".encode() in head and b"http://" not in head
    finally:
        await control.close()
