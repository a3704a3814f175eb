"""Whatever goes wrong is one sentence with a code on stderr, exit code 1, and nothing else."""

from __future__ import annotations

import asyncio
import os
import signal

from .conftest import Shell, World, executing

JOB = "x" * 21


WITHOUT = [
    ("float squeue", 1001),
    ("float login -u admin -p wrong -a 127.0.0.1:1", 1006),
    ("float squeue --nonsense", 1003),
    ("float nonsense", 1003),
    ("float show", 1003),
    ("float log -j x", 1003),
    ("float gateway create --portRange 10000:10500", 1003),
    ("float -a 'not an address' squeue", 1003),
    ("float -F xml squeue", 1003),
    ("float up --ports 1:2", 1003),
    ("float submit -j /nowhere/abc.sh", 1003),
    ("float opcenter start --home /dev/null", 1006),
]


def is_sentence(text: str, code: int) -> bool:
    return text.startswith("Error: ") and text.endswith(f"(code: {code})\n") and text.count("\n") == 1


async def all_refused(shell: Shell, lines: list[tuple[str, int]]) -> None:
    """Each by itself: two at a time, since none of them changes anything."""
    turns = asyncio.Semaphore(2)

    async def refused(line: str, code: int) -> None:
        async with turns:
            said = await shell(line)
        assert (said.code, said.out) == (1, ""), line
        assert is_sentence(said.err, code), said.err

    async with asyncio.TaskGroup() as group:
        for line, code in lines:
            group.create_task(refused(line, code))


async def test_without_an_opcenter(shell: Shell) -> None:
    await all_refused(shell, WITHOUT)


REFUSED = [
    ("float show -j nonsense", 1003),
    (f"float show -j {JOB}", 1002),
    (f"float migrate -j {JOB} -f", 1002),
    ("float template show -T nonsense", 1002),
    ("float template deploy -T rstudio --gateway auto", 1005),
    ("float submit -n nothing", 1003),
    ("float list -f color=blue", 1003),
    ("float gateway create --portRange 1:2 --securityGroup sg-default", 1003),
    ("float gateway create --portRange 20000:20010 --securityGroup sg-nonsense", 1002),
    ("float gateway destroy -g g-nonsense -f", 1002),
    ("float security-group delete --id sg-default -f", 1005),
    ("float cancel", 1003),
    ("float open", 1003),
    ("float user add x", 1003),
]


async def test_refused_by_the_opcenter(user: Shell) -> None:
    await all_refused(user, REFUSED)


async def test_a_gateway_with_jobs_is_not_destroyed(user: Shell, world: World, gateway: str) -> None:
    await user.out(f"float submit --publish {world.target} --gateway auto -f -- server")
    said = await user(f"float gateway destroy -g {gateway} -f")
    assert said.code == 1 and "float gateway disconnect" in said.err


async def test_no_session_can_be_written(world: World, shell: Shell) -> None:
    shell.environ["HOME"] = "/dev/null"
    said = await shell(f"float login -a {world.address} -u admin -p {world.password}")
    assert said.code == 1 and said.err.startswith("Error: The session cannot be saved")


async def test_a_login_that_has_ended(user: Shell) -> None:
    await user.out("cp ~/.float/session.yaml ~/kept; float logout; cp ~/kept ~/.float/session.yaml")
    said = await user("float squeue")
    assert said.code == 1 and "float login" in said.err and "(code: 1001)" in said.err


async def test_ctrl_c_is_quiet(user: Shell, world: World) -> None:
    job = await executing(user, world)
    process = await user.begin(f"exec float wait -j {job} --status Suspended")
    assert process.stderr is not None
    assert await process.stderr.readline() == b"Executing\n"
    process.send_signal(signal.SIGINT)
    out, err = await process.communicate()
    assert (process.returncode, out, err) == (130, b"", b"")


async def test_a_reader_that_leaves_is_no_error(user: Shell) -> None:
    assert (
        await user.out("float -h | head -1; float template list | true") == "Usage: float [OPTIONS] COMMAND [ARGS]...\n"
    )


async def test_questions_are_asked_on_a_terminal_only(user: Shell, world: World) -> None:
    """On a terminal `n` changes nothing; the question is on stderr."""
    job = await executing(user, world)
    ours, theirs = os.openpty()
    process = await asyncio.create_subprocess_exec(
        "float", "suspend", "-j", job, stdin=theirs, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        env=user.environ,
    )  # fmt: skip
    os.close(theirs)
    assert process.stderr is not None
    assert await process.stderr.readuntil(b"[y/N]: ") == f"Suspend job {job}? [y/N]: ".encode()
    os.write(ours, b"n\n")
    out, _ = await process.communicate()
    os.close(ours)
    assert (process.returncode, out) == (130, b"")
    assert "Executing" in await user.out("float squeue")


async def test_options_of_the_original_that_do_nothing_are_named(user: Shell) -> None:
    said = await user("float submit -f --vmPolicy [onDemand=true] --withRoot -- sleep 1")
    assert said.code == 0 and "--vmPolicy means nothing here" in said.err and "--withRoot" in said.err
    assert said.out.startswith("id: ")


async def test_a_new_password_without_a_terminal(user: Shell, world: World) -> None:
    """`-p` is the password that one logs in with: it is not advised for somebody's new one."""
    said = await user("float user add alice < /dev/null")
    assert said.code == 1 and "--password-stdin" in said.err and "-p" not in said.err.replace("--password-stdin", "")
    assert "alice" not in await user.out("float user list")
    await user.out("float user add alice --password-stdin", "correct horse\n")
    await user.out("float user passwd alice --password-stdin", "another horse\n")
    assert await user.out(f"float -a {world.address} -u alice -p 'another horse' squeue") == "No jobs\n"
    alice = f"float -a {world.address} -u alice -p 'another horse' user passwd --password-stdin"
    assert "log in again" in await user.out(alice, "another horse\nthird horse 3\n")
    assert (await user(alice, "another horse\nfourth horse\n")).code == 1
