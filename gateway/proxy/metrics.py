"""What the gateway counts, for Prometheus: `GET /metrics` on the control port, from this machine only."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import ip_address

from aiohttp import web
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from gateway.types import Activity, Listener

_LABELS = ("job", "port")
_COUNTERS = {
    "requests": "Times that bytes of requests came.",
    "held": "Requests that waited for a job to come back.",
    "shared": "Requests that waited for the answer to another one that said the same.",
    "refused": "Answers of the gateway's own instead of the job's.",
    "moves": "Times that a listener was opened again.",
    "websockets_kept": "WebSockets that went on over a move.",
    "websockets_lost": "WebSockets that a move closed with 1012.",
}


class Metrics:
    """The newest counts of each listener, as workers tell them."""

    def __init__(self) -> None:
        self._newest: dict[int, Activity] = {}
        self._registry = CollectorRegistry()
        self._registry.register(self)

    def take(self, activity: Activity) -> None:
        """A worker's news."""
        self._newest[activity.port] = activity

    def keep(self, listeners: Iterable[Listener]) -> None:
        """Forget ports that are not listened on any more."""
        ports = {one.port for one in listeners}
        self._newest = {port: one for port, one in self._newest.items() if port in ports}

    def collect(self) -> Iterable[Metric]:
        """prometheus_client's protocol."""
        open_now = GaugeMetricFamily("floatgate_websockets", "WebSockets open now.", labels=_LABELS)
        waiting = GaugeMetricFamily("floatgate_waiting", "Requests that wait now.", labels=_LABELS)
        counters = [CounterMetricFamily(f"floatgate_{name}", text, labels=_LABELS) for name, text in _COUNTERS.items()]
        for port, one in sorted(self._newest.items()):
            labels = (one.job, str(port))
            open_now.add_metric(labels, one.websockets)
            waiting.add_metric(labels, one.waiting)
            counts = {"requests": one.requests, **one.extra}
            for name, family in zip(_COUNTERS, counters, strict=True):
                family.add_metric(labels, counts.get(name, 0))
        return [open_now, waiting, *counters]

    async def answer(self, request: web.Request) -> web.Response:
        """The text format. Job ids are nobody's business elsewhere."""
        if not request.remote or not ip_address(request.remote.partition("%")[0]).is_loopback:
            raise web.HTTPForbidden(text="Metrics are for this machine only.\n")
        return web.Response(body=generate_latest(self._registry), headers={"Content-Type": "text/plain; version=0.0.4"})
