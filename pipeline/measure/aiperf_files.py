"""Files in AIPerf's artifact folder, read as requests.

Written for 0.13.0: times are ns since the epoch, metrics have units.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipeline.edge.place import Place
from pipeline.errors import MeasureError
from pipeline.measure.requests import Request

RECORDS, AGGREGATE, PHASES = "profile_export.jsonl", "profile_export_aiperf.json", "phase_manifest.json"
LOG = "logs/aiperf.log"
EMPTY_STREAM = "InvalidInferenceResultError"  # AIPerf's name of a stream that ended before its first token
PHASE = re.compile(rb" - Phase (?P<name>\S+) \(\w+\) (?P<what>started|complete) ")


@dataclass(frozen=True, slots=True)
class AiperfOutput:
    """The output of one run of AIPerf."""

    loops: dict[str, tuple[Request, ...]]  # measured requests by phase, in the order of their start
    trouble: str  # why it failed, according to its own files; empty when it did not
    version: str  # of AIPerf; empty where it did not report one
    phases_s: dict[str, float]  # seconds of each recorded phase; none where it ended early


@dataclass(slots=True)
class Log:
    """AIPerf's log while it is written: the phases that have started and ended so far."""

    place: Place
    path: Path  # there
    started: set[str] = field(default_factory=set)
    ended: set[str] = field(default_factory=set)
    _read: int = 0

    def update(self) -> None:
        """Read the lines that were added since the last update."""
        whole, newline, _ = (self.place.read(self.path, start=self._read) or b"").rpartition(b"\n")
        self._read += len(whole) + len(newline)
        for match in PHASE.finditer(whole):
            (self.started if match["what"] == b"started" else self.ended).add(match["name"].decode())


def read(folder: Path, asked: Mapping[str, Sequence[int]]) -> AiperfOutput:
    """Read the files of a run, which may have ended early; ``asked``: input and output tokens by session.

    Raise MeasureError where a file is not AIPerf's.
    """
    trouble, version = _outcome(folder / AGGREGATE)
    return AiperfOutput(_loops(folder / RECORDS, asked), trouble, version, _phases(folder / PHASES))


def last_message(console: Path) -> str:
    """Return the last error that AIPerf printed, or its last line of text; the frame of a box is not text."""
    lines = console.read_text(encoding="utf-8", errors="replace").split("\n") if console.exists() else []
    texts = [line.strip()[:200] for line in reversed(lines) if any(map(str.isalpha, line))]
    return next((line for line in texts if " ERROR " in line), texts[0] if texts else "it printed nothing")


def _loops(path: Path, asked: Mapping[str, Sequence[int]]) -> dict[str, tuple[Request, ...]]:
    """Return the requests by phase.

    A session that was recorded twice is one request, so that it does not replace a lost one.
    """
    found: defaultdict[str, dict[str, Request]] = defaultdict(dict)
    base: int | None = None
    for record in _records(path):
        metadata = record["metadata"]
        if metadata["benchmark_phase"] == "profiling":
            base = metadata["request_start_ns"] if base is None else base
            found[metadata["phase_name"]].setdefault(
                metadata["conversation_id"], _request(record, asked, base)
            )
    return {
        name: tuple(sorted(requests.values(), key=lambda request: request.start_s))
        for name, requests in found.items()
    }


def _request(record: dict[str, Any], asked: Mapping[str, Sequence[int]], base: int) -> Request:
    metadata, metrics = record["metadata"], record["metrics"]
    session = metadata["conversation_id"]
    if session not in asked:
        raise MeasureError(
            f"AIPerf reports session {session}, which was not requested",
            hint="supported version of AIPerf: 0.13.0",
        )
    output, prompt = _value(metrics, "usage_completion_tokens"), _value(metrics, "usage_prompt_tokens")
    cancelled = "cancelled by the client" if metadata["was_cancelled"] else ""
    return Request(
        start_s=(metadata["request_start_ns"] - base) / 1e9,
        end_s=(metadata["request_end_ns"] - base) / 1e9,
        ttft_ms=_value(metrics, "time_to_first_token"),
        asked=asked[session][1],
        asked_input=asked[session][0],
        output=None if output is None else int(output),
        input=None if prompt is None else int(prompt),
        error=_error(record.get("error")) or cancelled,
        latency_ms=_value(metrics, "request_latency"),
        held_ms=(metadata["request_start_ns"] - metadata["credit_issued_ns"]) / 1e6,
    )


def _records(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the whole records.

    A client that was killed may leave half a line at the end, a full disk half a line before others.
    """
    if not path.is_file():
        return
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if not line.endswith(b"\n"):
                return
            try:
                record = json.loads(line)
            except ValueError as error:
                if number > 1:
                    continue  # its loop has lost a request
                raise MeasureError(f"not a record of AIPerf: {error}", where=f"{path}:{number}") from error
            if not isinstance(record, dict) or not {"metadata", "metrics"} <= record.keys():
                raise MeasureError(
                    "not a record of AIPerf", where=f"{path}:{number}", hint="supported version: 0.13.0"
                )
            yield record


def _value(metrics: dict[str, Any], name: str) -> float | None:
    found = metrics.get(name)
    return None if found is None else float(found["value"])


def _error(error: dict[str, Any] | None) -> str:
    """Return code and type, such as ``500 Internal Server Error``.

    Messages contain ids, so no two are equal.
    """
    if error is None or error.get("type") == EMPTY_STREAM:
        return ""
    return f"{error.get('code') or ''} {error.get('type') or 'error'}".strip()


def _outcome(path: Path) -> tuple[str, str]:
    """Return why AIPerf failed, according to its own summary, and its version."""
    if not path.is_file():
        return f"no {path.name}", ""
    try:
        summary = json.loads(path.read_bytes())
        version = str(summary["aiperf_version"])
        if summary["was_cancelled"]:
            return "it reports that it was cancelled", version
        return "" if summary["is_complete"] else "it reports that its results are not complete", version
    except (ValueError, KeyError, TypeError) as error:
        raise MeasureError(
            f"not an aggregate of AIPerf: {error}", where=str(path), hint="supported version: 0.13.0"
        ) from error


def _phases(path: Path) -> dict[str, float]:
    try:
        phases = json.loads(path.read_bytes())["phases"]
        return {phase["phase_name"]: (phase["end_ns"] - phase["start_ns"]) / 1e9 for phase in phases}
    except FileNotFoundError:
        return {}
    except (ValueError, KeyError, TypeError) as error:
        raise MeasureError(
            f"not a phase manifest of AIPerf: {error}", where=str(path), hint="supported version: 0.13.0"
        ) from error
