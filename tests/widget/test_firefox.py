"""The widget in Firefox ESR: another engine, with another idea of who gets a drag's events and of storage."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from gateway.types import JobStatus, Step

from . import tools
from .firefox import Tab, firefox
from .stage import JOB, Stage

pytestmark = pytest.mark.browser
BOX = "document.querySelector('iframe[title=\"Job control\"]').getBoundingClientRect().toJSON()"
LABEL = "document.querySelector('.label')?.textContent"


@pytest_asyncio.fixture(loop_scope="session", scope="module")
async def shared() -> AsyncIterator[Tab]:
    async with firefox(tools.firefox()) as tab:
        yield tab


@pytest_asyncio.fixture(loop_scope="session")
async def tab(shared: Tab, here: Stage) -> Tab:
    await shared.goto(here.app)
    await shared.until(f"{LABEL} === 'Executing'", await shared.frame())
    return shared


async def log_in(tab: Tab, frame: str) -> None:
    await tab.value(
        "(async () => { const answer = await fetch('/api/login', {method: 'POST', headers: {'Content-Type':"
        " 'application/json'}, body: JSON.stringify({username: 'alice', password: 'wonderland'})});"
        " localStorage.setItem('gw.session', JSON.stringify(await answer.json()));"
        " document.querySelector('job-control').live.again(); document.querySelector('.toggle').click(); })()",
        frame,
    )
    await tab.until("document.querySelector('.who')?.textContent === 'alice'", frame)


async def test_it_stands_in_its_place_and_tells_a_move(tab: Tab, here: Stage) -> None:
    frame, box = await tab.frame(), await tab.value(BOX)
    assert (box["y"], box["height"]) == (1, 26)
    here.set(JobStatus.FLOATING, 6, Step.TRANSFERRING)
    await tab.until("document.querySelector('.alert')?.textContent.includes('Step 3 of 5')", frame)
    assert await tab.value("document.activeElement === document.body")
    here.set(JobStatus.EXECUTING)
    await tab.until(f"{LABEL}.startsWith('Moved in')", frame)


async def test_a_mouse_drags_it_and_it_stays(tab: Tab, here: Stage) -> None:
    box = await tab.value(BOX)
    x, y = box["x"] + 10, box["y"] + 12
    await tab.drag((20, 600), (300, 500), (20, 600))  # what teaches it the zoom
    await tab.drag((x, y), (x - 50, y + 40), (x - 200, y + 150), (x - 320, y + 260))
    expected = (box["x"] - 320, box["y"] + 260)
    await tab.until(f"Math.hypot({BOX}.x - {expected[0]}, {BOX}.y - {expected[1]}) < 3")
    await tab.goto(here.app)
    await tab.until(f"{LABEL} === 'Executing'", await tab.frame())
    await tab.until(f"Math.hypot({BOX}.x - {expected[0]}, {BOX}.y - {expected[1]}) < 3")
    await tab.value("document.querySelector('job-control').place.reset()", await tab.frame())


@pytest.mark.parametrize("path", ["/api/login", "/api/act", f"/api/state/{JOB}"])
async def test_the_page_can_ask_for_nothing(tab: Tab, here: Stage, path: str) -> None:
    """C6."""
    here.requests.clear()
    for init in ({}, {"mode": "no-cors", "method": "POST", "body": "{}", "credentials": "include"}):
        kind = await tab.value(
            f"fetch({json.dumps(here.control + path)}, {json.dumps(init)}).then((a) => a.type, (e) => e.name)"
        )
        assert kind in ("TypeError", "opaque")
    reading = "(() => { try { return String(document.querySelector('iframe').contentWindow.localStorage); }"
    assert await tab.value(reading + " catch (error) { return error.name; } })()") == "SecurityError"
    assert [one for one in here.requests if one[2] < 300] == []


async def test_who_is_logged_in_sees_the_job_and_a_script_s_click_does_nothing(tab: Tab, here: Stage) -> None:
    frame = await tab.frame()
    await log_in(tab, frame)
    await tab.until("document.querySelector('header h2')?.textContent === 'rstudio'", frame)
    await tab.value("document.querySelector('[data-key=migrate]').click()", frame)
    here.set(JobStatus.SUSPENDED)
    await tab.until(f"{LABEL} === 'Suspended'", frame)
    assert here.opcenter.acts == []
    assert not [one for one in here.requests if one[1] == "/api/ask"]


async def test_the_page_of_a_suspended_job_leaves_the_widget_its_corner(tab: Tab, here: Stage) -> None:
    here.set(JobStatus.SUSPENDED)
    await tab.goto(here.app)
    await tab.until(f"{LABEL} === 'Suspended'", await tab.frame())
    places: dict[str, Any] = await tab.value(
        f"({{frame: {BOX}, main: document.querySelector('main').getBoundingClientRect().toJSON()}})"
    )
    assert places["frame"]["bottom"] <= places["main"]["top"] or places["frame"]["left"] >= places["main"]["right"]
