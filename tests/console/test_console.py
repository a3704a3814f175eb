"""What a person does in the console, and what the OpCenter then says."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page, expect

from gateway.engines.fake import Fail, Hang
from gateway.errors import Refusal
from gateway.opcenter.server import now_ms
from tests.opcenter.conftest import World, free_range

pytestmark = pytest.mark.browser


def address(world: World) -> str:
    assert world.center is not None and world.center.opened is not None
    return world.center.opened.address


async def go(page: Page, where: str) -> None:
    await page.evaluate("(where) => { location.hash = where; }", where)


async def test_a_wrong_password_is_said_and_nothing_is_shown(browser: Browser, world: World) -> None:
    context = await browser.new_context()
    page = await context.new_page()
    answer = await page.goto(address(world))
    assert answer is not None
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'") and "unsafe" not in policy and "frame-ancestors 'none'" in policy
    await page.get_by_label("User name").fill("admin")
    await page.get_by_label("Password").fill("wrong")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("alert")).to_be_visible()
    await expect(page.get_by_role("navigation")).to_have_count(0)
    await context.close()


async def test_the_login_is_no_cookie_and_ends_with_the_tab(page: Page, world: World) -> None:
    assert await page.context.cookies() == []
    assert await page.evaluate("localStorage.length") == 0
    await page.reload()
    await expect(page.get_by_role("heading", name="Jobs")).to_be_visible()
    second = await page.context.new_page()
    await second.goto(address(world))
    await expect(second.get_by_label("Password")).to_be_visible()
    await page.get_by_role("button", name="Log out").click()
    await expect(page.get_by_label("Password")).to_be_visible()


async def test_a_token_that_is_worth_nothing_leads_to_the_login(page: Page, world: World) -> None:
    await world.api.post("/users/admin/password", {"password": "another-password", "old": world.password})
    await go(page, "#/hosts")
    await expect(page.get_by_label("Password")).to_be_visible()


async def test_jobs_appear_and_change_by_themselves(page: Page, world: World) -> None:
    await expect(page.get_by_text("No jobs.")).to_be_visible()
    await world.running(name="rstudio")
    row = page.get_by_role("row", name=re.compile("rstudio"))
    await expect(row).to_contain_text("Executing")
    await page.get_by_label("Filter jobs").fill("jupyter")
    await expect(row).to_have_count(0)


async def test_a_name_stays_a_name(page: Page, world: World) -> None:
    await world.running(name="<img src=x onerror=alert(1)>")
    await expect(page.get_by_role("link", name="<img src=x onerror=alert(1)>")).to_be_visible()


async def test_a_job_is_moved_suspended_resumed_and_cancelled(page: Page, world: World) -> None:
    job = await world.running(name="rstudio")
    await go(page, f"#/jobs/{job['id']}")
    await expect(page.get_by_role("heading", name="Job Details - rstudio")).to_be_visible()
    hang = Hang()
    world.engine.script("restore", hang)
    await page.get_by_role("button", name="Migrate").click()
    await page.get_by_role("dialog").get_by_label("vCPUs").fill("4")
    await page.get_by_role("dialog").get_by_role("button", name="Migrate").click()
    await expect(page.get_by_text("The job is moving to another host.")).to_be_visible()
    await expect(page.get_by_role("main").get_by_role("button", name="Migrate")).to_be_disabled()
    hang.release()
    await expect(page.locator("header .chip")).to_have_text("Executing")
    assert (await world.api.get(f"/jobs/{job['id']}"))["cpu"] == 4
    await page.get_by_role("button", name="Suspend").click()
    await page.get_by_role("dialog").get_by_role("button", name="Suspend").click()
    await page.get_by_role("button", name="Resume").click()
    await expect(page.locator("header .chip")).to_have_text("Executing")
    await expect(page.get_by_role("row", name=re.compile("Suspended"))).to_be_visible()
    await page.get_by_role("button", name="Cancel").click()
    await page.get_by_role("dialog").get_by_role("button", name="Cancel the job").click()
    await expect(page.locator("header .chip")).to_have_text("Cancelled")


async def test_what_the_opcenter_refuses_is_said_in_the_dialog(page: Page, world: World) -> None:
    job = await world.running(name="rstudio")
    await go(page, f"#/jobs/{job['id']}")
    await page.get_by_role("button", name="Migrate").click()
    await page.get_by_role("dialog").get_by_label("vCPUs").fill("-4")
    await page.get_by_role("dialog").get_by_role("button", name="Migrate").click()
    await expect(page.get_by_role("dialog").get_by_role("alert")).to_be_visible()
    await page.get_by_role("dialog").get_by_role("button", name="Close").click()
    await expect(page.get_by_role("dialog")).to_have_count(0)


async def test_why_a_move_failed_is_said_until_one_succeeds(page: Page, world: World) -> None:
    job = await world.running(name="rstudio")
    world.engine.script("checkpoint", Fail("The disk is full."))
    await go(page, f"#/jobs/{job['id']}")
    await page.get_by_role("button", name="Migrate").click()
    await page.get_by_role("dialog").get_by_role("button", name="Migrate").click()
    await expect(page.get_by_role("table").first).to_contain_text("The disk is full.")
    said = page.locator("p.trouble", has_text="runs on where it was: The disk is full.")
    await expect(said).to_be_visible()
    await go(page, "#/jobs")
    await expect(page.get_by_role("row", name=re.compile("rstudio"))).to_contain_text("could not be moved")
    await world.api.post(f"/jobs/{job['id']}/migrate")
    await expect(page.get_by_role("row", name=re.compile("rstudio"))).not_to_contain_text("could not be moved")
    await go(page, f"#/jobs/{job['id']}")
    await expect(said).to_have_count(0)
    await expect(page.locator(".facts")).to_contain_text("1, the only one took")


async def test_nothing_is_usual_that_was_seen_twice(page: Page, world: World) -> None:
    job = await world.running(name="rstudio")
    await go(page, f"#/jobs/{job['id']}")
    for words in ("1, the only one took", "2, the two took", "3, usually"):
        await world.api.post(f"/jobs/{job['id']}/migrate")
        await world.until(job, "Executing")
        await expect(page.locator(".facts")).to_contain_text(words)


async def test_a_job_is_submitted_from_scratch_and_the_line_says_how(page: Page, world: World) -> None:
    await go(page, "#/submit")
    await page.get_by_role("button", name="Start from Scratch").click()
    await page.get_by_label("Command").fill("sh -c 'echo \"it works\"'")
    await page.get_by_label("Published ports").fill("8888")
    await page.get_by_label("Name", exact=True).fill("one")
    await page.get_by_label("Environment variables").fill("A=1\nB=two words")
    await page.get_by_label("Gateway", exact=True).select_option("")
    line = "float submit -n one -e A=1 -e 'B=two words' --publish 8888 -- sh -c 'echo \"it works\"'"
    await expect(page.locator(".line code")).to_have_text(line)
    await page.get_by_role("button", name="Submit", exact=True).click()
    await expect(page.get_by_role("heading", name="Job Details - one")).to_be_visible()
    job = (await world.api.get("/jobs"))[0]
    assert job["env"] == ["A=1", "B=two words"]
    assert job["publish"] == ["8888:8888"]
    assert job["template"] == ""


async def test_a_template_whose_program_is_not_there_is_not_offered(page: Page, world: World) -> None:
    """It says which and how to get it instead."""
    if shutil.which("rserver"):
        pytest.skip("RStudio Server is installed here")
    await go(page, "#/templates")
    card = page.locator(".panel", has_text="rstudio")
    await expect(card).to_contain_text("the program rserver, which is not installed: install RStudio Server")
    await expect(card.get_by_role("button", name="Submit Job")).to_be_disabled()
    await expect(page.locator(".panel", has_text="jupyter").get_by_role("button", name="Submit Job")).to_be_enabled()
    await go(page, "#/templates/rstudio")
    await expect(page.get_by_role("status").filter(has_text="rserver")).to_be_visible()
    await expect(page.get_by_role("button", name="Submit Job")).to_be_disabled()
    await go(page, "#/submit/rstudio")
    await expect(page.get_by_role("status").filter(has_text="rserver")).to_be_visible()
    await expect(page.get_by_role("button", name="Submit", exact=True)).to_be_disabled()
    await page.get_by_label("Template").select_option("jupyter")
    await expect(page.get_by_role("button", name="Submit", exact=True)).to_be_enabled()


async def test_a_template_s_line_is_that_of_the_guide(
    page: Page, world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "rserver").touch(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    await go(page, "#/templates")
    await page.locator(".panel", has_text="rstudio").get_by_role("button", name="Submit Job").click()
    await page.get_by_label("Target port").fill("8787")
    await page.get_by_label(re.compile("sg-default")).check()
    line = "float template deploy -T rstudio --gateway auto --targetPort 8787 --securityGroup sg-default"
    await expect(page.locator(".line code")).to_have_text(line)
    await go(page, "#/templates/rstudio")
    await expect(page.locator("pre.line")).to_contain_text("RSTUDIO_USER=rstudio")


async def test_a_gateway_is_created_connected_modified_and_destroyed(page: Page, world: World) -> None:
    job = await world.running(name="rstudio")
    await world.api.post("/securityGroups", {"id": "sg-lab", "rules": [
        {"portMin": 1, "portMax": 65535, "source": "10.0.0.0/8"}]})  # fmt: skip
    await go(page, "#/gateways")
    await page.get_by_role("button", name="Create Gateway").click()
    await page.get_by_label("Name", exact=True).fill("lab")
    await page.get_by_label("Port range").fill(free_range())
    await page.get_by_role("button", name="Create", exact=True).click()
    await expect(page.get_by_role("heading", name="Gateway Details - lab")).to_be_visible()
    await page.get_by_role("button", name="Connect", exact=True).click()
    await expect(page.get_by_label("Target ports")).to_have_value(job["publish"][0].split(":")[0])
    await page.get_by_role("dialog").get_by_role("button", name="Connect").click()
    row = page.get_by_role("row", name=re.compile("rstudio"))
    await expect(row.get_by_role("link", name="http://127.0.0.1:")).to_be_visible()
    await page.get_by_role("button", name="Modify").click()
    await page.get_by_label(re.compile("sg-lab")).check()
    await page.get_by_label(re.compile("sg-default")).uncheck()
    await page.get_by_role("button", name="Save").click()
    await expect(page.locator(".facts")).to_contain_text("sg-lab")
    await page.get_by_role("button", name="Destroy").click()
    await page.get_by_role("dialog").get_by_role("button", name="Destroy").click()
    await expect(page.get_by_role("dialog").get_by_role("alert")).to_be_visible()  # a job is connected
    await page.get_by_role("dialog").get_by_role("button", name="Close").click()
    await row.get_by_role("button", name="Disconnect").click()
    await page.get_by_role("dialog").get_by_role("button", name="Disconnect").click()
    await expect(page.get_by_text("No jobs are connected.")).to_be_visible()
    assert (await world.api.get(f"/jobs/{job['id']}"))["status"] == "Executing"
    await page.get_by_role("button", name="Destroy").click()
    await page.get_by_role("dialog").get_by_role("button", name="Destroy").click()
    await expect(page.get_by_role("heading", name="Gateways", exact=True)).to_be_visible()


async def test_a_security_group_is_created_and_deleted(page: Page, world: World) -> None:
    await go(page, "#/securityGroups")
    await page.get_by_role("button", name="Create Security Group").click()
    await page.get_by_label("Name", exact=True).fill("class")
    await page.get_by_label("Inbound rules").fill("nonsense")
    await expect(page.get_by_role("button", name="Create", exact=True)).to_be_disabled()
    await page.get_by_label("Inbound rules").fill("10000-10500 172.31.0.0/16\n8787 0.0.0.0/0")
    await page.get_by_role("button", name="Create", exact=True).click()
    row = page.get_by_role("row", name=re.compile("class"))
    await expect(row).to_contain_text("10000-10500 from 172.31.0.0/16")
    await row.get_by_role("button", name="Delete").click()
    await page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    await expect(row).to_have_count(0)


async def test_hosts_say_what_runs_on_them_and_whether_moves_are_real(page: Page, world: World) -> None:
    await world.running(name="rstudio")
    await go(page, "#/hosts")
    await expect(page.get_by_role("row", name=re.compile("busy")).get_by_role("link", name="rstudio")).to_be_visible()
    await expect(page.get_by_text("real: by checkpoint and restore")).to_be_visible()


async def test_a_user_sees_own_jobs_only(page: Page, world: World) -> None:
    await world.running(name="theirs")
    await world.api.post("/users", {"username": "alice", "password": "wonderland-1", "role": "user"})
    await page.get_by_role("button", name="Log out").click()
    await page.get_by_label("User name").fill("alice")
    await page.get_by_label("Password").fill("wonderland-1")
    await page.keyboard.press("Enter")
    await expect(page.get_by_text("No jobs.")).to_be_visible()


async def test_users_are_added_given_passwords_and_removed(page: Page, world: World) -> None:
    await page.get_by_role("link", name="Users").click()
    await page.get_by_role("button", name="Add User").click()
    dialog = page.get_by_role("dialog")
    await dialog.get_by_label("User name").fill("alice")
    await dialog.get_by_label("Password").fill("wonderland-1")
    await dialog.get_by_label("Once more").fill("wonderland-2")
    await expect(dialog.get_by_role("button", name="Add", exact=True)).to_be_disabled()
    await dialog.get_by_label("Once more").fill("wonderland-1")
    await dialog.get_by_role("button", name="Add", exact=True).click()
    row = page.get_by_role("row", name=re.compile("alice"))
    await expect(row).to_contain_text("user")
    alice = await world.user("alice", "wonderland-1")
    await row.get_by_role("button", name="Reset password").click()
    await dialog.get_by_label("New password").fill("looking-glass")
    await dialog.get_by_label("Once more").fill("looking-glass")
    await dialog.get_by_role("button", name="Reset", exact=True).click()
    await expect(dialog).to_have_count(0)
    with pytest.raises(Refusal):
        await alice.get("/session")
    await world.user("alice", "looking-glass")
    await row.get_by_role("button", name="Remove").click()
    await dialog.get_by_role("button", name="Remove", exact=True).click()
    await expect(row).to_have_count(0)
    assert [one["username"] for one in await world.api.get("/users")] == ["admin"]
    admin = page.get_by_role("row", name=re.compile("admin"))
    await expect(admin.get_by_role("cell").nth(2)).to_have_text("0")  # a number that is nothing is shown too
    await expect(admin.get_by_role("button", name="Remove")).to_have_count(0)


async def test_one_s_own_password_is_changed_without_being_logged_out(page: Page, world: World) -> None:
    await world.api.post("/users", {"username": "alice", "password": "wonderland-1", "role": "user"})
    await page.get_by_role("button", name="Log out").click()
    await page.get_by_label("User name").fill("alice")
    await page.get_by_label("Password").fill("wonderland-1")
    await page.keyboard.press("Enter")
    await expect(page.get_by_text("No jobs.")).to_be_visible()
    await expect(page.get_by_role("link", name="Users")).to_have_count(0)
    await page.get_by_role("button", name="Change password").click()
    dialog = page.get_by_role("dialog")
    await dialog.get_by_label("New password").fill("looking-glass")
    await dialog.get_by_label("Once more").fill("looking-glass")
    await dialog.get_by_label("Password until now").fill("wrong")
    await dialog.get_by_role("button", name="Change", exact=True).click()
    await expect(dialog.get_by_role("alert")).to_contain_text("The old password is wrong")
    await dialog.get_by_label("Password until now").fill("wonderland-1")
    await dialog.get_by_role("button", name="Change", exact=True).click()
    await expect(page.get_by_text("Your password is changed.")).to_be_visible()
    await world.user("alice", "looking-glass")
    await page.reload()
    await expect(page.get_by_text("No jobs.")).to_be_visible()


async def test_a_gateway_with_a_job_fits_a_laptop_s_screen(page: Page, world: World) -> None:
    """1280 pixels: every column is there without scrolling."""
    await page.set_viewport_size({"width": 1280, "height": 800})
    gateway = await world.gateway(name="lab")
    job = await world.running(template="", name="a-job-with-an-ordinary-name", gateway=gateway["id"])
    async with world.peer(gateway) as peer:
        activity = {"job": job["id"], "port": int(gateway["portRange"].split("-")[0]), "last": now_ms(), "requests": 7}
        clients = ["192.168.100.101", "192.168.100.102", "192.168.100.103"]
        await peer.say(type="activity", activity=[{**activity, "clients": clients, "websockets": 12, "waiting": 3}])
        await go(page, f"#/gateways/{gateway['id']}")
        await expect(page.get_by_role("row", name=re.compile("ordinary"))).to_contain_text("12 WebSockets, 3 waiting")
        table = page.locator(".table").filter(has=page.get_by_role("row", name=re.compile("ordinary")))
        assert await table.evaluate("(one) => one.scrollWidth - one.clientWidth") == 0


async def test_an_opcenter_that_comes_back_is_found_again(page: Page, world: World) -> None:
    await world.running(name="rstudio")
    await expect(page.get_by_role("link", name="rstudio")).to_be_visible()
    await world.stop()
    await expect(page.get_by_text("No contact with the OpCenter.")).to_be_visible(timeout=15000)
    await expect(page.get_by_role("link", name="rstudio")).to_be_visible()
