"""HTTP requests that a program in another place sends: a line of JSON for each request and each answer."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from pipeline.edge.http import ConnectionLostError, Response
from pipeline.edge.shell import Dialogue, Shell

MARGIN_S = 10.0  # for the way there and back, and the start of the program
# Needs Python 3 and nothing else; a proxy of the place is not for servers of the deployment.
PROGRAM = """\
import base64, json, sys, urllib.error, urllib.request
opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
for line in sys.stdin:
    asked = json.loads(line)
    body = base64.b64decode(asked["body"]) if asked["body"] is not None else None
    request = urllib.request.Request(asked["url"], data=body, headers=asked["headers"], method=asked["method"])
    try:
        try:
            answer = opener.open(request, timeout=asked["timeout_s"])
        except urllib.error.HTTPError as error:
            answer = error
        with answer:
            text = base64.b64encode(answer.read()).decode()
            found = {"status": answer.status, "headers": dict(answer.headers), "body": text}
    except Exception as error:
        found = {"error": str(getattr(error, "reason", error)) or type(error).__name__}
    print(json.dumps(found), flush=True)
"""


class RelayedHttp:
    """The network of another place, through one program there, which is started again when it has ended."""

    def __init__(self, shell: Shell, command: Callable[[Sequence[str]], list[str]], log: Path) -> None:
        self._shell, self._command, self._log = shell, command, log
        self._open = ExitStack()
        self._dialogue: Dialogue | None = None

    def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        timeout_s: float,
    ) -> Response:
        """Send one request from there and return its response; raise ConnectionLostError when there is none."""
        text = None if body is None else base64.b64encode(body).decode()
        asked = {"method": method, "url": url, "headers": dict(headers or {}), "body": text}
        line = json.dumps({**asked, "timeout_s": timeout_s}).encode()
        answer = self._ask(line, timeout_s=timeout_s + MARGIN_S)
        try:
            found: dict[str, Any] = json.loads(answer or b"")
            if "error" in found:
                raise ConnectionLostError(f"no response: {found['error']}", where=f"{method} {url}")
            names = {name.lower(): value for name, value in found["headers"].items()}
            return Response(found["status"], names, base64.b64decode(found["body"]))
        except (ValueError, KeyError, binascii.Error) as error:
            self.close()
            what = "no response: the program beside the frontend does not answer"
            raise ConnectionLostError(what, where=f"{method} {url}") from error

    def close(self) -> None:
        """End the program there."""
        self._dialogue = None
        self._open.close()

    def _ask(self, line: bytes, *, timeout_s: float) -> bytes | None:
        if self._dialogue is None:
            argv = self._command(["python3", "-u", "-c", PROGRAM])
            self._dialogue = self._open.enter_context(self._shell.talk(argv, log=self._log))
        return self._dialogue.ask(line, timeout_s=timeout_s)
