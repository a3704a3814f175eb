"""The network of capsules: one bridge for each engine, one namespace with an address of its own for each placement.

    host ── fgTAG (bridge, first address of a private subnet) ══ fgTAGvN ── eth0 in namespace fgTAG-N

TAG is made from the state folder, so that two OpCenters on one machine never meet. Addresses are given out in turn,
never one that a placement has, and not used again soon: whoever still talks to an old one must not reach another job.
Capsules cannot reach each other (isolated bridge ports) and are reached from this machine only; they reach the world by
masquerade, where nftables allows that. All of it goes when the last capsule goes.

Blocking functions, called in threads; one lock orders them.
"""

from __future__ import annotations

import contextlib
import hashlib
import ipaddress
import json
import subprocess
import threading
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

from gateway.config import Timeouts
from gateway.engines.local import keeper, uplink

_NETNS = Path("/run/netns")
_DEVICES = Path("/sys/class/net")
_SPACE = ipaddress.IPv4Network("10.64.0.0/10")  # the middle of 10/8: clouds and Docker sit at other ends
_PREFIX = 20  # 4093 placements before an address comes again
_ESTABLISHED = "state connected not ( dst 127.0.0.0/8 or dst [::1] or dst {} )"

Network4 = ipaddress.IPv4Network


class NetworkFailed(Exception):
    """A command failed. The text is for the log."""


def tag(state: Path) -> str:
    """Five letters that tell this engine's things on this machine from another's."""
    return hashlib.sha256(str(state.resolve()).encode()).hexdigest()[:5]


@dataclass(frozen=True, slots=True)
class Seat:
    """Where one placement sits."""

    number: int
    address: str


class Network:
    """The bridge of one engine and the seats on it."""

    def __init__(self, state: Path, timeouts: Timeouts) -> None:
        self._file = state / "network.json"
        self._tag = tag(state)
        self._timeouts = timeouts
        self._lock = threading.Lock()
        self.bridge = f"fg{self._tag}"

    def netns(self, number: int) -> Path:
        """The namespace of a seat."""
        return _NETNS / f"{self.bridge}-{number}"

    def reserve(self, taken: Collection[str]) -> Seat:
        """The next number and address that nobody has; `taken` are the addresses of placements, seated or not yet.

        The bridge is made, so that nobody else takes the subnet. Raises NetworkFailed.
        """
        with self._lock, uplink.machine_lock():
            doc = self._load()
            subnet = self._subnet(doc)
            seat = self._free(subnet, int(doc.get("next", 0)) + 1, taken)
            keeper.write(self._file, {"subnet": str(subnet), "next": seat.number})
            self._ensure_bridge(subnet)
            return seat

    def _free(self, subnet: Network4, first: int, taken: Collection[str]) -> Seat:
        """Numbers never end, addresses come again, and so do devices' names: pass over what somebody has."""
        seats = self.seats()
        addresses = {*taken, *(_address(subnet, number) for number in seats)}
        ports = {self._port(number) for number in seats}
        for number in range(first, first + len(seats) + subnet.num_addresses):
            seat = Seat(number, _address(subnet, number))
            if seat.address not in addresses and self._port(number) not in ports:
                return seat
        raise NetworkFailed(f"every address of {subnet} is a job's: no further job can run here until one ends")

    def add(self, seat: Seat, aliases: Iterable[str] = ()) -> None:
        """Make the namespace, with `aliases` as further addresses of its loopback. Raises NetworkFailed."""
        with self._lock, uplink.machine_lock():
            subnet = Network4(self._load()["subnet"])
            mtu = self._ensure_bridge(subnet)
            name, port = self.netns(seat.number).name, self._port(seat.number)
            self._ip(f"netns add {name}")
            self._ip(
                f"link add {port} mtu {mtu} type veth peer name eth0 mtu {mtu} netns {name}",
                f"link set {port} master {self.bridge} up",
                f"link set {port} type bridge_slave isolated on",
            )
            self._ip(
                "link set lo up",
                "link set eth0 up",
                f"address add {seat.address}/{_PREFIX} dev eth0",
                f"route add default via {subnet[1]}",
                *(f"address add {alias}/32 dev lo" for alias in aliases),
                inside=name,
            )

    def forget_aliases(self, seat: Seat, aliases: Iterable[str]) -> None:
        """Take the further addresses away: what was bound to them stays bound. Raises NetworkFailed."""
        commands = [f"address del {alias}/32 dev lo" for alias in aliases]
        if commands:
            self._ip(*commands, inside=self.netns(seat.number).name)

    def cut(self, seat: Seat) -> None:
        """Reset connections from outside and let none in any more. Raises NetworkFailed."""
        self.sever(seat)
        self._ip(f"link set {self._port(seat.number)} down")
        self.sever(seat)  # whoever came in between

    def join(self, seat: Seat) -> None:
        """Undo `cut`: a checkpoint failed and the job goes on here. Raises NetworkFailed."""
        self._ip(f"link set {self._port(seat.number)} up")

    def sever(self, seat: Seat) -> None:
        """Reset the connections whose other end is outside of the capsule. Raises NetworkFailed."""
        rule = _ESTABLISHED.format(seat.address).split()
        self._run(["nsenter", f"--net={self.netns(seat.number)}", "ss", "-K", "-H", "-n", "-t", "-u", *rule])

    def remove(self, number: int) -> None:
        """Remove the seat and, with the last one, the bridge. Idempotent. Raises NetworkFailed."""
        with self._lock, uplink.machine_lock():
            port, name = self._port(number), self.netns(number)
            if (_DEVICES / port).exists():
                self._ip(f"link del {port}")
            if name.exists():
                self._ip(f"netns del {name.name}")
            self._tidy()

    def tidy(self) -> None:
        """Remove the bridge if nobody sits on it. Raises NetworkFailed."""
        with self._lock, uplink.machine_lock():
            self._tidy()

    def seats(self) -> list[int]:
        """The numbers of the seats that exist, after a crash too."""
        found = _NETNS.glob(f"{self.bridge}-*") if _NETNS.is_dir() else iter(())
        return sorted(int(path.name.rpartition("-")[2]) for path in found)

    def _tidy(self) -> None:
        if (_DEVICES / self.bridge).exists() and not self.seats():
            self._ip(f"link del {self.bridge}")
            uplink.close(self.bridge)

    def _port(self, number: int) -> str:
        return f"{self.bridge}v{number % 100_000}"  # 13 of the 15 letters that a device's name may have

    def _ensure_bridge(self, subnet: Network4) -> int:
        mtu = uplink.mtu(self._routes())
        if not (_DEVICES / self.bridge).exists():
            self._ip(
                f"link add {self.bridge} mtu {mtu} type bridge",
                f"address add {subnet[1]}/{_PREFIX} dev {self.bridge}",
                f"link set {self.bridge} up",
            )
            uplink.open_(self.bridge, subnet)
        return mtu

    def _load(self) -> dict[str, str]:
        with contextlib.suppress(FileNotFoundError):
            return dict(json.loads(self._file.read_text()))
        return {}

    def _subnet(self, doc: dict[str, str]) -> Network4:
        """The subnet of before if it is ours now or still free, else another free one."""
        if "subnet" in doc and (_DEVICES / self.bridge).exists():
            return Network4(doc["subnet"])
        taken = [Network4(route["dst"]) for route in self._routes() if route.get("dst") != "default"]
        wanted = [Network4(doc["subnet"])] if "subnet" in doc else []
        all_ = list(_SPACE.subnets(new_prefix=_PREFIX))
        turn = int(self._tag, 16) % len(all_)
        for one in [*wanted, *all_[turn:], *all_[:turn]]:
            if not any(one.overlaps(other) for other in taken):
                return one
        raise NetworkFailed(f"no free subnet in {_SPACE}")

    def _routes(self) -> list[dict[str, str]]:
        routes = json.loads(self._run(["ip", "-4", "-json", "route", "show", "table", "all"]) or "[]")
        assert isinstance(routes, list)
        return routes

    def _ip(self, *commands: str, inside: str | None = None) -> None:
        """Several commands in one process, stopping at the first that fails."""
        where = [] if inside is None else ["-n", inside]
        self._run(["ip", *where, "-batch", "-"], "".join(f"{command}\n" for command in commands))

    def _run(self, argv: list[str], text: str = "") -> str:
        try:
            done = subprocess.run(argv, input=text, capture_output=True, text=True, check=False,
                                  timeout=self._timeouts.worker_exit)  # fmt: skip
        except (OSError, subprocess.TimeoutExpired) as error:
            raise NetworkFailed(f"{argv}: {error}") from error
        if done.returncode != 0:
            raise NetworkFailed(f"{argv} {text!r}: {done.stderr.strip()}")
        return done.stdout


def _address(subnet: Network4, number: int) -> str:
    """The address of this number: of all but the subnet's first two and last."""
    return str(subnet[2 + number % (subnet.num_addresses - 3)])
