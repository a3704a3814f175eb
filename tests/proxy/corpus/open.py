"""Cases whose right behaviour the gateway does not have yet, for test_malformed_open.py. Delete a name when it does."""

from __future__ import annotations

REQUESTS = {
    "CONNECT": "the connection stays open, and what follows is neither read nor refused",
    "CONNECT with a path": "the same",
    "CONNECT and something behind": "a second answer comes for what was to go through the tunnel",
    "Host with a port that is too large": "passes",
    "websocket in HTTP/1.0": "becomes a handshake of HTTP/1.1; RFC 6455 §4.1 wants 1.1 or higher",
    "target of 20 KiB": "431 instead of 414",
    "target of 1 MiB": "431 instead of 414",
    "100 headers of 1 KiB": "passes: the sum of a head's bytes is not limited",
    "120 headers of 32 KiB": "passes: 3.8 MiB of head",
    "129 headers": "400 instead of 431",
    "10,000 headers": "400 instead of 431",
    "10,000 cookies": "400 instead of 431",
}
ANSWERS = {
    "version 0.9": "passes",
    "status zero": "passes straight; the handler loops for ever without giving way",
    "status 99": "the same",
    "TE in HTTP/1.0": "passes; RFC 9112 §6.1 calls its framing faulty",
    "a head of 70 KiB": "passes when it comes in one read",
    "129 headers": "passes straight",
    "10,000 interim answers": "RecursionError in data_received, both ways",
    "HTTP/1.0": "straight: the browser is told HTTP/1.0; RFC 9112 §2.3 wants a proxy's own version",
    "more after the last chunk": "handler: the next answer's body is appended to this one's",
}
