"""The OpCenter's end of the watch: each gateway's connection, what it was told, and what it says.

One snapshot is made at a time. It is saved with its version before it is sent, so that versions grow over restarts.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import structlog
from aiohttp import WSCloseCode, WSMsgType, web

from gateway.config import Timeouts
from gateway.errors import Code, Refusal
from gateway.types import Activity, GateReport, GatewayId, JobId, Snapshot

from . import rows
from .events import Event, GatewayChanged, JobChanged, What
from .groups import all_groups
from .model import Gateway
from .policy import Policy
from .security_groups import rules_of
from .snapshots import build, same
from .store import STORE_ERRORS, Store

Key = tuple[JobId, int]
_log = structlog.get_logger()


@dataclass(slots=True)
class Peer:
    """What is known of one gateway in this process's life."""

    snapshot: Snapshot | None = None
    socket: web.WebSocketResponse | None = None
    acked: int | None = None  # on the present connection
    was_linked: bool = False
    spawned: bool = False  # its process was started, or found running
    reports: dict[Key, GateReport] = field(default_factory=dict)
    activity: dict[Key, Activity] = field(default_factory=dict)
    trouble: dict[int, str] = field(default_factory=dict)
    news: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def linked(self) -> bool:
        """Whether it is connected now."""
        return self.socket is not None


def hash_token(token: str) -> str:
    """What is saved of a gateway's token: it is random and long, a plain hash is enough."""
    return hashlib.sha256(token.encode()).hexdigest()


class Links:
    """`run` keeps snapshots up to date; `serve` is the handler of the watch."""

    def __init__(
        self,
        store: Store,
        timeouts: Timeouts,
        policy: Policy,
        clock: Callable[[], int],
        tell: Callable[[Event], None],
    ) -> None:
        self._store = store
        self._timeouts = timeouts
        self._policy = policy
        self._clock = clock
        self._tell = tell
        self._peers: dict[GatewayId, Peer] = {}
        self._jobs: set[JobId] = set()
        self._gateways: set[GatewayId] = set()
        self._work = asyncio.Event()
        self.look_at: Callable[[JobId], None] = lambda _: None
        """Called when a gateway said something about this job."""

    def peer(self, gateway: GatewayId) -> Peer:
        """What is known of it; an empty Peer for one that was never heard of."""
        return self._peers.setdefault(gateway, Peer())

    def forget(self, gateway: GatewayId) -> None:
        """It was destroyed."""
        self._peers.pop(gateway, None)

    def heard(self, event: Event) -> None:
        """Note that snapshots have to be made again. Never waits."""
        match event:
            case JobChanged(job):
                self._jobs.add(job.id)
            case GatewayChanged(gateway, what=What.ORDERS):
                self._gateways.add(gateway)
            case _:
                return
        self._work.set()

    async def run(self) -> None:
        """Make and send snapshots for ever."""
        everything = True
        while True:
            jobs, self._jobs = self._jobs, set()
            gateways, self._gateways = self._gateways, set()
            try:
                await self._publish_all(gateways | await (self._known() if everything else self._with(jobs)))
                everything = False
            except STORE_ERRORS:
                _log.exception("snapshots cannot be made")
                everything = True
            await self._rest(self._timeouts.look if everything else None)

    async def _rest(self, seconds: float | None) -> None:
        """Until there is work; at most for this long."""
        try:
            async with asyncio.timeout(seconds):
                await self._work.wait()
        except TimeoutError:
            return
        self._work.clear()

    async def _publish_all(self, gateways: set[GatewayId]) -> None:
        for gateway in sorted(gateways):
            await self.publish(gateway)

    async def publish(self, gateway: GatewayId) -> None:
        """Make the snapshot; when it says something new, save its version and send it."""
        peer = self.peer(gateway)
        async with self._store.write() as connection:
            saved = await rows.get_gateway(connection, gateway)
            if saved is None:
                return
            leases = await rows.leases_of(connection, gateway=gateway)
            jobs = await rows.get_jobs(connection, (lease.job for lease in leases))
            groups = await all_groups(connection)
            rules = rules_of(saved.security_groups, groups)
            draft = build(replace(saved, version=saved.version + 1), leases, jobs, rules, self._clock())
            if peer.snapshot is not None and same(peer.snapshot, draft):
                return
            await rows.put_gateway(connection, replace(saved, version=draft.version))
        peer.snapshot = draft
        ports = {one.port for one in draft.listeners} | {draft.control_port}
        peer.trouble = {port: why for port, why in peer.trouble.items() if port in ports}
        peer.activity = {key: one for key, one in peer.activity.items() if key[1] in ports}
        peer.news.set()

    async def in_force(self, gateway: GatewayId) -> bool:
        """Whether it has acknowledged, on its present connection, what the store says now."""
        await self.publish(gateway)
        peer = self.peer(gateway)
        return peer.snapshot is not None and peer.acked == peer.snapshot.version

    async def reload(self, gateway: GatewayId) -> bool:
        """Tell it to become the newest program. False when it is not connected."""
        socket = self.peer(gateway).socket
        if socket is None:
            return False
        try:
            await socket.send_json({"type": "reload"})
        except ConnectionError:
            return False
        return True

    async def _known(self) -> set[GatewayId]:
        async with self._store.read() as connection:
            return {one.id for one in await rows.list_gateways(connection)}

    async def _with(self, jobs: set[JobId]) -> set[GatewayId]:
        async with self._store.read() as connection:
            return {lease.gateway for job in jobs for lease in await rows.leases_of(connection, job=job)}

    async def serve(self, request: web.Request, gateway: Gateway) -> web.StreamResponse:
        """The watch of one gateway, until it or we go. A second connection ends the first."""
        socket = web.WebSocketResponse(
            heartbeat=self._timeouts.link_ping, max_msg_size=self._policy.link_message, timeout=self._timeouts.close
        )
        await socket.prepare(request)
        peer = self.peer(gateway.id)
        if peer.socket is not None:
            await peer.socket.close(code=WSCloseCode.SERVICE_RESTART, message=b"another connection took over")
        peer.socket, peer.acked, peer.reports = socket, None, {}
        peer.was_linked = True
        if peer.snapshot is None:
            await self.publish(gateway.id)
        sender = asyncio.create_task(self._send(socket, peer))
        try:
            await self._receive(socket, gateway.id, peer)
        finally:
            sender.cancel()
            if peer.socket is socket:
                peer.socket, peer.acked = None, None
            self._tell(GatewayChanged(gateway.id, What.NEWS))
            self._wake(peer)
        return socket

    async def _send(self, socket: web.WebSocketResponse, peer: Peer) -> None:
        sent = -1
        while True:
            peer.news.clear()
            snapshot = peer.snapshot
            if snapshot is not None and snapshot.version != sent:
                try:
                    await socket.send_json({"type": "snapshot", "snapshot": snapshot.to_json()})
                except ConnectionError:
                    return
                sent = snapshot.version
            await peer.news.wait()

    async def _receive(self, socket: web.WebSocketResponse, gateway: GatewayId, peer: Peer) -> None:
        async for message in socket:
            if message.type is not WSMsgType.TEXT:
                break
            try:
                self._understand(gateway, peer, json.loads(message.data))
            except (ValueError, KeyError, TypeError) as error:
                _log.warning("gateway said something unknown", gateway=gateway, error=repr(error))
                await socket.close(code=WSCloseCode.POLICY_VIOLATION, message=b"not understood")

    def _understand(self, gateway: GatewayId, peer: Peer, doc: dict[str, Any]) -> None:
        match doc["type"]:
            case "ack":
                peer.acked = int(doc["version"])
                self._tell(GatewayChanged(gateway, What.NEWS))
            case "report":
                for one in doc["reports"]:
                    report = GateReport(**one)
                    peer.reports[(report.job, report.port)] = report
                    self.look_at(report.job)
            case "activity":
                for one in doc["activity"]:
                    activity = Activity(**{**one, "clients": tuple(one.get("clients", ()))})
                    peer.activity[(activity.job, activity.port)] = activity
                self._tell(GatewayChanged(gateway, What.NEWS))
            case "lost":
                self.look_at(JobId(str(doc["job"])))
            case "trouble":
                peer.trouble[int(doc["port"])] = str(doc["sentence"])[:500]
                _log.warning("gateway has trouble", gateway=gateway, port=doc["port"], sentence=doc["sentence"])
                self._tell(GatewayChanged(gateway, What.NEWS))
            case unknown:
                raise ValueError(f"type {unknown!r}")

    def _wake(self, peer: Peer) -> None:
        for listener in peer.snapshot.listeners if peer.snapshot else ():
            self.look_at(listener.job)

    async def close(self) -> None:
        """End every connection: the gateways dial again."""
        for peer in list(self._peers.values()):
            if peer.socket is not None:
                await peer.socket.close(code=WSCloseCode.GOING_AWAY, message=b"the OpCenter ends")


def check_token(gateway: Gateway | None, header: str) -> Gateway:
    """The gateway whose token the header holds. Raises Refusal."""
    given = hash_token(header.removeprefix("Bearer ").strip())
    if gateway is None or not hmac.compare_digest(given, gateway.token_hash):
        raise Refusal(Code.NOT_LOGGED_IN, "This is not the token of a gateway: only a gateway may watch itself")
    return gateway
