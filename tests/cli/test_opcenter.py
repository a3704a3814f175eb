"""`float opcenter`: a process of its own, from its start to its end, and what is done while it does not run."""

from __future__ import annotations

import os
import re
from collections.abc import AsyncIterator

import pytest

from tests.ports import free_port

from .conftest import Shell


@pytest.fixture
async def detached(shell: Shell) -> AsyncIterator[tuple[str, str]]:
    """Its address and the admin's first password; it runs in the background."""
    shell.environ |= {"FLOATGATE_ENGINE": "plain"}
    said = await shell.out(f"float opcenter start --detach --port {free_port()}")
    found = re.search(r"OpCenter and console: http://(\S+)/\nLogin: admin / (\S+) ", said)
    assert found and "float opcenter stop ends it" in said, said
    yield found[1], found[2]
    await shell.out("float opcenter stop")


async def test_its_life_in_the_background(shell: Shell, detached: tuple[str, str]) -> None:
    address, password = detached
    assert await shell.out(f"float login -a {address} -u admin -p {password}") == "Login Succeeded!\n"
    status = await shell.out("float opcenter status")
    assert f"address: http://{address}\n" in status and "engine:\n" in status
    job = (await shell.out("float submit -f -- sleep 1000")).split()[1]
    await shell.out(f"float wait -j {job}")
    port = address.rpartition(":")[2]
    second = await shell(f"float opcenter start --detach --port {port}")
    assert second.code == 1 and "uses" in second.err and "float opcenter stop" in second.err
    assert await shell.out("float opcenter stop") == "The OpCenter has ended; jobs and gateways go on\n"
    assert "No OpCenter uses" in await shell.out("float opcenter stop")
    gone = await shell("float opcenter status")
    assert gone.code == 1 and f"No OpCenter answers at http://{address}" in gone.err
    again = await shell.out(f"float opcenter start --detach --port {port}")
    assert "Login" not in again, "a password is shown once"
    assert "Executing" in await shell.out(f"float squeue -j {job}"), "the same login, and the job went on"
    await shell.out(f"float cancel -j {job} -f --sync")


async def test_a_lost_password(shell: Shell, detached: tuple[str, str]) -> None:
    address, password = detached
    await shell.out(f"float login -a {address} -u admin -p {password}")
    running = await shell("float opcenter reset-password")
    assert running.code == 1 and "float opcenter stop" in running.err
    await shell.out(f"float -a {address} -u admin -p {password} squeue")
    await shell.out("float opcenter stop")
    said = await shell.out("float opcenter reset-password")
    found = re.fullmatch(r"Login: admin / (\S{16})    \(shown this once\)\n", said)
    assert found, said
    assert (await shell("float opcenter reset-password nobody")).code == 1
    await shell.out(f"float opcenter start --detach --port {address.rpartition(':')[2]}")
    assert (await shell("float squeue")).code == 1, "whoever was logged in is so no longer"
    assert (await shell(f"float login -a {address} -u admin -p {password}")).code == 1
    await shell.out(f"float login -a {address} -u admin -p {found[1]}")
    await shell.out("float opcenter stop")
    chosen = "float opcenter reset-password admin --password-stdin"
    assert "is changed" in await shell.out(chosen, "my own choice\n")


async def test_a_password_is_reset_by_the_folder_s_owner_alone(shell: Shell) -> None:
    said = await shell("float opcenter reset-password")
    assert said.code == 1 and "There is no OpCenter's state" in said.err and not (shell.home / ".floatgate").exists()
    if os.geteuid() == 0:
        home = shell.home / ".floatgate"
        home.mkdir()
        (home / "id").write_bytes(bytes(32))
        os.chown(home / "id", 12345, 12345)
        said = await shell("float opcenter reset-password")
        assert said.code == 1 and "user 12345's" in said.err and "(code: 1004)" in said.err
        assert sorted(one.name for one in home.iterdir()) == ["id"]
