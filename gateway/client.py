"""The OpCenter's REST API, from the caller's side: what the CLI, the widget and `float up` use.

One method a verb of HTTP; no call is retried. Whatever goes wrong is a `Refusal` with a sentence for the user.
"""

from __future__ import annotations

import base64
import contextlib
import json
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote, urlencode

from . import wire
from .errors import Code, Refusal

_CALL = wire.Patience(connect=10, silence=120, total=120)  # a call that waits says so by its own parameter
_STREAM = wire.Patience(connect=10, silence=90, total=None)  # the server sends a beat each 20 s


class OpCenterClient:
    """One OpCenter, one token; each call has a connection of its own. Use as an async context manager."""

    def __init__(self, address: str, token: str | None = None, *, trace: Callable[[str], None] | None = None) -> None:
        """`address` is a URL such as `http://127.0.0.1:9180`; `token` is what login returned.

        `trace` is told each call and how long it took; never a header or a body, for they hold secrets.
        """
        self.address = address.rstrip("/")
        self.token = token
        self._trace = trace

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing is kept open between calls."""

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
            async with self._open("GET", path, params=list(query.items()), patience=_STREAM) as answer:
                await _raise_for(answer)
                async for chunk in answer.chunks():
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
            async with self._open(method, path, body=body, params=params, headers=headers) as answer:
                if self._trace:
                    took = (time.monotonic() - began) * 1000
                    self._trace(f"{method} {self._url(path, params)} {answer.status} {took:.0f} ms")
                await _raise_for(answer)
                return None if answer.status == 204 else await answer.json()

    @contextlib.contextmanager
    def _border(self) -> Iterator[None]:
        """Turn what can go wrong on the wire into the Refusal that a user can do something with."""
        try:
            yield
        except wire.Gone as error:
            raise Refusal(Code.UNAVAILABLE, f"The OpCenter at {self.address} went away before it answered") from error
        except (OSError, TimeoutError) as error:
            raise self._unreachable() from error
        except wire.NotHttp as error:
            raise Refusal(Code.UNAVAILABLE, f"What answers at {self.address} is not an OpCenter") from error

    def _open(
        self,
        method: str,
        path: str,
        *,
        body: Mapping[str, Any] | None = None,
        params: Sequence[tuple[str, str]] | None = None,
        headers: Mapping[str, str] | None = None,
        patience: wire.Patience = _CALL,
    ) -> AbstractAsyncContextManager[wire.Answer]:
        sent = {"Accept": "application/json", **(headers or {})}
        if self.token and "Authorization" not in sent:
            sent["Authorization"] = self.token
        encoded = None if body is None else json.dumps(body).encode()
        return wire.call(method, self._url(path, params), sent, encoded, patience)

    def _url(self, path: str, params: Sequence[tuple[str, str]] | None) -> str:
        return f"{self.address}/api/v1{path}" + (f"?{urlencode(params)}" if params else "")

    def _unreachable(self) -> Refusal:
        return Refusal(
            Code.UNAVAILABLE,
            f"No OpCenter answers at {self.address}: start one with float up, or name another with -a",
        )


def part(text: str) -> str:
    """A name or id as one segment of a path, whatever a user typed."""
    return quote(text, safe="")


async def _raise_for(answer: wire.Answer) -> None:
    """Turn an error answer into the Refusal that it carries."""
    if answer.status < 400:
        return
    try:
        doc = await answer.json()
        refusal = Refusal(Code(doc["code"]), str(doc["error"]))
    except (wire.NotHttp, ValueError, KeyError, TypeError):
        refusal = Refusal(Code.INTERNAL, f"The OpCenter answered {answer.status} without a reason")
    raise refusal
