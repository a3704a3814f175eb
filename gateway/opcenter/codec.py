"""Jobs and gateways as JSON objects for the store, and back, the same."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from gateway.types import JobStatus, Step, WebSocketPolicy

from .model import Gateway, Job, Order, Size


def job_to_json(job: Job) -> dict[str, Any]:
    """A JSON object; `job_from_json` gives the same job back."""
    return asdict(job)


def job_from_json(doc: Mapping[str, Any]) -> Job:
    """Build from `job_to_json`'s object."""
    step, next_size = doc["step"], doc["next_size"]
    return Job(
        **{
            **doc,
            "order": _order(doc["order"]),
            "size": Size(**doc["size"]),
            "status": JobStatus(doc["status"]),
            "step": None if step is None else Step(step),
            "litter": tuple(doc["litter"]),
            "next_size": None if next_size is None else Size(**next_size),
            "move_seconds": tuple(doc["move_seconds"]),
        }
    )


def _order(doc: Mapping[str, Any]) -> Order:
    lists = {key: tuple(doc[key]) for key in ("command", "env", "publish", "security_groups")}
    return Order(**{**doc, **lists, "websocket": WebSocketPolicy(doc["websocket"])})


def gateway_to_json(gateway: Gateway) -> dict[str, Any]:
    """A JSON object; `gateway_from_json` gives the same gateway back."""
    return asdict(gateway)


def gateway_from_json(doc: Mapping[str, Any]) -> Gateway:
    """Build from `gateway_to_json`'s object."""
    lists = {key: tuple(doc.get(key, ())) for key in ("security_groups", "host_names", "trusted_proxies")}
    return Gateway(**{**doc, **lists, "size": Size(**doc["size"])})
