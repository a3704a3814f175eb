"""nginx, HAProxy and Caddy, each with its defaults and what a proxy for notebooks needs: keep-alive, WebSockets."""

from __future__ import annotations

from tests.ports import free_port

from .peer import Proxy, Room
from .processes import Command
from .tools import found


def _filled(config: str, room: Room, ports: list[int], tuning: str = "") -> str:
    behind = room.backends
    return config.format(folder=room.folder, ports=ports, documents=behind.documents, echo=behind.echo, tuning=tuning)


_NGINX = """
daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log stderr error;
events {{ worker_connections 8192; }}
http {{
  access_log off; keepalive_requests 100000000; client_max_body_size 0;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  upstream documents {{ server 127.0.0.1:{documents}; keepalive 64; keepalive_requests 100000000; }}
  upstream echo {{ server 127.0.0.1:{echo}; keepalive 64; keepalive_requests 100000000; }}
  map $http_upgrade $upgraded {{ default upgrade; '' ''; }}
  {tuning}
  proxy_http_version 1.1; proxy_read_timeout 600s;
  proxy_set_header Host $http_host; proxy_set_header Connection $upgraded; proxy_set_header Upgrade $http_upgrade;
  proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for; proxy_set_header X-Forwarded-Proto $scheme;
  server {{ listen 127.0.0.1:{ports[0]}; location / {{ proxy_pass http://documents; }} }}
  server {{ listen 127.0.0.1:{ports[1]}; location / {{ proxy_pass http://echo; }} }}
  server {{
    listen 127.0.0.1:{ports[2]}; sub_filter '<head>' '<head><script src="/.floatgate/loader.js"></script>';
    location / {{ proxy_pass http://documents; }}
  }}
}}
"""


_TUNING = "proxy_buffer_size 64k; proxy_buffers 8 256k; proxy_busy_buffers_size 512k; proxy_request_buffering off;"


def start_nginx(room: Room, tuning: str = "") -> Proxy:
    """With its default buffers."""
    ports = [free_port() for _ in range(3)]
    config = room.folder / "nginx.conf"
    config.write_text(_filled(_NGINX, room, ports, tuning))
    program = found("nginx")
    process = room.processes.start("nginx", [str(program), "-c", config, "-p", room.folder], room.cores, ports)
    documents, echo, rewriting = (f"http://127.0.0.1:{port}" for port in ports)
    return Proxy(documents, echo, process.pid, {"rewriting": rewriting})


def start_tuned_nginx(room: Room) -> Proxy:
    """With larger buffers, and uploads that are not stored first."""
    return start_nginx(room, _TUNING)


_HAPROXY = """
global
  nbthread 1
  maxconn 8192
defaults
  mode http
  option forwardfor
  timeout connect 5s
  timeout client 600s
  timeout server 600s
  timeout tunnel 600s
  http-reuse always
frontend documents
  bind 127.0.0.1:{ports[0]}
  default_backend documents
backend documents
  server one 127.0.0.1:{documents}
frontend echo
  bind 127.0.0.1:{ports[1]}
  default_backend echo
backend echo
  server one 127.0.0.1:{echo}
"""


def start_haproxy(room: Room) -> Proxy:
    """One thread."""
    ports = [free_port(), free_port()]
    config = room.folder / "haproxy.cfg"
    config.write_text(_filled(_HAPROXY, room, ports))
    process = room.processes.start("haproxy", [str(found("haproxy")), "-f", config], room.cores, ports)
    return Proxy.on(ports, process.pid)


_CADDY = """
{{
  admin off
  auto_https off
}}
http://127.0.0.1:{ports[0]} {{
  bind 127.0.0.1
  reverse_proxy 127.0.0.1:{documents}
}}
http://127.0.0.1:{ports[1]} {{
  bind 127.0.0.1
  reverse_proxy 127.0.0.1:{echo}
}}
"""


def start_caddy(room: Room) -> Proxy:
    """One thread for Go's code."""
    ports = [free_port(), free_port()]
    config = room.folder / "Caddyfile"
    config.write_text(_filled(_CADDY, room, ports))
    own = str(room.folder)
    environ = {"XDG_CONFIG_HOME": own, "XDG_DATA_HOME": own, "GOMAXPROCS": str(len(room.cores))}
    command: Command = [str(found("caddy")), "run", "--config", config, "--adapter", "caddyfile"]
    process = room.processes.start("caddy", command, room.cores, ports, environ)
    return Proxy.on(ports, process.pid)
