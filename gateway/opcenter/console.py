"""The web console: one page and its files. Everything it shows and does goes through the public API, in the browser.

The token is kept in the page's own storage and sent as a header, so no cookie exists that another site, or a job on
another port of this host, could make a browser send.
"""

from __future__ import annotations

from functools import cache

import jinja2
from aiohttp import web

from widget.assets import tree, url

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; "
    "trusted-types 'none'"
)
_HEADERS = {"Content-Security-Policy": _POLICY, "Cross-Origin-Opener-Policy": "same-origin"}
_FOR_EVER = "public, max-age=31536000, immutable"  # the address contains a hash of the content


def routes() -> list[web.RouteDef]:
    """`/` and `/console/…`."""
    return [web.get("/", _page), web.get("/console/{version}/{name}", _file)]


async def _page(_request: web.Request) -> web.Response:
    return web.Response(text=_rendered(), content_type="text/html", headers=_HEADERS)


async def _file(request: web.Request) -> web.Response:
    found = tree().get(f"/static/{request.match_info['version']}/{request.match_info['name']}")
    if found is None:
        raise web.HTTPNotFound
    headers = {"Content-Type": found.content_type, "Cache-Control": _FOR_EVER, "ETag": found.etag}
    return web.Response(body=found.body, headers=headers)


@cache
def _rendered() -> str:
    home = jinja2.Environment(
        loader=jinja2.PackageLoader("gateway.opcenter", "pages"), autoescape=True, undefined=jinja2.StrictUndefined
    )
    return home.get_template("console.html").render(url=lambda name: url(name).replace("/static/", "/console/", 1))
