"""The verbs of gateways: create, modify, destroy, connect, disconnect, and what they look like from outside."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.errors import Code, Refusal
from gateway.types import GatewayId, JobId, new_gateway_id

from . import rows
from .events import Bus, GatewayChanged
from .fields import Fields, refuse
from .groups import all_groups
from .links import Links, Peer, hash_token
from .model import ENDED, Gateway, Job, Lease, Size
from .orders import check_targets
from .policy import Policy
from .ports import Exhausted, Pool
from .processes import Processes, write_settings
from .programs import Folders
from .ranges import OUTSIDE, check_bind, check_free, check_public, parse_range, read_outside
from .security_groups import DEFAULT, check_number, pick
from .store import Store
from .users import Who
from .views import connected_doc, gateway_doc, job_doc

CREATE = "float gateway create --portRange 10000:10100 --securityGroup sg-default"


class Gateways:
    """Gateways and their ports. Processes are the keeper's business."""

    def __init__(
        self,
        home: Path,
        store: Store,
        bus: Bus,
        links: Links,
        processes: Processes,
        clock: Callable[[], int],
        address: Callable[[], tuple[str, int]],
        policy: Policy,
    ) -> None:
        """`home`: the OpCenter's. `address`: its URL and its port, known once it listens."""
        self._home = home
        self._folders = Folders(home)
        self._store = store
        self._bus = bus
        self._links = links
        self._processes = processes
        self._clock = clock
        self._address = address
        self._policy = policy

    def folder(self, gateway: GatewayId) -> Path:
        """Where the gateway's process keeps its state."""
        return self._home / "gateways" / gateway

    async def find(self, text: str) -> Gateway:
        """By id, or by a name that only one has. Raises Refusal."""
        async with self._store.read() as connection:
            return await _find(connection, text)

    async def all(self) -> list[Gateway]:
        """Oldest first."""
        async with self._store.read() as connection:
            return await rows.list_gateways(connection)

    async def create(self, doc: object, who: Who) -> Gateway:
        """A new gateway from the body of `POST /gateways`; the keeper starts it. Raises Refusal."""
        fields = Fields(doc, f"name cpu mem portRange securityGroups publicIP bind publicAddress {OUTSIDE}")
        ports = parse_range(fields.need("portRange"))
        bind = check_bind(fields.text("bind") or "127.0.0.1")
        url, own_port = self._address()
        token = secrets.token_urlsafe(32)
        gateway = Gateway(
            id=new_gateway_id(),
            name=fields.text("name", longest=63) or f"gateway-{ports[0]}",
            owner=who.name,
            bind=bind,
            public_address=check_public(fields.text("publicAddress"), bind),
            public_ip=fields.flag("publicIP", True),
            port_min=ports[0],
            port_max=ports[1],
            control_port=ports[1],
            size=Size(fields.whole("cpu", 2, most=4096), fields.whole("mem", 4, most=1 << 16)),
            security_groups=fields.texts("securityGroups") or (DEFAULT.id,),
            token_hash=hash_token(token),
            created=self._clock(),
            **read_outside(fields),
        )
        async with self._store.write() as connection:
            known = await all_groups(connection)
            check_number(pick(gateway.security_groups, known), known, self._policy.rules_of_gateway)
            check_free(bind, ports, await rows.list_gateways(connection), own_port)
            write_settings(self.folder(gateway.id), settings(gateway, token, url))
            await rows.put_gateway(connection, gateway)
        self._tell(gateway.id)
        return gateway

    async def modify(self, text: str, doc: object, who: Who) -> Gateway:
        """Change name, security groups and how it is reached from outside. Raises Refusal."""
        fields = Fields(doc, f"name addSecurityGroups rmSecurityGroups {OUTSIDE}")
        outside = read_outside(fields)
        add, remove = fields.texts("addSecurityGroups"), fields.texts("rmSecurityGroups")
        async with self._store.write() as connection:
            old = await _own(connection, text, who)
            known = await all_groups(connection)
            pick(add, known)
            for one in remove:
                if one not in old.security_groups:
                    has = ", ".join(old.security_groups)
                    raise Refusal(Code.NOT_FOUND, f"Resource not found: the gateway has {has}, not {one[:80]}")
            groups = tuple(dict.fromkeys(one for one in (*old.security_groups, *add) if one not in remove))
            if not groups:
                raise Refusal(Code.CONFLICT, "A gateway needs a security group: add another one first")
            if add:
                check_number(groups, known, self._policy.rules_of_gateway)
            name = fields.text("name", longest=63) or old.name
            new = replace(old, name=name, security_groups=groups, **outside)
            await rows.put_gateway(connection, new)
        self._tell(new.id)
        return new

    async def reload(self, text: str, who: Who) -> Gateway:
        """Let its process become the newest program. Raises Refusal."""
        async with self._store.read() as connection:
            gateway = await _own(connection, text, who)
        if not await self._links.reload(gateway.id):
            raise Refusal(Code.UNAVAILABLE, f"Gateway {gateway.id} is not connected now: try again when it is Ready")
        return gateway

    async def destroy(self, text: str, who: Who) -> Gateway:
        """Mark it; the keeper ends it. Raises Refusal while jobs are connected."""
        async with self._store.write() as connection:
            gateway = await _own(connection, text, who)
            leases = [one for one in await rows.leases_of(connection, gateway=gateway.id) if one.released is None]
            if leases:
                first, count = leases[0], len({one.job for one in leases})
                raise Refusal(
                    Code.CONFLICT,
                    f"{'1 job is' if count == 1 else f'{count} jobs are'} connected: first float gateway disconnect "
                    f"-g {gateway.id} -j {first.job} --port {first.target}",
                )
            gateway = replace(gateway, destroying=True)
            await rows.put_gateway(connection, gateway)
        self._tell(gateway.id)
        return gateway

    async def choose(self, connection: AsyncConnection, text: str, wanted: int) -> Gateway:
        """By id, or for `auto` a gateway with room: a Ready one, with the fewest jobs. Raises Refusal."""
        if text != "auto":
            return await _usable(connection, text)
        ranked = []
        for one in await rows.list_gateways(connection):
            pool = await _pool(connection, one)
            if not one.destroying and pool.room() >= wanted:
                ranked.append((self.status(one) != "Ready", len(pool.held()), one.created, one.id, one))
        if not ranked:
            raise Refusal(Code.CONFLICT, f"No gateway has a free port: create one with {CREATE}")
        return min(ranked)[-1]

    async def lease(
        self, connection: AsyncConnection, gateway: Gateway, job: Job, targets: Sequence[int]
    ) -> list[Lease]:
        """A port for each of these published ports. Raises Refusal when there are not enough: roll back then."""
        pool = await _pool(connection, gateway)
        leases = []
        for target in targets:
            try:
                port = pool.choose(job.id, target)
            except Exhausted:
                how = f"disconnect a job, or create a gateway with a larger range: {CREATE}"
                sentence = f"Gateway {gateway.id} has no free port in {gateway.port_min}:{gateway.port_max - 1}: {how}"
                raise Refusal(Code.CONFLICT, sentence) from None
            leases.append(Lease(gateway.id, port, job.id, target, self._clock()))
            pool = pool.after(leases[-1])
        for one in leases:
            await rows.put_lease(connection, one)
        return leases

    async def connect(self, text: str, job: Job, targets: tuple[int, ...]) -> Gateway:
        """Give the job's ports a place on the gateway. Raises Refusal."""
        async with self._store.write() as connection:
            now = await rows.get_job(connection, job.id) or job  # it may have ended since: then its ports rest already
            if now.status in ENDED:
                raise Refusal(Code.CONFLICT, f"The job is {now.status}: only a job that has not ended can be connected")
            gateway = await self.choose(connection, text, max(1, len(targets)))
            await self.lease(connection, gateway, job, check_targets(targets, job.order))
        self._tell(gateway.id)
        return gateway

    async def disconnect(self, text: str, job: Job, target: int) -> Gateway:
        """Take the place away; the port rests. Raises Refusal."""
        async with self._store.write() as connection:
            gateway = await _find(connection, text)
            leases = await rows.leases_of(connection, gateway=gateway.id, job=job.id)
            mine = [one for one in leases if one.released is None]
            lease = next((one for one in mine if one.target == target), None)
            if lease is None:
                has = ", ".join(str(one.target) for one in mine) or "none of its ports"
                raise Refusal(
                    Code.NOT_FOUND, f"Resource not found: the job has {has} connected to {gateway.id}, not {target}"
                )
            await rows.put_lease(connection, replace(lease, released=self._clock(), shown=False))
        self._tell(gateway.id)
        return gateway

    async def of_job(self, job: JobId) -> list[tuple[Lease, Gateway]]:
        """The job's leases with their gateways, lowest port first."""
        async with self._store.read() as connection:
            leases = [one for one in await rows.leases_of(connection, job=job) if one.shown]
            found = {one: await rows.get_gateway(connection, one) for one in {lease.gateway for lease in leases}}
        return [(one, gateway) for one in leases if (gateway := found[one.gateway]) is not None]

    async def owed(self, job: Job) -> frozenset[GatewayId]:
        """The gateways that have still to say that the job's present generation is drained.

        One that is not linked owes nothing, unless its process runs: then it dials again any moment.
        """
        owing = set()
        for lease, gateway in await self.of_job(job.id):
            peer = self._links.peer(gateway.id)
            report = peer.reports.get((job.id, lease.port))
            drained = report is not None and report.drained and report.generation == job.generation
            if lease.released is None and not drained and (peer.linked or self._alive(gateway)):
                owing.add(gateway.id)
        return frozenset(owing)

    async def told(self, job: JobId) -> bool:
        """Whether the job's present state is in force in all its gateways that are linked or run."""
        known = {gateway.id: gateway for _, gateway in await self.of_job(job)}
        reached = [one.id for one in known.values() if self._links.peer(one.id).linked or self._alive(one)]
        return all([await self._links.in_force(one) for one in reached])

    def status(self, gateway: Gateway) -> str:
        """Ready when it is linked and has put a snapshot into force."""
        peer = self._links.peer(gateway.id)
        if gateway.destroying:
            return "Destroying"
        if peer.linked and peer.acked is not None:
            return "Ready"
        starting = not peer.was_linked and (not peer.spawned or self._alive(gateway))
        return "Starting" if peer.linked or starting else "Offline"

    async def doc(self, gateway: Gateway, who: Who) -> dict[str, Any]:
        """The gateway as the API shows it to this caller, who sees own jobs only."""
        peer = self._links.peer(gateway.id)
        async with self._store.read() as connection:
            leases = [one for one in await rows.leases_of(connection, gateway=gateway.id) if one.released is None]
            found = await rows.get_jobs(connection, (lease.job for lease in leases))
        lines = [
            connected_doc(found[lease.job], lease, gateway, _counts(peer, lease))
            for lease in leases
            if lease.job in found and (who.admin or found[lease.job].order.owner == who.name)
        ]
        trouble = [f"{port}: {why}" for port, why in sorted(peer.trouble.items())]
        return gateway_doc(gateway, self.status(gateway), gateway.version, lines, len(found), trouble)

    async def job_doc(self, job: Job) -> dict[str, Any]:
        """The job as the API shows it."""
        return job_doc(job, await self.of_job(job.id), self._folders.values(job), self._clock())

    async def job_docs(self, jobs: Sequence[Job]) -> list[dict[str, Any]]:
        """The same for many, in two queries whatever their number."""
        async with self._store.read() as connection:
            known = {one.id: one for one in await rows.list_gateways(connection)}
            leases = await rows.leases_of(connection)
        connected: dict[JobId, list[tuple[Lease, Gateway]]] = {}
        for lease in leases:
            if lease.shown and lease.gateway in known:
                connected.setdefault(lease.job, []).append((lease, known[lease.gateway]))
        now = self._clock()
        return [job_doc(job, connected.get(job.id, []), self._folders.values(job), now) for job in jobs]

    def _alive(self, gateway: Gateway) -> bool:
        return self._processes.alive(self.folder(gateway.id))

    def _tell(self, gateway: GatewayId) -> None:
        self._bus.publish(GatewayChanged(gateway))


def settings(gateway: Gateway, token: str, url: str) -> dict[str, Any]:
    """What `gateway.json` says."""
    return {"id": gateway.id, "token": token, "opcenter": url, "workers": gateway.size.cpu}


def _counts(peer: Peer, lease: Lease) -> dict[str, Any]:
    activity = peer.activity.get((lease.job, lease.port))
    return {} if activity is None else {**asdict(activity), "clients": list(activity.clients)}


async def _pool(connection: AsyncConnection, gateway: Gateway) -> Pool:
    leases = await rows.leases_of(connection, gateway=gateway.id)
    return Pool(gateway.port_min, gateway.port_max, gateway.control_port, tuple(leases))


async def _find(connection: AsyncConnection, text: str) -> Gateway:
    found = await rows.get_gateway(connection, GatewayId(text))
    if found is None:
        named = [one for one in await rows.list_gateways(connection) if one.name == text]
        if len(named) != 1:
            shown = text[:80]
            if not named:
                raise Refusal(Code.NOT_FOUND, f"Resource not found: no gateway {shown}; float gateway list shows them")
            refuse("gateway", f"{len(named)} gateways are named {shown}: give the id")
        found = named[0]
    return found


async def _usable(connection: AsyncConnection, text: str) -> Gateway:
    gateway = await _find(connection, text)
    if gateway.destroying:
        raise Refusal(Code.CONFLICT, f"Gateway {gateway.id} is being destroyed: choose another one")
    return gateway


async def _own(connection: AsyncConnection, text: str, who: Who) -> Gateway:
    gateway = await _usable(connection, text)
    if not (who.admin or gateway.owner == who.name):
        raise Refusal(Code.FORBIDDEN, f"Gateway {gateway.id} belongs to {gateway.owner}: ask them or an admin")
    return gateway
