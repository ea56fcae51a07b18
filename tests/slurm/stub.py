"""A stand-in for every process of a deployment, light enough for 60 of them: registers, lists, answers and counts, over HTTP.

Instances are files in the discovery folder of the deployment; a served request is a line in its file ``served``.
"""

from __future__ import annotations

import json
import os
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

FOLDER = Path(os.environ.get("DYN_FILE_KV", ""))
COMPONENTS = {"prefill": "prefill", "decode": "backend"}


def option(name: str) -> str:
    return sys.argv[sys.argv.index(name) + 1]


def served() -> int:
    path = FOLDER / "served"
    return path.read_text().count("\n") if path.exists() else 0


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path == "/metrics":
            labels = 'dynamo_endpoint="generate",worker_id="' + os.environ.get("RACKBENCH_PROCESS", "") + '"'
            name = "dynamo_component_requests_total"
            self.answer(f"# TYPE {name} counter\n{name}{{{labels}}} {served()}\n")
        elif self.path == "/health":
            names = [path.name for path in FOLDER.glob("*.instance")]
            listed = [{"component": COMPONENTS[name.split("-")[0]], "instance_id": name} for name in names]
            self.answer(json.dumps({"instances": [{**one, "endpoint": "generate"} for one in listed]}))
        else:
            self.answer(json.dumps({"data": [{"id": (FOLDER / "model").read_text()}]}))

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        with (FOLDER / "served").open("a") as file:
            file.write("x\n")
        self.answer(json.dumps({"usage": {"completion_tokens": asked["max_tokens"]}}))

    def answer(self, text: str) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_: object) -> None:
        return


def main() -> None:
    if "dynamo.frontend" in sys.argv:
        port = int(option("--http-port"))
    else:
        port = int(os.environ["DYN_SYSTEM_PORT"])
        (FOLDER / "model").write_text(option("--model-name"))
        (FOLDER / f"{os.environ['RACKBENCH_PROCESS']}.instance").touch()
    ThreadingHTTPServer(("", port), Handler).serve_forever()


if __name__ == "__main__":
    main()
