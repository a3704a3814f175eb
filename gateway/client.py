"""The OpCenter's REST API, from the caller's side: what the CLI, the widget and `float up` use.

One method a verb of HTTP; no call is retried. Whatever goes wrong is a `Refusal` with a sentence for the user.
"""

from __future__ import annotations

import base64
import contextlib
import json
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

import aiohttp

from .errors import Code, Refusal

_CALL_TIMEOUT = aiohttp.ClientTimeout(total=120, connect=10)  # a call that waits says so by its own parameter
_STREAM_TIMEOUT = aiohttp.ClientTimeout(total=None, connect=10, sock_read=90)  # the server sends a beat each 20 s


class OpCenterClient:
    """One OpCenter, one token. Use as an async context manager."""

    def __init__(self, address: str, token: str | None = None, *, trace: Callable[[str], None] | None = None) -> None:
        """`address` is a URL such as `http://127.0.0.1:9180`; `token` is what login returned.

        `trace` is told each call and how long it took; never a header or a body, for they hold secrets.
        """
        self.address = address.rstrip("/")
        self.token = token
        self._trace = trace
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()

    async def login(self, username: str, password: str) -> dict[str, Any]:
        """Log in and keep the token. Returns `{token, username, role}`. Raises Refusal."""
        pair = base64.b64encode(f"{username}:{password}".encode()).decode()
        doc: dict[str, Any] = await self._call("GET", "/login", headers={"Authorization": f"Basic {pair}"})
        self.token = doc["token"]
        return doc

    async def get(self, path: str, pairs: Sequence[tuple[str, str]] = (), **query: str) -> Any:
        """GET `/api/v1<path>`; `pairs` are for names that repeat. Returns the JSON. Raises Refusal."""
        return await self._call("GET", path, params=[*pairs, *query.items()])

    async def post(self, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """POST a JSON object; returns the JSON. Raises Refusal."""
        return await self._call("POST", path, body=body or {})

    async def patch(self, path: str, body: Mapping[str, Any]) -> Any:
        """PATCH a JSON object; returns the JSON. Raises Refusal."""
        return await self._call("PATCH", path, body=body)

    async def delete(self, path: str) -> Any:
        """DELETE; returns the JSON. Raises Refusal."""
        return await self._call("DELETE", path)

    async def text(self, path: str, **query: str) -> AsyncIterator[bytes]:
        """GET a text as it comes, chunk by chunk. Raises Refusal."""
        with self._border():
            async with self._open("GET", path, params=query, timeout=_STREAM_TIMEOUT) as answer:
                await _raise_for(answer)
                async for chunk in answer.content.iter_any():
                    yield chunk

    async def events(self, path: str = "/events") -> AsyncIterator[dict[str, Any]]:
        """The event stream (server-sent events): each `data:` as an object. Ends when the server ends."""
        pending = b""
        async for chunk in self.text(path):
            *lines, pending = (pending + chunk).split(b"\n")
            for line in lines:
                if line.startswith(b"data:"):
                    yield json.loads(line[5:])

    async def _call(
        self,
        method: str,
        path: str,
        *,
        body: Mapping[str, Any] | None = None,
        params: Sequence[tuple[str, str]] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Any:
        began = time.monotonic()
        with self._border():
            async with self._open(
                method, path, json=body, params=params, headers=headers, timeout=_CALL_TIMEOUT
            ) as answer:
                if self._trace:
                    self._trace(f"{method} {answer.url} {answer.status} {(time.monotonic() - began) * 1000:.0f} ms")
                await _raise_for(answer)
                return None if answer.status == 204 else await answer.json()

    @contextlib.contextmanager
    def _border(self) -> Iterator[None]:
        """Turn aiohttp's errors into the Refusal that a user can do something with."""
        try:
            yield
        except (aiohttp.ServerDisconnectedError, aiohttp.ClientPayloadError, ConnectionResetError) as error:
            raise Refusal(Code.UNAVAILABLE, f"The OpCenter at {self.address} went away before it answered") from error
        except (aiohttp.ClientConnectionError, TimeoutError) as error:
            raise self._unreachable() from error
        except (aiohttp.ClientError, json.JSONDecodeError) as error:
            raise Refusal(Code.UNAVAILABLE, f"What answers at {self.address} is not an OpCenter") from error

    def _open(
        self, method: str, path: str, *, headers: Mapping[str, str] | None = None, **more: Any
    ) -> aiohttp.client._RequestContextManager:
        if self._session is None:
            raise RuntimeError("use OpCenterClient as an async context manager")
        sent = {"Accept": "application/json", **(headers or {})}
        if self.token and "Authorization" not in sent:
            sent["Authorization"] = self.token
        return self._session.request(method, f"{self.address}/api/v1{path}", headers=sent, **more)

    def _unreachable(self) -> Refusal:
        return Refusal(
            Code.UNAVAILABLE,
            f"No OpCenter answers at {self.address}: start one with float up, or name another with -a",
        )


def part(text: str) -> str:
    """A name or id as one segment of a path, whatever a user typed."""
    return quote(text, safe="")


async def _raise_for(answer: aiohttp.ClientResponse) -> None:
    """Turn an error answer into the Refusal that it carries."""
    if answer.status < 400:
        return
    try:
        doc = await answer.json()
        refusal = Refusal(Code(doc["code"]), str(doc["error"]))
    except (aiohttp.ClientError, ValueError, KeyError, TypeError):
        refusal = Refusal(Code.INTERNAL, f"The OpCenter answered {answer.status} without a reason")
    raise refusal
