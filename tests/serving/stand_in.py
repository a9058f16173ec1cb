"""Stands in for a server: answers /health after a while, and has a child process of its own.

    python stand_in.py PORT FOLDER [after=S] [dies=N] [deaf]

Its own and its child's process numbers are added to FOLDER/pids. `after`: seconds before it serves;
`dies`: its first N lives end with code 3 before they serve; `deaf`: SIGTERM does nothing to it.
"""

import os
import signal
import subprocess
import sys
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path


class Health(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


def main(port: str, folder: str, *told: str) -> None:
    knobs = dict(word.partition("=")[::2] for word in told)
    if "deaf" in knobs:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    pids = Path(folder) / "pids"
    lives = len(pids.read_text().split()) // 2 if pids.exists() else 0
    child = subprocess.Popen(["sleep", "600"])
    with pids.open("a") as file:
        file.write(f"{os.getpid()} {child.pid}\n")
    print(f"life {lives} of the stand-in", flush=True)
    time.sleep(float(knobs.get("after", "0")))
    if lives < int(knobs.get("dies", "0")):
        print("out of memory, say", flush=True)
        sys.exit(3)
    HTTPServer.allow_reuse_address = True
    HTTPServer(("127.0.0.1", int(port)), Health).serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])
