"""The servers behind the proxies: nginx for documents, a C program for WebSocket echoes and uploads."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tests.ports import free_port

from .processes import BenchFailed, Processes
from .tools import compiled, found

KIB, MIB = 1 << 10, 1 << 20
DOCUMENTS = {"/1k": KIB, "/new": KIB, "/100k": 100 * KIB, "/100m": 100 * MIB, "/page": 30 * KIB}

_NGINX = """
daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log stderr error;
events {{ worker_connections 8192; }}
http {{
  access_log off; sendfile on; tcp_nopush on; open_file_cache max=100; server_tokens off;
  keepalive_timeout 300s; keepalive_requests 100000000;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  default_type application/octet-stream;
  server {{
    listen 127.0.0.1:{port} backlog=4096; root {folder}/documents;
    location = /page {{ default_type text/html; charset utf-8; }}
    location = /new {{ add_header X-Request $request_id; }}
  }}
}}
"""


@dataclass(frozen=True, slots=True)
class Backends:
    """Where they listen."""

    documents: int  # nginx
    echo: int  # WebSocket echo at /ws, sink for uploads at /up


def start_backends(processes: Processes, folder: Path, cores: tuple[int, ...]) -> Backends:
    """`folder` is made, for nginx and its documents. Raises BenchFailed when one cannot be started."""
    nginx = found("nginx")
    if nginx is None:
        raise BenchFailed("there is no nginx, which serves the documents behind every proxy: apt-get install nginx")
    _write_documents(folder / "documents")
    backends = Backends(free_port(), free_port())
    config = folder / "nginx.conf"
    config.write_text(_NGINX.format(folder=folder, port=backends.documents))
    processes.start("backend", [nginx, "-c", config, "-p", folder], cores, [backends.documents])
    processes.start("echo", [compiled("echo"), str(backends.echo)], cores, [backends.echo])
    return backends


def _write_documents(folder: Path) -> None:
    folder.mkdir(parents=True)
    for path, size in DOCUMENTS.items():
        (folder / path[1:]).write_bytes(_page(size) if path == "/page" else b"x" * size)


def _page(size: int) -> bytes:
    """An HTML document as an application sends it: head with links and scripts, then text."""
    head = (
        b'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>A page</title>\n</head>\n<body>\n'
    )
    line = b"<p>The quick brown fox jumps over the lazy dog, and the page goes on.</p>\n"
    tail = b"</body>\n</html>\n"
    room = size - len(head) - len(tail)
    return head + line * (room // len(line)) + b" " * (room % len(line)) + tail
