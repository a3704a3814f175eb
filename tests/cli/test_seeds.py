"""Every command line of the original's guides works and prints as there, and so do the scripts that parse it."""

from __future__ import annotations

import json
import re

import yaml

from gateway.engines.fake import Fail

from .conftest import Shell, World, executing, field

DEPLOY = "float template deploy -T rstudio --targetPort 8787 --securityGroup sg-0b23d4d7482ddb825 --gateway auto"


async def group(user: Shell) -> None:
    """The guide's security group."""
    await user.out("float security-group create --id sg-0b23d4d7482ddb825 --rule 8787:127.0.0.1/32")


async def test_login_says_what_scripts_compare(shell: Shell, world: World) -> None:
    login = f"float login -a {world.address} -u admin"
    assert await shell.out(f"{login} -p {world.password}") == "Login Succeeded!\n"
    assert await shell.out(f"{login}", f"{world.password}\n") == "Login Succeeded!\n"
    session = await shell.out("grep address ~/.float/session.yaml; stat -c %a ~/.float/session.yaml")
    assert session == f"address: http://{world.address}\n600\n"


async def test_login_info(shell: Shell, world: World) -> None:
    said = await shell("float login --info")
    assert said.code == 1 and re.fullmatch(r"Error: .* \(code: 1001\)\n", said.err) and not said.out
    await shell.out(f"float login -a {world.address} -u admin -p {world.password}")
    info = yaml.safe_load(await shell.out("float login --info"))
    assert info == {"address": f"http://{world.address}", "username": "admin", "role": "admin"}
    assert json.loads(await shell.out("float login --info -F json")) == info
    await shell.out("float logout")
    assert (await shell("float login --info")).code == 1


async def test_global_flags_stand_before_and_after_the_command(shell: Shell, world: World) -> None:
    flags = f"-a {world.address} -u admin -p {world.password}"
    assert await shell.out(f"float {flags} squeue") == "No jobs\n"
    assert await shell.out(f"float list {flags} --format json") == "No jobs\n"
    assert await shell.out(f"float gateway {flags} list") == "No gateways\n"
    assert not (shell.home / ".float" / "session.yaml").exists()


async def test_the_environment_logs_in(shell: Shell, world: World) -> None:
    shell.environ |= {"MMC_ADDRESS": f"{world.address},10.0.0.1", "MMC_USERNAME": "admin"}
    assert (await shell("float squeue")).code == 1
    assert await shell.out(f"MMC_PASSWORD={world.password} float squeue") == "No jobs\n"


async def test_the_gateway_guide(user: Shell, world: World) -> None:
    assert "--portRange" in await user.out("float gateway create -h")
    await user.out("float security-group create --id sg-0fbb6a83983184364 --rule 10000-10500:127.0.0.1/32")
    made = await user.out(
        f"float gateway create -c 2 -m 4 -n class --portRange {world.ports} --securityGroup sg-0fbb6a83983184364"
    )
    gateway = field(made, "id")
    assert re.fullmatch(r"g-[a-z0-9]{21}", gateway)
    head, row = (await user.out("float gateway list")).splitlines()[1:4:2]
    names = ["ID", "NAME", "STATUS", "CONFIG", "PUBLICIP", "PORTRANGE", "START", "JOBS", "COST"]
    assert [one.strip() for one in head.strip("|").split("|")] == names
    cells = [one.strip() for one in row.strip("|").split("|")]
    assert (cells[0], cells[3], cells[5]) == (gateway, "2Cores4GB", f"{world.low}-{world.high}")
    await user.out(f"float gateway modify -g {gateway} --addSecurityGroup sg-default")
    modified = await user.out(f"float gateway modify -g {gateway} rmSecurityGroup sg-0fbb6a83983184364")
    assert yaml.safe_load(modified)["securityGroups"] == ["sg-default"]
    assert yaml.safe_load(await user.out(f"float gateway info -g {gateway}"))["connectedJobs"] == []
    await user.out(f"yes | float gateway destroy -g {gateway}")


async def test_the_rstudio_guide(user: Shell, world: World, gateway: str) -> None:
    await group(user)
    shown = await user.out("float template show -T rstudio")
    assert shown.startswith('name: rstudio\ntag: "2022.12"\ntype: JobTemplate\nlastUpdated: 2023-06-30T13:50:51Z\n')
    assert "      env:\n        - RSTUDIO_USER=rstudio\n        - RSTUDIO_PASS=Welcome123!\n" in shown
    assert "float template deploy" in await user.out("float template deploy -h")
    deployed = await user.out(DEPLOY)
    keys = [line.partition(":")[0] for line in deployed.splitlines() if line[0].isalpha()]
    assert keys[:3] == ["id", "name", "user"] and keys.index("imageID") < keys.index("status")
    assert deployed.endswith(
        f"gateway:\n    gatewayID: {gateway}\n    IPAddress: 127.0.0.1\n    portMappings:\n"
        f"        - 8787 -> 127.0.0.1:{world.low}\n    accessURLs:\n        - http://127.0.0.1:{world.low}/\n"
    )
    job = field(deployed, "id")
    assert await user.out(f"float wait -j {job}") == "Executing\n"
    listed = await user.out(f"float squeue -j {job}")
    assert "Executing" in listed
    assert await user.out(f"curl -s http://127.0.0.1:{world.low}/") == "hello"
    await user.out(f"float gateway disconnect -g {gateway} -j {job} --port 8787")
    await user.out(f"float gateway connect -g {gateway} -j {job} --targetPort 8787")
    await user.out(f"float cancel -j {job} -f --sync")


async def test_scripts_that_parse(user: Shell, gateway: str, world: World) -> None:
    job = await executing(user, world, "--gateway auto")
    address = f"127.0.0.1:{world.low}\n"
    assert await user.out(f"float show -j {job} | grep -A 1 portMappings | tail -n 1 | awk '{{print $4}}'") == address
    assert await user.out(f"float show -j {job} | grep '^status:' | awk '{{print $2}}'") == "Executing\n"
    assert await user.out(f"float show -j {job} | grep 'id:' | head -1 | awk '{{print $2}}'") == f"{job}\n"
    names = "float list -f user=admin -f 'status=Executing or status=Suspended' | awk '{print $4}' | grep -v NAME"
    assert (await user.out(names)).split() == ["lab"]
    assert await user.out("float squeue list -f status=Suspended") == "No jobs\n"
    listed = json.loads(await user.out("float list --format json"))
    assert [one["id"] for one in listed] == [job]
    one = json.loads(await user.out(f"float show --format json --job {job}"))
    assert (one["id"], one["status"]) == (job, "Executing")
    assert await user.out("float open --print") == f"http://{address.strip()}/\n"


async def test_the_life_of_a_job(user: Shell, world: World, gateway: str) -> None:
    job = await executing(user, world, "--gateway auto")
    assert "Migrate request has been submitted" in await user.out(f"float migrate -j {job} -c 4 -m 8 -f --sync")
    assert "4Core8GB" in await user.out(f"float squeue -j {job}")
    assert "Suspend request has been submitted" in await user.out(f"float hibernate -j {job} -f --sync")
    assert "Suspended" in await user.out("float squeue")
    assert "Resume request has been submitted" in await user.out(f"float recover -j {job} --sync")
    assert "Cancel request has been submitted" in await user.out("yes | float scancel --filter name=lab --sync")
    assert await user.out(f"float wait -j {job} --status Cancelled") == "Cancelled\n"
    assert await user.out("float cancel --filter name=lab") == "No jobs\n"


async def test_a_job_that_did_not_move_is_an_error(user: Shell, world: World) -> None:
    job = await executing(user, world)
    world.engine.script("checkpoint", Fail("The disk is full."))
    said = await user(f"float migrate -j {job} --sync")
    assert said.code == 1 and "The disk is full" in said.err


async def test_a_job_that_did_not_come_back_is_an_error_and_squeue_says_why(user: Shell, world: World) -> None:
    job = await executing(user, world)
    await user.out(f"float suspend -j {job} -f --sync")
    world.engine.script("restore", *[Fail("No memory.")] * 3)
    said = await user(f"float resume -j {job} --sync")
    assert (said.code, said.out) == (1, "Resume request has been submitted\n")
    assert said.err.splitlines()[-1].startswith(f"Error: Job {job} is Suspended (It could not be brought back")
    assert said.err.endswith("No memory.) (code: 1005)\n")
    assert (await user("float squeue")).err.startswith(f"lab ({job}): It could not be brought back")
    await user.out(f"float resume -j {job} --sync")
    assert (await user("float squeue")).err == ""


async def test_logs(user: Shell, world: World) -> None:
    job = await executing(user, world)
    folder = world.opcenter.home / "jobs" / job
    (folder / "stderr.autosave").write_text("one\ntwo\nhttp://x/?token=abc\n")
    assert await user.out(f"float log -j {job} ls") == "stdout.autosave\nstderr.autosave\n"
    assert await user.out(f"float log cat -j {job} stderr.autosave") == "one\ntwo\nhttp://x/?token=abc\n"
    assert await user.out(f"float log -j {job} cat stderr.autosave | grep token= | wc -l") == "1\n"
    assert await user.out(f"float log tail -n 1 stderr -j {job}") == "http://x/?token=abc\n"


async def test_following_a_log(user: Shell, world: World) -> None:
    job = await executing(user, world)
    log = world.opcenter.home / "jobs" / job / "stdout.autosave"
    log.write_text("before\n")
    process = await user.begin(f"float log tail --follow output -j {job}")
    assert process.stdout is not None
    assert await process.stdout.readline() == b"before\n"
    with log.open("a") as file:
        file.write("after\n")
    assert await process.stdout.readline() == b"after\n"
    await user.out(f"float cancel -j {job} -f")
    out, _ = await process.communicate()
    assert (out, process.returncode) == (b"", 0)


async def test_users(user: Shell, world: World) -> None:
    assert "alice" in await user.out("float user add alice", "correct horse\n")
    assert "| alice | user  |" in await user.out("float user list")
    alice = f"float -a {world.address} -u alice -p 'correct horse'"
    assert (await user(f"{alice} user list")).code == 1
    assert await user.out(f"{alice} squeue") == "No jobs\n"
    await user.out("float user passwd alice", "another horse\n")
    assert (await user(f"{alice} squeue")).code == 1
    await user.out("yes | float user delete alice")
