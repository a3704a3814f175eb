"""The headers of everything that the control port answers, each with its reason. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from .hosts import Place

_FEATURES = (
    "camera",
    "clipboard-read",
    "display-capture",
    "fullscreen",
    "geolocation",
    "microphone",
    "payment",
    "usb",
)

ALWAYS = {
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",  # HTML, 7.1.4: a frame in such a page must ask for it too
    "Origin-Agent-Cluster": "?1",  # document.domain cannot join two ports of one host any more
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
    "Permissions-Policy": ", ".join(f"{one}=()" for one in _FEATURES),
}
TOP_LEVEL = {"Cross-Origin-Opener-Policy": "same-origin"}  # whoever opened a window of ours gets no handle on it
FOR_EVER = {"Cache-Control": "public, max-age=31536000, immutable"}  # the address contains a hash of the content
NOTHING = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"


def resource(place: Place) -> str:
    """Cross-Origin-Resource-Policy of the frame: with COEP, pages that demand isolation may still hold it.

    Chromium (156) takes two ports of one IP address for different sites here. What `cross-origin` gives away is the
    frame's empty form, in which nothing is secret; who may show it is for `frame-ancestors` to say.
    """
    return "cross-origin" if place.is_address else "same-site"


def document(place: Place, framed_by: Sequence[int]) -> str:
    """The Content-Security-Policy of a page of ours, which only pages of these ports of its host may frame."""
    ancestors = " ".join(place.ancestor(port) for port in framed_by) or "'none'"
    return (
        f"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self' "
        f"{place.socket}; base-uri 'none'; form-action 'none'; frame-ancestors {ancestors}; "
        "require-trusted-types-for 'script'; trusted-types 'none'"
    )
