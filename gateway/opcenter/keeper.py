"""The gateways' loop: every gateway that there should be runs, every one that should not is ended."""

from __future__ import annotations

import asyncio
import secrets
import shutil
from collections.abc import Callable, Set
from dataclasses import dataclass, replace
from pathlib import Path

import structlog

from gateway.config import Timeouts
from gateway.types import GatewayId, JobId

from . import rows
from .events import Bus, Event, GatewayChanged, What
from .gateways import settings
from .links import Links, hash_token
from .model import Gateway
from .policy import Policy
from .processes import Processes, read_settings, write_settings
from .store import STORE_ERRORS, Store

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class _Try:
    """When it was started last, and how long to wait after its death (ms)."""

    at: int
    pause: float


class Keeper:
    """`run` for ever; `stop_all` for `float up`'s end."""

    def __init__(
        self,
        folder: Callable[[GatewayId], Path],
        url: Callable[[], str],
        store: Store,
        bus: Bus,
        links: Links,
        processes: Processes,
        timeouts: Timeouts,
        policy: Policy,
        clock: Callable[[], int],
    ) -> None:
        self._folder = folder
        self._url = url
        self._store = store
        self._bus = bus
        self._links = links
        self._processes = processes
        self._timeouts = timeouts
        self._policy = policy
        self._clock = clock
        self._tries: dict[GatewayId, _Try] = {}
        self._work = asyncio.Event()

    def heard(self, event: Event) -> None:
        """A gateway was made or marked: do not wait for the next look."""
        if isinstance(event, GatewayChanged) and event.what is What.ORDERS:
            self._work.set()

    async def run(self) -> None:
        """Look and act for ever; each gateway's act is a task, so that a slow end holds up nobody."""
        acts: dict[GatewayId, asyncio.Task[None]] = {}
        async with asyncio.TaskGroup() as group:
            while True:
                self._work.clear()
                for one in await self._gateways():
                    if one.id not in acts or acts[one.id].done():
                        acts[one.id] = group.create_task(self._turn(one))
                acts = {one: act for one, act in acts.items() if not act.done()}
                await self._rest()

    async def _gateways(self) -> list[Gateway]:
        try:
            async with self._store.read() as connection:
                return await rows.list_gateways(connection)
        except STORE_ERRORS:
            _log.exception("gateways cannot be read")
            return []

    async def _rest(self) -> None:
        try:
            async with asyncio.timeout(self._timeouts.look):
                await self._work.wait()
        except TimeoutError:
            return

    async def _turn(self, gateway: Gateway) -> None:
        try:
            await (self._end(gateway) if gateway.destroying else self._keep(gateway))
        except OSError as error:
            _log.error("gateway process", gateway=gateway.id, error=str(error))
        except Exception:  # noqa: BLE001  # the border of this task: one gateway's trouble is not the others'
            _log.exception("gateway loop", gateway=gateway.id)

    async def _keep(self, gateway: Gateway) -> None:
        folder, now = self._folder(gateway.id), self._clock()
        last = self._tries.get(gateway.id)
        self._links.peer(gateway.id).spawned = True
        if self._processes.alive(folder):
            await self._settle(gateway, folder)  # it reads its settings anew at each dial
            return
        if last is not None and now - last.at < last.pause * 1000:
            return
        await self._settle(gateway, folder)
        self._tries[gateway.id] = _Try(now, self._pause(last, now))
        _log.info("gateway started", gateway=gateway.id, again=last is not None)
        await self._processes.spawn(folder)
        self._bus.publish(GatewayChanged(gateway.id, What.NEWS))

    def _pause(self, last: _Try | None, now: int) -> float:
        if last is None or now - last.at > self._policy.steady * 1000:
            return self._policy.respawn
        return min(last.pause * 2, self._policy.respawn_max)

    async def _settle(self, gateway: Gateway, folder: Path) -> None:
        """Make `gateway.json` say where we are; with a new token when the old one is lost."""
        found = read_settings(folder)
        token = found.get("token")
        if not isinstance(token, str) or hash_token(token) != gateway.token_hash:
            token = secrets.token_urlsafe(32)
            async with self._store.write() as connection:
                saved = await rows.get_gateway(connection, gateway.id)
                if saved is not None:
                    await rows.put_gateway(connection, replace(saved, token_hash=hash_token(token)))
        wanted = settings(gateway, token, self._url())
        if wanted != found:
            write_settings(folder, wanted)

    async def _end(self, gateway: Gateway) -> None:
        folder = self._folder(gateway.id)
        await self._processes.stop(folder)
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
        async with self._store.write() as connection:
            await rows.delete_gateway(connection, gateway.id)
        self._links.forget(gateway.id)
        self._tries.pop(gateway.id, None)
        _log.info("gateway destroyed", gateway=gateway.id)
        self._bus.publish(GatewayChanged(gateway.id, What.GONE))

    async def stop_all(self, but: Set[JobId] = frozenset()) -> None:
        """End every gateway's process, except where these jobs are connected; `run` must not run.

        They start again with the next OpCenter.
        """
        try:
            async with self._store.read() as connection:
                gateways = await rows.list_gateways(connection)
                leases = [lease for job in but for lease in await rows.leases_of(connection, job=job)]
        except STORE_ERRORS:
            _log.exception("gateways cannot be read")  # then they serve on, and the next OpCenter finds them
            return
        used = {lease.gateway for lease in leases if lease.released is None}
        async with asyncio.TaskGroup() as group:
            for one in gateways:
                if one.id not in used:
                    group.create_task(self._processes.stop(self._folder(one.id)))
