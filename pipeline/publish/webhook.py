"""A webhook: one POST of JSON, with the verdict in ``text`` as chat services expect it."""

from __future__ import annotations

import json
from urllib.parse import urlsplit

from pipeline.edge.http import Http
from pipeline.errors import PipelineError
from pipeline.publish.message import Message, WorkflowRun


def publish(message: Message, run: WorkflowRun, http: Http, url: str, *, page: str) -> str:
    """Send one request and return a line for the log. The address is a secret: an error names its host only."""
    if not url:
        raise PipelineError(
            "RACKBENCH_WEBHOOK_URL is not set",
            hint="set it to the address of the webhook, from a secret",
        )
    host = urlsplit(url).hostname or ""
    if urlsplit(url).scheme not in {"http", "https"} or not host:
        raise PipelineError("the address of the webhook is not http or https", where="RACKBENCH_WEBHOOK_URL")
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
        response = http.request(
            "POST",
            url,
            headers={"Content-Type": "application/json"},
            body=json.dumps(document).encode(),
            timeout_s=30.0,
        )
    except PipelineError:
        raise PipelineError("no response from the webhook", where=host) from None
    if not 200 <= response.status < 300:
        raise PipelineError(f"the webhook responds with {response.status}", where=host)
    return f"webhook: {host} responded with {response.status}"
