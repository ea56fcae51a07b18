"""What AIPerf leaves in its artifact folder, as requests. Written against 0.13.0: times are ns since the epoch, metrics have units."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipeline.errors import MeasureError
from pipeline.measure.requests import Request

RECORDS, AGGREGATE, PHASES = "profile_export.jsonl", "profile_export_aiperf.json", "phase_manifest.json"
LOG = "logs/aiperf.log"
EMPTY_STREAM = "InvalidInferenceResultError"  # what AIPerf calls a stream that ended before its first token
PHASE = re.compile(rb" - Phase (?P<name>\S+) \(\w+\) (?P<what>started|complete) ")


@dataclass(frozen=True, slots=True)
class AiperfOutput:
    """One run of AIPerf: what was measured, whether it says that it ended well, and where its time went."""

    loops: dict[str, tuple[Request, ...]]  # measured requests by phase, in the order of their start
    trouble: str  # why its own word is that it did not; empty when all is well
    version: str  # of AIPerf; empty where it did not come to say so
    phases_s: dict[str, float]  # seconds of each phase that was written down; none where it ended before


@dataclass(slots=True)
class Log:
    """AIPerf's log while it is written: the phases that have started and ended so far."""

    path: Path
    started: set[str] = field(default_factory=set)
    ended: set[str] = field(default_factory=set)
    _read: int = 0

    def update(self) -> None:
        """Read the lines that were added since the last update."""
        try:
            with self.path.open("rb") as file:
                file.seek(self._read)
                whole, newline, _ = file.read().rpartition(b"\n")
        except FileNotFoundError:
            return
        self._read += len(whole) + len(newline)
        for match in PHASE.finditer(whole):
            (self.started if match["what"] == b"started" else self.ended).add(match["name"].decode())


def read(folder: Path, asked: Mapping[str, Sequence[int]]) -> AiperfOutput:
    """All that a run left, be it cut short; ``asked``: input and output tokens by session. MeasureError where a file is not AIPerf's."""
    trouble, version = _own_word(folder / AGGREGATE)
    return AiperfOutput(_loops(folder / RECORDS, asked), trouble, version, _phases(folder / PHASES))


def last_message(console: Path) -> str:
    """Return the last error that AIPerf printed, or its last line of text; the frame of a box is not text."""
    lines = console.read_text(encoding="utf-8", errors="replace").split("\n") if console.exists() else []
    texts = [line.strip()[:200] for line in reversed(lines) if any(map(str.isalpha, line))]
    return next((line for line in texts if " ERROR " in line), texts[0] if texts else "it printed nothing")


def _loops(path: Path, asked: Mapping[str, Sequence[int]]) -> dict[str, tuple[Request, ...]]:
    """By phase; a session that was recorded twice is one request, so that it does not stand for one that was lost."""
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
            f"nobody asked for what AIPerf calls {session}", hint="another version of AIPerf? 0.13.0 is read"
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
    """Records that are whole: those of a client that was killed may end in the midst of a line, those of a full disk go on in it."""
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
                    continue  # the loop that it belongs to has lost a request
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


def _own_word(path: Path) -> tuple[str, str]:
    """Why it did not end well, by its own account, and its version."""
    if not path.is_file():
        return f"no {path.name}", ""
    try:
        summary = json.loads(path.read_bytes())
        version = str(summary["aiperf_version"])
        if summary["was_cancelled"]:
            return "it says that it was cancelled", version
        return "" if summary["is_complete"] else "it says that its results are not complete", version
    except (ValueError, KeyError, TypeError) as error:
        raise MeasureError(
            f"not an aggregate of AIPerf: {error}", where=str(path), hint="0.13.0 is read"
        ) from error


def _phases(path: Path) -> dict[str, float]:
    try:
        phases = json.loads(path.read_bytes())["phases"]
        return {phase["phase_name"]: (phase["end_ns"] - phase["start_ns"]) / 1e9 for phase in phases}
    except FileNotFoundError:
        return {}
    except (ValueError, KeyError, TypeError) as error:
        raise MeasureError(
            f"not a phase manifest of AIPerf: {error}", where=str(path), hint="0.13.0 is read"
        ) from error
