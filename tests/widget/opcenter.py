"""A scripted OpCenter: the part of its REST API that the widget uses, on a real socket."""

from __future__ import annotations

import base64
import secrets
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

USERS = {"alice": ("wonderland", "user"), "bob": ("builder", "user"), "root": ("toor-toor", "admin")}


@dataclass
class ScriptedOpCenter:
    """Alice owns the job, Bob does not, root is an admin. What was asked for is in `acts`."""

    job: str
    owner: str = "alice"
    acts: list[tuple[str, str]] = field(default_factory=list)
    tokens: dict[str, str] = field(default_factory=dict)
    seen: list[tuple[str, str]] = field(default_factory=list)
    host: str = "host-2 (2Core4GB/Spot)"
    refusal: tuple[int, int, str] | None = None
    """Answered to the next act: status, code, sentence."""

    def app(self) -> web.Application:
        app = web.Application()
        app.add_routes(
            [
                web.get("/api/v1/login", self._login),
                web.post("/api/v1/logout", self._logout),
                web.get("/api/v1/jobs/{id}", self._job),
                web.post("/api/v1/jobs/{id}/{act}", self._act),
            ]
        )
        return app

    async def _login(self, request: web.Request) -> web.Response:
        name, _, password = base64.b64decode(request.headers["Authorization"][6:]).decode().partition(":")
        self.seen.append(("login", name))
        known = USERS.get(name)
        if known is None or known[0] != password:
            return _error(401, 1001, "Wrong user name or password")
        token = "Bearer " + secrets.token_hex(8)
        self.tokens[token] = name
        return web.json_response({"token": token, "username": name, "role": known[1]})

    async def _logout(self, request: web.Request) -> web.Response:
        self.tokens.pop(request.headers.get("Authorization", ""), None)
        return web.json_response({})

    def _user(self, request: web.Request) -> str | None:
        return self.tokens.get(request.headers.get("Authorization", ""))

    def _refused(self, request: web.Request) -> web.Response | None:
        user = self._user(request)
        if user is None:
            return _error(401, 1001, "Log in first")
        if request.match_info["id"] != self.job or (user != self.owner and USERS[user][1] != "admin"):
            return _error(404, 1002, "No such job")
        return None

    async def _job(self, request: web.Request) -> web.Response:
        doc: dict[str, Any] = {"id": self.job, "user": self.owner, "workingHost": self.host, "moves": 3}
        return self._refused(request) or web.json_response(doc)

    async def _act(self, request: web.Request) -> web.Response:
        refused = self._refused(request)
        if refused is not None:
            return refused
        if self.refusal is not None:
            (status, code, sentence), self.refusal = self.refusal, None
            return _error(status, code, sentence)
        self.acts.append((self._user(request) or "", request.match_info["act"]))
        return web.json_response({}, status=202)


def _error(status: int, code: int, sentence: str) -> web.Response:
    return web.json_response({"error": sentence, "code": code}, status=status)
