"""What the script tag costs: one HTML page as a navigation and as a request of a script."""

from __future__ import annotations

from .backends import DOCUMENTS
from .load import Sample, ask
from .peer import Peer
from .probe import fetch
from .processes import BenchFailed
from .stage import Stage

PAGE = "/page"
NAVIGATION = {
    "Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
}
PLAIN = {"Accept": "*/*"}


def pages(stage: Stage, peer: Peer, seconds: float) -> Sample:
    """Requests a second without and with the tag. nginx inserts one with sub_filter, in a server of its own."""
    proxy = stage.proxies[peer.name]
    size = DOCUMENTS[PAGE]
    plain_url = proxy.documents + PAGE
    tagged_url = proxy.extra.get("rewriting", proxy.documents) + PAGE
    if b"<script" not in fetch(tagged_url, NAVIGATION):
        raise BenchFailed("no script tag was put into the page")
    plain = ask(stage, proxy, plain_url, size, seconds, PLAIN)
    tagged = ask(stage, proxy, tagged_url, size + 1, seconds, NAVIGATION)
    values = {
        "plain": plain.values["per_second"],
        "tagged": tagged.values["per_second"],
        "plain_cpu_us": plain.values["cpu_us"],
        "tagged_cpu_us": tagged.values["cpu_us"],
    }
    return Sample(values, plain.bad + tagged.bad)
