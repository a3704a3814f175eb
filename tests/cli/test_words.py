"""Words of the command line that become values, or a sentence that says what is wrong with them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import click
import pytest

from gateway.cli.app import root
from gateway.cli.framework import Group, spell_out
from gateway.cli.jobs import to_status
from gateway.cli.security_groups import to_rule
from gateway.cli.session import Session, load_session, save_session, session_file, to_url
from gateway.cli.sockets import parse_range
from gateway.cli.submit import script_command, to_seconds
from gateway.errors import Refusal


@pytest.mark.parametrize(
    ("typed", "url"),
    [
        ("10.0.0.1", "http://10.0.0.1:9180"),
        ("float.example:80", "http://float.example:80"),
        ("https://float.example", "https://float.example:443"),
        ("http://127.0.0.1:9180/", "http://127.0.0.1:9180"),
        ("[::1]:5", "http://[::1]:5"),
    ],
)
def test_an_address_becomes_a_url(typed: str, url: str) -> None:
    assert to_url(typed) == url


@pytest.mark.parametrize(
    ("read", "wrong"),
    [
        (to_url, ["", "ftp://a", "a b:x", "http://u@h", "1.2.3.4:99999", "http://h/path"]),
        (to_seconds, ["", "s", "1x", "-1s", "1.5h"]),
        (to_rule, ["", "a", "10000", "10000:x", "1-2-3:0.0.0.0/0", "10000-10500:1.2.3.4/33"]),
        (to_status, ["", "Running"]),
        (parse_range, ["", "10000", "a:b", "10100:10000", "1000:2000", "10000:70000", "10000:10000"]),
        (script_command, ["/nowhere/abc.sh"]),
    ],
)
def test_what_cannot_be_read_is_refused_with_a_sentence(read: Callable[[str], object], wrong: list[str]) -> None:
    for word in wrong:
        with pytest.raises(Refusal):
            read(word)


@pytest.mark.parametrize(
    ("read", "word", "why"),
    [
        (to_rule, "10000", "there is no colon"),
        (to_rule, "10000:x", "the source 'x' is not a block of IP addresses"),
        (to_rule, "1-2-3:0.0.0.0/0", "'1-2-3' is not a port"),
        (to_rule, "0-70000:0.0.0.0/0", "'0-70000' is not a port of 1 to 65535"),
        (to_rule, "10500-10000:0.0.0.0/0", "write 10000-10500"),
        (to_rule, "10000-10500:192.168.1.1/16", "the block is 192.168.0.0/16"),
        (parse_range, "10100:10000", "the lower port stands first: 10000:10100"),
        (parse_range, "1000:2000", "not within 10000:65535"),
        (parse_range, "10000:10000", "two ports at least"),
        (parse_range, "10000", "two ports with a colon"),
    ],
)
def test_the_sentence_says_which_part_is_wrong(read: Callable[[str], object], word: str, why: str) -> None:
    with pytest.raises(Refusal) as refused:
        read(word)
    assert why in refused.value.sentence and repr(word) in refused.value.sentence


def test_what_can_be_read() -> None:
    assert [to_seconds(one) for one in ("3600s", "90m", "2h", "1d", "5")] == [3600, 5400, 7200, 86400, 5]
    assert to_rule("8787:0.0.0.0/0") == {"portMin": 8787, "portMax": 8787, "source": "0.0.0.0/0"}
    assert to_rule("10000-10500:fd00::/8") == {"portMin": 10000, "portMax": 10500, "source": "fd00::/8"}
    assert parse_range("10000:10100") == parse_range("10000-10100") == (10000, 10100)
    assert to_status("executing") == "Executing"


@pytest.mark.parametrize(
    ("first", "argv"),
    [
        ("echo hi", ["/bin/sh"]),
        ("#!/bin/bash -e", ["/bin/bash", "-e"]),
        ("#!/usr/bin/env python3", ["/usr/bin/env", "python3"]),
    ],
)
def test_a_script_goes_with_its_interpreter(first: str, argv: list[str], tmp_path: Path) -> None:
    script = tmp_path / "job"
    script.write_text(f"{first}\nexit 3\n")
    assert script_command(str(script)) == [*argv, "-c", f"{first}\nexit 3\n"]


def test_a_script_of_another_language_is_refused(tmp_path: Path) -> None:
    script = tmp_path / "job"
    script.write_text("#!/usr/bin/perl\n")
    with pytest.raises(Refusal):
        script_command(str(script))


def test_the_session_is_readable_by_its_owner_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert load_session() is None
    save_session(Session("http://127.0.0.1:9180", "admin", "Bearer x"))
    assert load_session() == Session("http://127.0.0.1:9180", "admin", "Bearer x")
    assert session_file().stat().st_mode & 0o777 == 0o600
    assert session_file().read_text().splitlines()[0] == "address: http://127.0.0.1:9180"
    session_file().write_text("- no\n- mapping: [")
    assert load_session() is None


@pytest.mark.parametrize("name", ["alice", "true", "1e5", "2026-01-01", "a: b", "ü@x", "007", "null", "[x]"])
def test_a_session_is_read_as_it_was_written(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether it needs quotes in YAML or not."""
    monkeypatch.setenv("HOME", str(tmp_path))
    saved = Session("http://[::1]:9180", name, "Bearer IkFf-9.aQ_x")
    save_session(saved)
    assert load_session() == saved


def test_a_bare_v_means_on() -> None:
    assert spell_out(["-v", "squeue"]) == ["--verbose=on", "squeue"]
    assert spell_out(["-v", "off", "squeue"]) == ["-v", "off", "squeue"]
    assert spell_out(["submit", "--", "-v"]) == ["submit", "--", "-v"]


def commands(command: click.Command, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    if not isinstance(command, Group):
        return [path]
    context = click.Context(command)
    subs = [(name, command.get_command(context, name)) for name in command.list_commands(context)]
    return [path, *(one for name, sub in subs if sub is not None for one in commands(sub, (*path, name)))]


@pytest.mark.parametrize("path", commands(root), ids=" ".join)
def test_every_command_has_a_help(path: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    root.main([*path, "-h"], standalone_mode=False)
    assert "Usage: " in capsys.readouterr().out
