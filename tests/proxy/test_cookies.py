"""cookies.py: each job sees its own HttpOnly cookies under their own names, and nobody else's."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.proxy.cookies import clearing, incoming, outgoing, prefix
from gateway.types import JobId

JOB, OTHER = JobId("aaaaaaaaaaaaaaaaaaaaa"), JobId("bbbbbbbbbbbbbbbbbbbbb")
KEY = bytes(range(32))
MINE, THEIRS = prefix(10001, JOB, KEY), prefix(10002, OTHER, KEY)
M, T = MINE.encode(), THEIRS.encode()


def test_a_prefix_is_of_the_port_and_of_the_job() -> None:
    assert re.fullmatch(r"gw10001-[0-9a-f]{10}\.", MINE)
    assert prefix(10001, JOB, KEY) == MINE
    assert prefix(10001, OTHER, KEY) != MINE  # the port's next job
    assert prefix(65535, OTHER, KEY).startswith("gw65535-")


def test_who_knows_a_job_does_not_know_its_prefix() -> None:
    others = {prefix(10001, JOB, key) for key in (b"", bytes(32), bytes(31) + b"\1", bytes(64))}
    assert len(others) == 4 and MINE not in others


OUTGOING = [
    # RStudio
    (b"user-id=a%7Cb; path=/; HttpOnly", M + b"user-id=a%7Cb; path=/; HttpOnly"),
    (b"a=b;httponly", M + b"a=b;httponly"),
    (b"a=b; HTTPONLY=false; Secure", M + b"a=b; HTTPONLY=false; Secure"),
    (b"a=b;  HttpOnly  ", M + b"a=b;  HttpOnly  "),
    # read by scripts
    (b"_xsrf=2|a|b; Path=/", b"_xsrf=2|a|b; Path=/"),
    (b"a=HttpOnly; path=/HttpOnly", b"a=HttpOnly; path=/HttpOnly"),
    (b"HttpOnly=a", b"HttpOnly=a"),
    # Domain
    (b"a=b; Domain=example.com; Path=/", b"a=b; Path=/"),
    (b"a=b; DOMAIN = .example.com; HttpOnly;domain", M + b"a=b; HttpOnly"),
    (b"domain=x; Path=/", b"domain=x; Path=/"),
    # what browsers want of a name stays in front
    (b"__Host-a=b; Secure; HttpOnly", b"__Host-" + M + b"a=b; Secure; HttpOnly"),
    (b"__Secure-a=b; HttpOnly", b"__Secure-" + M + b"a=b; HttpOnly"),
    (b"__hOsT-a=b; HttpOnly", b"__hOsT-" + M + b"a=b; HttpOnly"),
    (b"__Http-a=b; HttpOnly", b"__Http-" + M + b"a=b; HttpOnly"),
    (b"__Host-Http-a=b; HttpOnly", b"__Host-Http-" + M + b"a=b; HttpOnly"),
    (b"__Host-a=b; Secure", b"__Host-a=b; Secure"),
    (b"x__Host-a=b; HttpOnly", M + b"x__Host-a=b; HttpOnly"),
    # values as they are
    (b'a="b c=\\"; HttpOnly', M + b'a="b c=\\"; HttpOnly'),
    (b'a="x;HttpOnly"; Path=/', b'a="x;HttpOnly"; Path=/'),  # browsers cut in quotes: an attribute `HttpOnly"`
    (b'a="x; HttpOnly; y"', M + b'a="x; HttpOnly; y"'),
    (b"a=%e2%82%ac=\xff=; HttpOnly", M + b"a=%e2%82%ac=\xff=; HttpOnly"),
    (b"a=; HttpOnly", M + b"a=; HttpOnly"),
    (b" a =b; HttpOnly", M + b"a =b; HttpOnly"),
    (b"a=" + b"x" * 4094 + b"; HttpOnly", M + b"a=" + b"x" * 4094 + b"; HttpOnly"),
    # without a name
    (b"v; HttpOnly", M + b"=v; HttpOnly"),
    (b"=v; HttpOnly", M + b"=v; HttpOnly"),
    (b"v; Path=/", b"v; Path=/"),
    # that look renamed: never another job's
    (T + b"a=b; Path=/", M + T + b"a=b; Path=/"),
    (b" =" + T + b"a=b", M + b"=" + T + b"a=b"),
    (b"__Host-" + T + b"a=b; Secure", b"__Host-" + M + T + b"a=b; Secure"),
    (T[:-1] + b"a=b", T[:-1] + b"a=b"),
    (b"x" + T + b"a=b", b"x" + T + b"a=b"),
    (b"", b""),
    (b";;", b";;"),
]


@pytest.mark.parametrize(("came", "sent"), OUTGOING)
def test_set_cookie(came: bytes, sent: bytes) -> None:
    assert outgoing(came, MINE) == sent


INCOMING = [
    (M + b"user-id=a|b", b"user-id=a|b"),
    (b"_xsrf=x; " + M + b"a=b", b"_xsrf=x; a=b"),
    (M + b"a=1; b=2; " + M + b"c=3", b"a=1; b=2; c=3"),
    (M + b"a=1; " + M + b"a=2", b"a=1; a=2"),  # for two paths: the order says which is nearer
    (b"__Host-" + M + b"a=b", b"__Host-a=b"),
    (b"__hOsT-" + M + b"a=b; __Host-Http-" + M + b"c=d", b"__hOsT-a=b; __Host-Http-c=d"),
    # another job's
    (T + b"a=b", None),
    (T + b"a=b; x=y; __Secure-" + T + b"a=b", b"x=y"),
    (prefix(10001, OTHER, KEY).encode() + b"a=b", None),  # the port's last job
    (prefix(10002, JOB, KEY).encode() + b"a=b", None),
    (T + b"v", None),
    (M + b"v", None),  # ours have a `=`
    # an unprefixed one of the same name, from before or from a script
    (b"a=evil; " + M + b"a=good", b"a=good"),
    (M + b"a=good; a=evil; A=other", b"a=good; A=other"),
    (b"a =evil; a; " + M + b"a=good", b"a=good"),
    (b"__Host-a=evil; a=fine; __Host-" + M + b"a=good", b"a=fine; __Host-a=good"),
    (b"a=kept; " + T + b"a=no", b"a=kept"),
    # without a name
    (b"=__Host-a=b; c=d", b"c=d"),
    (b"= " + M + b"a=b", None),
    (b"v; c=d", b"v; c=d"),
    (M + b"=v; c=d", b"v; c=d"),
    (M + b"=", None),
    # what a script can have made, a browser would have refused
    (M + b"__Host-a=b", None),
    (M + b"=__Secure-a=b", None),
    # values and junk as they are
    (b'a="b c=\\"; d=%e2\xff==', b'a="b c=\\"; d=%e2\xff=='),
    (b'{"a": 1}; b=\'', b'{"a": 1}; b=\''),
    (b"a=b;c=d;;  ;\te=f\t", b"a=b; c=d; e=f"),
    (b"a=" + b"x" * 4094, b"a=" + b"x" * 4094),
    (b"", None),
    (b" ; ;", None),
    (b"x" + T + b"a=b", b"x" + T + b"a=b"),
    (T[:-1] + b"=b", T[:-1] + b"=b"),
]


@pytest.mark.parametrize(("came", "passed"), INCOMING)
def test_cookie(came: bytes, passed: bytes | None) -> None:
    assert incoming(came, MINE) == passed


GONE = [
    # tornado's clear_cookie: JupyterLab logs out
    (
        b'username-gw="x"; expires=Sat, 22 Nov 2025 10:00:00 GMT; Path=/',
        b"",
    ),
    (
        b'username-gw=""; expires=Sat, 22 Nov 2025 10:00:00 GMT; Path=/',
        M + b'username-gw=""; expires=Sat, 22 Nov 2025 10:00:00 GMT; Path=/; Max-Age=0',
    ),
    (b"a=; Path=/x; Domain=y", M + b"a=; Path=/x; Max-Age=0"),
    (b"a=", M + b"a=; Max-Age=0"),
    (b"a= ; Path=/", M + b"a= ; Path=/; Max-Age=0"),
    (b"a=deleted; Max-Age=0", M + b"a=deleted; Max-Age=0; Max-Age=0"),
    (b"a=deleted; max-age = -1; Secure", M + b"a=deleted; max-age = -1; Secure; Max-Age=0"),
    (b"__Host-a=; Path=/; Secure", b"__Host-" + M + b"a=; Path=/; Secure; Max-Age=0"),
    (b"a=; Path=/; HttpOnly", b""),  # renamed by outgoing
    (b"a=b; Max-Age=0; HttpOnly", b""),
    (b"a=b; Max-Age=10", b""),
    (b"a=b; Max-Age=01", b""),
    (b"a=b; Max-Age=", b""),
    (b"a=b; Path=/", b""),
    (b"a; Path=/", b""),
    (T + b"a=; Path=/", b""),
]


@pytest.mark.parametrize(("came", "second"), GONE)
def test_a_deleted_cookie_is_deleted_under_both_names(came: bytes, second: bytes) -> None:
    assert clearing(came, MINE) == second


names = st.binary(min_size=1, max_size=8).filter(lambda name: not re.search(rb"[=;\s]", name))
names |= st.sampled_from([b"__Host-a", b"__Secure-user-id", b"_xsrf", b"gw1.a"])
cookie_values = st.binary(max_size=20).filter(lambda value: b";" not in value and value == value.strip(b" \t"))


@given(st.lists(st.tuples(names, cookie_values), min_size=1, max_size=6))
def test_what_a_job_sets_comes_back_to_it_and_to_no_other(pairs: list[tuple[bytes, bytes]]) -> None:
    lines = [outgoing(b"%b=%b; Path=/; HttpOnly" % pair, MINE) for pair in pairs]
    jar = b"; ".join(line.partition(b";")[0] for line in lines)
    assert incoming(jar, MINE) == b"; ".join(b"%b=%b" % pair for pair in pairs)
    assert incoming(jar, THEIRS) is None
    assert incoming(jar, prefix(10001, OTHER, KEY)) is None


@given(st.binary(max_size=80))
def test_any_line_passes_as_text_and_never_a_foreign_cookie(junk: bytes) -> None:
    line = b"%b; %ba=secret; %b" % (junk, T, junk)
    passed = incoming(line, MINE) or b""
    assert b"secret" not in passed
    came = [pair.strip(b" \t") for pair in line.split(b";")]
    left = iter(came)
    assert all(one in left for one in passed.split(b"; ") if one)  # in their order


@given(st.binary(max_size=60), st.booleans())
def test_a_job_never_sets_a_foreign_cookie(junk: bytes, http_only: bool) -> None:
    for lead in (b"", b" ", b"=", b" =", b"__Host-", b"= __Secure-"):
        flag = b"; HttpOnly" if http_only else b""
        jar = outgoing(lead + T + junk + flag, MINE).partition(b";")[0].strip(b" \t").removeprefix(b"=").lstrip(b" \t")
        assert incoming(jar, THEIRS) is None
