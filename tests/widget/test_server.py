"""The control port as a program sees it: who may ask for what, and what is answered."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from gateway.types import JobStatus, Step
from widget.limits import Limits

from .stage import JOB, OTHER, Stage, stage

DEADLINE = 10.0


class Caller:
    """A program that says whatever headers it likes."""

    def __init__(self, here: Stage, session: aiohttp.ClientSession) -> None:
        self.here, self.session, self.token = here, session, ""

    def headers(self) -> dict[str, str]:
        own = {"Origin": self.here.control, "Content-Type": "application/json", "Sec-Fetch-Site": "same-origin"}
        return {**own, **({"Authorization": f"Bearer {self.token}"} if self.token else {})}

    async def post(self, path: str, doc: Any, **headers: str | None) -> tuple[int, dict[str, Any]]:
        """POST JSON as the frame would; `headers` with None leaves one out."""
        sent = {**self.headers(), **{name.replace("_", "-"): value for name, value in headers.items()}}
        body = doc if isinstance(doc, str) else json.dumps(doc)
        chosen = {name: value for name, value in sent.items() if value is not None}
        async with self.session.post(self.here.control + path, data=body, headers=chosen) as answer:
            return answer.status, await answer.json()

    async def get(self, path: str, **headers: str) -> tuple[int, dict[str, Any]]:
        sent = {**self.headers(), **{name.replace("_", "-"): value for name, value in headers.items()}}
        async with self.session.get(self.here.control + path, headers=sent) as answer:
            return answer.status, await answer.json()

    async def log_in(self, user: str = "alice", password: str = "wonderland") -> int:
        status, doc = await self.post("/api/login", {"username": user, "password": password})
        self.token = doc.get("token", "")
        return status

    async def ask(self, act: str, job: str = JOB) -> str:
        status, doc = await self.post("/api/ask", {"job": job, "act": act})
        assert status == 200, doc
        return str(doc["nonce"])

    async def act(self, act: str, nonce: str, name: str = "", job: str = JOB) -> tuple[int, dict[str, Any]]:
        return await self.post("/api/act", {"job": job, "act": act, "nonce": nonce, "name": name})

    async def asked_and_rested(self, act: str) -> str:
        nonce = await self.ask(act)
        self.here.clock.ahead += 1.0
        return nonce


@pytest_asyncio.fixture(loop_scope="session")
async def caller(here: Stage) -> AsyncIterator[Caller]:
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session:
        yield Caller(here, session)


# Sessions.


async def test_a_login_is_exchanged_for_a_token_of_ours(caller: Caller) -> None:
    assert await caller.log_in() == 200
    assert caller.token
    assert caller.token not in caller.here.opcenter.tokens
    status, doc = await caller.get(f"/api/state/{JOB}")
    assert status == 200
    assert doc["you"] == {"user": "alice", "role": "user"}
    assert doc["job"]["host"] == "host-2 (2Core4GB/Spot)"
    assert not any(token in json.dumps(doc) for token in caller.here.opcenter.tokens)


async def test_unknown_user_and_wrong_password_are_one_answer(caller: Caller) -> None:
    answers = [await caller.post("/api/login", {"username": user, "password": "x"}) for user in ("alice", "nobody", "")]
    assert answers[0] == answers[1] == answers[2]
    assert answers[0][0] == 401


async def test_failed_logins_are_slowed_down(caller: Caller) -> None:
    """C15."""
    tries = [await caller.log_in("alice", "wrong") for _ in range(6)]
    assert tries == [401] * 5 + [429]
    assert await caller.log_in() == 429
    caller.here.clock.ahead += Limits().login_window
    assert await caller.log_in() == 200


async def test_tries_at_once_are_slowed_down_as_tries_one_by_one(caller: Caller) -> None:
    """C15: and what the OpCenter did not answer was no try."""
    tries = await asyncio.gather(*(caller.log_in("alice", f"guess {one}") for one in range(40)))
    assert (tries.count(401), tries.count(429)) == (5, 35)
    assert len([one for one in caller.here.opcenter.seen if one[0] == "login"]) == 5
    caller.here.clock.ahead += Limits().login_window
    for _ in range(8):
        assert await caller.log_in() == 200


async def test_of_two_moves_at_once_one_is_made_and_a_refused_one_is_not_counted(caller: Caller) -> None:
    await caller.log_in()
    nonces = [(await caller.post("/api/ask", {"job": JOB, "act": "migrate"}))[1]["nonce"] for _ in range(3)]
    bodies = [{"job": JOB, "act": "migrate", "nonce": one, "name": ""} for one in nonces]
    caller.here.clock.ahead += 1
    caller.here.opcenter.refusal = (409, 1005, "The job moves already")
    assert (await caller.post("/api/act", bodies[0]))[0] == 409
    answers = await asyncio.gather(*(caller.post("/api/act", one) for one in bodies[1:]))
    assert sorted(status for status, _ in answers) == [202, 429]
    assert caller.here.opcenter.acts == [("alice", "migrate")]


async def test_a_tab_that_is_left_open_is_no_use_of_a_login(caller: Caller) -> None:
    """C15: it asks for the state each half minute, and connects anew when it is shown or loaded."""
    await caller.log_in()
    minutes = 0
    while (await caller.get(f"/api/state/{JOB}"))[0] == 200:
        url = f"{caller.here.control}/api/live/{JOB}".replace("http", "ws", 1)
        async with caller.session.ws_connect(url, headers={"Origin": caller.here.control}) as socket:
            await socket.send_json({"token": caller.token})
            assert "you" in await socket.receive_json()
        caller.here.clock.ahead += 60
        minutes += 1
    assert minutes == Limits().session_idle / 60
    await caller.log_in()
    for _ in range(3):
        caller.here.clock.ahead += Limits().session_idle - 60
        assert (await caller.post("/api/ask", {"job": JOB, "act": "cancel"}))[0] == 200


async def test_a_token_ends_by_idleness_age_and_logout(caller: Caller) -> None:
    """C15."""
    await caller.log_in()
    caller.here.clock.ahead += Limits().session_idle
    status, doc = await caller.get(f"/api/state/{JOB}")
    assert (status, doc["denied"]) == (401, "NOT_LOGGED_IN")
    await caller.log_in()
    assert (await caller.post("/api/logout", {}))[0] == 200
    assert (await caller.get(f"/api/state/{JOB}"))[0] == 401
    assert caller.here.opcenter.tokens.keys().isdisjoint({caller.token})


async def test_a_token_that_the_opcenter_revoked_is_worth_nothing_here(caller: Caller) -> None:
    """C15."""
    await caller.log_in()
    caller.here.opcenter.tokens.clear()
    assert (await caller.get(f"/api/state/{JOB}"))[0] == 401


async def test_logging_in_over_plain_http_from_elsewhere_is_refused() -> None:
    """C14: the name is not loopback's, though the peer is."""
    async with stage() as here, aiohttp.ClientSession() as session:
        caller = Caller(here, session)
        name = {"Host": f"gw.test:{here.control_port}", "Origin": f"http://gw.test:{here.control_port}"}
        status, doc = await caller.post("/api/login", {"username": "alice", "password": "wonderland"}, **name)
        assert (status, doc["denied"]) == (403, "INSECURE")
        assert here.opcenter.seen == []


async def test_unless_the_operator_allows_it() -> None:
    async with stage(allow_insecure_login=True) as here, aiohttp.ClientSession() as session:
        caller = Caller(here, session)
        name = {"Host": f"gw.test:{here.control_port}", "Origin": f"http://gw.test:{here.control_port}"}
        assert (await caller.post("/api/login", {"username": "alice", "password": "wonderland"}, **name))[0] == 200


# Who may ask.


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": None}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://127.0.0.1:1"}, 403),
        ({"Sec_Fetch_Site": "same-site"}, 403),
        ({"Sec_Fetch_Site": "none"}, 403),
        ({"Content_Type": "text/plain"}, 415),
        ({"Content_Type": "application/x-www-form-urlencoded"}, 415),
        ({"Host": "evil.test"}, 421),
        ({"Sec_Fetch_Site": None}, 200),
    ],
)
async def test_only_our_own_pages_may_post(caller: Caller, headers: dict[str, str | None], status: int) -> None:
    """C6, C13."""
    doc = {"username": "alice", "password": "wonderland"}
    answer, _ = await caller.post("/api/login", doc, **headers)
    assert answer == status
    assert bool(caller.here.opcenter.seen) is (status == 200)


@pytest.mark.parametrize("body", ["", "[]", "null", "1", "{", '{"username": "a"}', '{"username": 1, "password": 2}'])
async def test_what_is_no_login_is_refused(caller: Caller, body: str) -> None:
    assert (await caller.post("/api/login", body))[0] == 400


async def test_a_large_body_is_not_read(caller: Caller) -> None:
    async with caller.session.post(
        f"{caller.here.control}/api/login", data="x" * 10_000, headers=caller.headers()
    ) as answer:
        assert answer.status == 413


@pytest.mark.parametrize("path", ["/w/nothing", "/login?job=nothing", "/confirm?job=nothing&act=resume", "/login"])
async def test_jobs_of_other_gateways_are_unknown(caller: Caller, path: str) -> None:
    assert (await caller.get(path))[0] == 404


async def test_every_answer_carries_the_policy_and_no_cookie(caller: Caller) -> None:
    """C7, C10: also for errors."""
    paths = [
        f"/w/{JOB}",
        f"/login?job={JOB}",
        f"/confirm?job={JOB}&act=cancel",
        f"/api/state/{JOB}",
        "/no",
        "/static/x/y",
    ]
    for path in paths:
        async with caller.session.get(caller.here.control + path) as answer:
            assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'")
            frame = path.startswith("/w/")
            assert answer.headers["Cross-Origin-Resource-Policy"] == ("cross-origin" if frame else "same-origin")
            assert answer.headers["Cross-Origin-Embedder-Policy"] == "require-corp"
            assert answer.headers["Cache-Control"] == "no-store"
            assert not {"Set-Cookie", "Access-Control-Allow-Origin", "Server"} & set(answer.headers)
            own = f"frame-ancestors {caller.here.app};" if frame else "frame-ancestors 'none'"
            assert own in answer.headers["Content-Security-Policy"]
            if path.startswith(("/login", "/confirm")):
                assert answer.headers["Cross-Origin-Opener-Policy"] == "same-origin"


async def test_a_wrong_host_is_misdirected_everywhere(caller: Caller) -> None:
    """C13."""
    for path in (f"/w/{JOB}", f"/login?job={JOB}", f"/api/state/{JOB}", "/static/x/y"):
        assert (await caller.get(path, Host="evil.test"))[0] == 421


# The state.


async def test_without_a_token_only_the_public_part_is_told(caller: Caller) -> None:
    caller.here.set(JobStatus.FLOATING, 3, Step.DRAINING, reason="spot reclaim")
    status, doc = await caller.get(f"/api/state/{JOB}")
    assert status == 200
    assert doc.keys() == {"status", "step", "since", "now", "linked"}
    assert 3000 <= doc["now"] - doc["since"] < 10_000


async def test_another_user_s_job_stays_closed(caller: Caller) -> None:
    """C15: role denial."""
    await caller.log_in("bob", "builder")
    _, doc = await caller.get(f"/api/state/{JOB}")
    assert doc["denied"] == "NOT_YOURS"
    assert "job" not in doc
    nonce = await caller.asked_and_rested("suspend")
    assert (await caller.act("suspend", nonce))[0] == 403
    assert caller.here.opcenter.acts == []


async def test_an_admin_may_act_on_every_job(caller: Caller) -> None:
    await caller.log_in("root", "toor-toor")
    assert (await caller.act("suspend", await caller.asked_and_rested("suspend")))[0] == 202
    assert caller.here.opcenter.acts == [("root", "suspend")]


# Acts.


async def test_an_act_is_asked_and_answered_once(caller: Caller) -> None:
    await caller.log_in()
    nonce = await caller.asked_and_rested("suspend")
    assert await caller.act("suspend", nonce) == (202, {})
    assert (await caller.act("suspend", nonce))[1]["denied"] == "STALE"
    assert caller.here.opcenter.acts == [("alice", "suspend")]


async def test_an_answer_faster_than_a_person_reads_is_refused(caller: Caller) -> None:
    await caller.log_in()
    assert (await caller.act("suspend", await caller.ask("suspend")))[1]["denied"] == "STALE"
    caller.here.set(JobStatus.SUSPENDED)
    assert (await caller.act("resume", await caller.ask("resume")))[0] == 202


async def test_a_question_holds_for_its_own_act_job_and_session(caller: Caller) -> None:
    await caller.log_in()
    nonce = await caller.asked_and_rested("suspend")
    assert (await caller.act("migrate", nonce))[1]["denied"] == "STALE"
    assert (await caller.act("migrate", nonce, job=OTHER))[1]["denied"] == "STALE"
    await caller.log_in("root", "toor-toor")
    assert (await caller.act("suspend", nonce))[1]["denied"] == "STALE"
    assert caller.here.opcenter.acts == []


async def test_a_cancellation_needs_the_job_s_name(caller: Caller) -> None:
    await caller.log_in()
    nonce = await caller.asked_and_rested("cancel")
    assert (await caller.act("cancel", nonce, "Rstudio"))[1]["denied"] == "WRONG_NAME"
    assert (await caller.act("cancel", nonce, "rstudio "))[0] == 202


async def test_a_job_is_moved_once_a_minute(caller: Caller) -> None:
    await caller.log_in()
    assert (await caller.act("migrate", await caller.asked_and_rested("migrate")))[0] == 202
    assert (await caller.act("migrate", await caller.asked_and_rested("migrate")))[1]["denied"] == "TOO_SOON"
    caller.here.clock.ahead += Limits().migrate_pause
    assert (await caller.act("migrate", await caller.asked_and_rested("migrate")))[0] == 202


async def test_what_the_state_does_not_allow_is_not_even_asked(caller: Caller) -> None:
    await caller.log_in()
    nonce = await caller.asked_and_rested("migrate")
    caller.here.set(JobStatus.FLOATING)
    assert (await caller.post("/api/ask", {"job": JOB, "act": "migrate"}))[1]["denied"] == "NOT_NOW"
    assert (await caller.act("migrate", nonce))[1]["denied"] == "NOT_NOW"
    assert (await caller.post("/api/ask", {"job": JOB, "act": "explode"}))[0] == 400


async def test_the_opcenter_s_own_no_is_passed_on(caller: Caller) -> None:
    await caller.log_in()
    caller.here.opcenter.refusal = (409, 1005, "The job moves already")
    status, doc = await caller.act("migrate", await caller.asked_and_rested("migrate"))
    assert (status, doc) == (409, {"error": "The job moves already"})
    assert (await caller.act("migrate", await caller.asked_and_rested("migrate")))[0] == 202, "it was not a move"


async def test_an_opcenter_that_does_not_answer_is_said(caller: Caller) -> None:
    await caller.log_in()
    caller.here.desk.opcenter = "http://127.0.0.1:9"
    assert (await caller.get(f"/api/state/{JOB}"))[1]["denied"] == "NO_OPCENTER"
    assert (await caller.act("suspend", await caller.asked_and_rested("suspend")))[0] == 503
    assert await caller.log_in() == 503


async def test_acts_are_kept_in_the_audit_and_secrets_are_not(tmp_path: Path) -> None:
    async with stage(home=tmp_path) as here, aiohttp.ClientSession() as session:
        caller = Caller(here, session)
        await caller.log_in("alice", "hunter2")
        await caller.log_in()
        nonce = await caller.asked_and_rested("suspend")
        await caller.act("suspend", nonce)
        text = (tmp_path / "widget-audit.log").read_text()
        assert [json.loads(line)["event"] for line in text.splitlines()] == ["login failed", "login", "act"]
        assert not any(
            secret in text for secret in ("hunter2", "wonderland", caller.token, nonce, *here.opcenter.tokens)
        )
        assert (tmp_path / "widget-audit.log").stat().st_mode & 0o077 == 0


# Live.


async def live(caller: Caller, first: Any, **headers: str) -> aiohttp.ClientWebSocketResponse:
    sent = {"Origin": caller.here.control, **headers}
    socket = await caller.session.ws_connect(f"{caller.here.control}/api/live/{JOB}", headers=sent)
    await socket.send_str(first if isinstance(first, str) else json.dumps(first))
    return socket


async def heard(socket: aiohttp.ClientWebSocketResponse, **wanted: Any) -> dict[str, Any]:
    """The next state that has these values."""
    async with asyncio.timeout(DEADLINE):
        while True:
            doc: dict[str, Any] = await socket.receive_json()
            if all(doc.get(key) == value for key, value in wanted.items()):
                return doc


async def test_changes_come_by_themselves(caller: Caller) -> None:
    socket = await live(caller, {"token": None})
    assert (await heard(socket, status="Executing")).keys() == {"status", "step", "since", "now", "linked"}
    caller.here.set(JobStatus.FLOATING, step=Step.DRAINING)
    await heard(socket, status="Floating", step="draining")
    caller.here.desk.link(False)
    await heard(socket, linked=False)
    await socket.close()


async def test_a_token_in_the_first_frame_opens_the_private_part_until_logout(caller: Caller) -> None:
    await caller.log_in()
    socket = await live(caller, {"token": caller.token})
    assert (await heard(socket, status="Executing"))["job"]["name"] == "rstudio"
    caller.here.set(JobStatus.SUSPENDED)
    assert (await heard(socket, status="Suspended"))["job"]["actions"] == ["resume", "cancel"]
    await caller.post("/api/logout", {})
    assert "job" not in await heard(socket, denied="NOT_LOGGED_IN")
    await socket.close()


async def test_without_the_opcenter_what_was_known_stays(caller: Caller) -> None:
    await caller.log_in()
    socket = await live(caller, {"token": caller.token})
    await heard(socket, status="Executing")
    caller.here.desk.opcenter = "http://127.0.0.1:9"
    caller.here.desk.link(False)
    assert (await heard(socket, linked=False))["job"]["name"] == "rstudio"
    await socket.close()


@pytest.mark.parametrize("first", ["", "hello", "[]", '{"token": 1}', "{}", "x" * 5000])
async def test_who_does_not_say_who_it_is_is_closed(caller: Caller, first: str) -> None:
    socket = await live(caller, first)
    async with asyncio.timeout(DEADLINE):
        assert (await socket.receive()).type in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED)
    await socket.close()


async def test_who_says_nothing_is_closed() -> None:
    async with stage(limits=Limits(first_frame=0.01)) as here, aiohttp.ClientSession() as session:
        async with session.ws_connect(f"{here.control}/api/live/{JOB}", headers={"Origin": here.control}) as socket:
            async with asyncio.timeout(DEADLINE):
                assert (await socket.receive()).type is aiohttp.WSMsgType.CLOSE


@pytest.mark.parametrize("origin", ["http://127.0.0.1:1", "null", "http://evil.test"])
async def test_other_origins_get_no_live_connection(caller: Caller, origin: str) -> None:
    """C6."""
    with pytest.raises(aiohttp.WSServerHandshakeError) as error:
        await live(caller, {"token": None}, Origin=origin)
    assert error.value.status == 403


async def test_live_connections_are_bounded_and_end_with_the_server() -> None:
    async with aiohttp.ClientSession() as session:
        async with stage(limits=Limits(sockets=1)) as here:
            caller = Caller(here, session)
            socket = await live(caller, {"token": None})
            await heard(socket, status="Executing")
            with pytest.raises(aiohttp.WSServerHandshakeError) as error:
                await live(caller, {"token": None})
            assert error.value.status == 503
        async with asyncio.timeout(DEADLINE):
            assert (await socket.receive()).type is aiohttp.WSMsgType.CLOSE
