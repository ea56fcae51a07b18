"""What AIPerf leaves in its artifact folder, as requests. Written against 0.13.0: times are ns since the epoch, metrics have units."""

from __future__ import annotations

import json
import mmap
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.errors import MeasureError
from pipeline.measure.requests import Request

RECORDS, AGGREGATE, INPUTS, PHASES = "profile_export.jsonl", "profile_export_aiperf.json", "inputs.json", "phase_manifest.json"
EMPTY_STREAM = "InvalidInferenceResultError"  # what AIPerf calls a stream that ended before its first token
# A prompt cannot contain either of these: inside a JSON string the quotes would be escaped.
ASKED = re.compile(rb'"session_id":\s*"(?P<session>[^"\\]*)"|"max_(?:completion_)?tokens":\s*(?P<tokens>\d+)')


@dataclass(frozen=True, slots=True)
class Recorded:
    """One run of AIPerf: measured requests by start, whether it says that it ended well, and where its time went."""

    requests: tuple[Request, ...]
    trouble: str  # why its own word is that it did not; empty when all is well
    warmup_s: float | None
    profiling_s: float | None


def read(folder: Path) -> Recorded:
    """All that a run left, be it cut short; MeasureError where a file is not AIPerf's."""
    asked = asked_lengths(folder / INPUTS)
    requests = sorted(_requests(folder / RECORDS, asked), key=lambda request: request.start_s)
    phases = _phases(folder / PHASES)
    return Recorded(tuple(requests), _trouble(folder / AGGREGATE), phases.get("warmup"), phases.get("profiling"))


def asked_lengths(path: Path) -> dict[str, int]:
    """Output tokens that each conversation asks for; the file holds every prompt, so it may be a gigabyte and is scanned, not parsed."""
    if not path.is_file() or not path.stat().st_size:
        return {}
    found: dict[str, int] = {}
    session = ""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        for match in ASKED.finditer(content):
            if match["tokens"] is None:
                session = match["session"].decode()
            else:
                found[session] = int(match["tokens"])
    return found


def _requests(path: Path, asked: dict[str, int]) -> Iterator[Request]:
    base: int | None = None
    for record in _records(path):
        if record["metadata"]["benchmark_phase"] == "profiling":
            base = record["metadata"]["request_start_ns"] if base is None else base
            yield _request(record, asked, base)


def _request(record: dict[str, Any], asked: dict[str, int], base: int) -> Request:
    metadata, metrics = record["metadata"], record["metrics"]
    conversation = metadata["conversation_id"]
    if conversation not in asked:
        raise MeasureError(f"{INPUTS} does not say what {conversation} asked for", hint="another version of AIPerf? 0.13.0 is read")
    output, prompt = _value(metrics, "usage_completion_tokens"), _value(metrics, "usage_prompt_tokens")
    cancelled = "cancelled by the client" if metadata["was_cancelled"] else ""
    return Request(
        start_s=(metadata["request_start_ns"] - base) / 1e9,
        end_s=(metadata["request_end_ns"] - base) / 1e9,
        ttft_ms=_value(metrics, "time_to_first_token"),
        asked=asked[conversation],
        output=None if output is None else int(output),
        input=None if prompt is None else int(prompt),
        error=_error(record.get("error")) or cancelled,
        latency_ms=_value(metrics, "request_latency"),
        held_ms=(metadata["request_start_ns"] - metadata["credit_issued_ns"]) / 1e6,
    )


def _records(path: Path) -> Iterator[dict[str, Any]]:
    """Records that are whole; the last line of a client that was killed may be torn."""
    if not path.is_file():
        return
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if not line.endswith(b"\n"):
                return
            try:
                record = json.loads(line)
            except ValueError as error:
                raise MeasureError(f"not a record of AIPerf: {error}", where=f"{path}:{number}") from error
            if not isinstance(record, dict) or not {"metadata", "metrics"} <= record.keys():
                raise MeasureError("not a record of AIPerf", where=f"{path}:{number}", hint="0.13.0 is read")
            yield record


def _value(metrics: dict[str, Any], name: str) -> float | None:
    found = metrics.get(name)
    return None if found is None else float(found["value"])


def _error(error: dict[str, Any] | None) -> str:
    """``500 Internal Server Error``: code and type; messages carry ids, and then no two errors are alike."""
    if error is None or error.get("type") == EMPTY_STREAM:
        return ""
    return f"{error.get('code') or ''} {error.get('type') or 'error'}".strip()


def _trouble(path: Path) -> str:
    if not path.is_file():
        return f"no {path.name}"
    try:
        summary = json.loads(path.read_bytes())
        if summary["was_cancelled"]:
            return "it says that it was cancelled"
        return "" if summary["is_complete"] else "it says that its results are not complete"
    except (ValueError, KeyError, TypeError) as error:
        raise MeasureError(f"not an aggregate of AIPerf: {error}", where=str(path), hint="0.13.0 is read") from error


def _phases(path: Path) -> dict[str, float]:
    """Seconds by phase; nothing where AIPerf ended before it wrote them."""
    try:
        phases = json.loads(path.read_bytes())["phases"]
        return {phase["phase_kind"]: (phase["end_ns"] - phase["start_ns"]) / 1e9 for phase in phases}
    except FileNotFoundError:
        return {}
    except (ValueError, KeyError, TypeError) as error:
        raise MeasureError(f"not a phase manifest of AIPerf: {error}", where=str(path), hint="0.13.0 is read") from error
