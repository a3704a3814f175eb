"""The program that the engines' tests run: an HTTP server that counts in memory, and does odd things when asked.

/           one more, and say how many     /exit?N       end with this status     /kill     end by SIGKILL
/open?PATH  hold this file open            /close        let it go
/dial?H:P   hold a connection to there     /child        a child in a session of its own; says its PID
/terminal   open a terminal; its name        /echo?WORD    what comes out of that terminal when this goes in
"""

import http.server
import os
import signal
import socket
import subprocess
import sys
import threading

count = 0
held = []


def act(path: str, argument: str) -> str:
    global count
    if path == "/open":
        held.append(os.open(argument, os.O_RDWR))
    elif path == "/close":
        os.close(held.pop())
    elif path == "/dial":
        host, _, port = argument.rpartition(":")
        held.append(socket.create_connection((host, int(port)), timeout=5))
    elif path == "/terminal":
        held.extend(os.openpty())
        return os.ttyname(held[-1])
    elif path == "/echo":
        os.write(held[-2], argument.encode() + b"\n")
        return os.read(held[-1], 100).decode().strip()
    elif path == "/child":
        child = subprocess.Popen(
            [sys.executable, "-c", "import time; time.sleep(600)", sys.argv[0]], start_new_session=True
        )
        return str(child.pid)
    elif path == "/exit":
        threading.Timer(0.05, lambda: os._exit(int(argument))).start()
    elif path == "/kill":
        threading.Timer(0.05, lambda: os.kill(os.getpid(), signal.SIGKILL)).start()
    else:
        count += 1
        print("count", count, flush=True)
    return str(count)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        path, _, argument = self.path.partition("?")
        try:
            status, body = 200, act(path, argument).encode()
        except OSError as error:
            status, body = 500, str(error).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


http.server.ThreadingHTTPServer((sys.argv[1], int(sys.argv[2])), Handler).serve_forever()
