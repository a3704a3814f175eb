"""What a gateway is told of proxies before it and of its own names."""

from __future__ import annotations

import pytest

from gateway.client import OpCenterClient
from gateway.errors import Refusal

from .conftest import World

OUTSIDE = {
    "trustedProxies": ["10.0.0.5", "10.1.0.9/16", "fd00::/8"],
    "hostNames": ["Float.Example.org", "float"],
    "publicScheme": "https",
}


async def test_it_reaches_the_gateway_and_is_changed_as_a_whole(world: World) -> None:
    await world.start()
    made = await world.gateway(**OUTSIDE, publicAddress="gw.example.org")
    assert made["trustedProxies"] == ["10.0.0.5/32", "10.1.0.0/16", "fd00::/8"]
    async with world.peer(made) as peer:
        first = await peer.until(lambda _: True)
        assert first.trusted_proxies == ("10.0.0.5/32", "10.1.0.0/16", "fd00::/8")
        assert first.names == ("float.example.org", "float")
        job = await world.running(gateway=made["id"], accessPath="/lab")
        assert job["gateway"]["accessURLs"][0].startswith("https://gw.example.org:")
        await world.api.patch(f"/gateways/{made['id']}", {"trustedProxies": [], "name": "other"})
        changed = await world.api.get(f"/gateways/{made['id']}")
        assert (changed["trustedProxies"], changed["hostNames"]) == ([], ["float.example.org", "float"])


async def test_nobody_is_trusted_by_default(world: World) -> None:
    await world.start()
    made = await world.gateway()
    assert (made["trustedProxies"], made["hostNames"], made["publicScheme"]) == ([], [], "http")


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"trustedProxies": ["0.0.0.0/0"]}, "0.0.0.0/0 is everybody"),
        ({"trustedProxies": ["::/0"]}, "::/0 is everybody"),
        ({"trustedProxies": ["10.0.0.0/33"]}, "'10.0.0.0/33' is not an address or a network"),
        ({"hostNames": ["https://gw.example"]}, "'https://gw.example' is not a host name"),
        ({"publicScheme": "ftp"}, "'ftp' is neither http nor https"),
    ],
)
async def test_what_cannot_be_meant_is_refused(world: World, fields: dict[str, object], sentence: str) -> None:
    await world.start()
    with pytest.raises(Refusal, match="Invalid argument") as refused:
        await world.gateway(**fields)
    assert sentence in refused.value.sentence


async def test_reload_is_passed_on_to_a_gateway_that_is_connected(world: World, api: OpCenterClient) -> None:
    made = await world.gateway()
    with pytest.raises(Refusal, match="not connected"):
        await api.post(f"/gateways/{made['id']}/reload", {})
    async with world.peer(made) as peer:
        await world.gateway_until(made, lambda one: one["status"] == "Ready")
        await api.post(f"/gateways/{made['id']}/reload", {})
        await world.eventually(lambda: peer.reloads == 1)
