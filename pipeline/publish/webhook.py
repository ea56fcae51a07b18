"""Somebody else's address: one POST of JSON, with the verdict in ``text`` as chat services read it."""

from __future__ import annotations

import json
from urllib.parse import urlsplit

from pipeline.edge.http import Http
from pipeline.errors import PipelineError
from pipeline.publish.message import Message, WorkflowRun


def publish(message: Message, run: WorkflowRun, http: Http, url: str, *, page: str) -> str:
    """Send it once; the address is a secret, so an error names its host only. Gives what was done."""
    if not url:
        raise PipelineError(
            "RACKBENCH_WEBHOOK_URL is not set",
            hint="it is the address that the webhook's owner gave out; a secret",
        )
    host = urlsplit(url).hostname or ""
    if urlsplit(url).scheme not in {"http", "https"} or not host:
        raise PipelineError("the webhook is not an http(s) address", where="RACKBENCH_WEBHOOK_URL")
    link = page or run.url
    document = {
        "text": f"{message.headline}\n{link}".rstrip(),
        "verdict": message.verdict,
        "headline": message.headline,
        "origin": message.origin,
        "report": message.name,
        "run_id": run.run_id,
        "attempt": run.attempt,
        "repository": run.repository,
        "url": link,
    }
    try:
        answer = http.request(
            "POST",
            url,
            headers={"Content-Type": "application/json"},
            body=json.dumps(document).encode(),
            timeout_s=30.0,
        )
    except PipelineError:
        raise PipelineError("the webhook does not answer", where=host) from None
    if not 200 <= answer.status < 300:
        raise PipelineError(f"the webhook answers {answer.status}", where=host)
    return f"webhook: {host} answers {answer.status}"
