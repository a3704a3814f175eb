"""The REST API, put together: docs/api.md says what each call does."""

from __future__ import annotations

import importlib
import importlib.util

from aiohttp import web

from . import api_gateways, api_jobs, api_session, api_streams
from .center import Center
from .web import Calls, Routes, errors, secure

_CONSOLE = "gateway.opcenter.console"


def application(center: Center) -> web.Application:
    """The web application, console included."""
    calls = Calls(center.policy.close)
    app = web.Application(middlewares=[calls.note, errors], client_max_size=center.policy.body)
    app.on_cleanup.append(calls.finish)
    routes = Routes(center.users)
    for module in (api_session, api_jobs, api_streams, api_gateways):
        module.add(routes, center)
    app.add_routes(routes.table)
    if importlib.util.find_spec(_CONSOLE) is not None:
        app.add_routes(importlib.import_module(_CONSOLE).routes())
    app.on_response_prepare.append(secure)
    return app
