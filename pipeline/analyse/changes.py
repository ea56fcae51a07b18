"""Now against the run before: what differs in what was asked for, and whether that made it better or worse."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pipeline.schema.history import HistoryRow
from pipeline.schema.report import Change, FieldDiff, Verdict
from pipeline.schema.result import JobRecord

ONE_NIGHT = "one night each; noise not known yet"
NO_EARLIER = "no earlier run of this point"
NO_LONGER = "not planned any more"
ABSENT = "not set"


@dataclass(frozen=True, slots=True)
class PointPair:
    """One recipe at one concurrency, now and before; at least one side is there."""

    now: HistoryRow | None
    before: HistoryRow | None
    is_planned: bool

    @property
    def row(self) -> HistoryRow:
        """The side that names the pair: now, or before where there is no now."""
        row = self.now or self.before
        if row is None:
            raise ValueError("a pair without a side")
        return row


@dataclass(frozen=True, slots=True)
class Figures:
    """What is compared of one side; all None where there is no point to trust."""

    total_tok_s_gpu: float | None = None
    interactivity: float | None = None
    ttft_p50_ms: float | None = None


def compare(
    rows: Iterable[HistoryRow],
    previous: Iterable[HistoryRow],
    *,
    planned: Iterable[str],
    relevant_change: float,
    even_without_past: bool = False,
) -> tuple[Change, ...]:
    """One change a point, verdicts about tok/s/GPU at equal concurrency; empty when there is nothing earlier, unless asked otherwise."""
    earlier = {(row.record.job.recipe.id, row.conc): row for row in previous}
    if not earlier and not even_without_past:
        return ()
    return tuple(_change(pair, relevant_change) for pair in _pairs(list(rows), earlier, set(planned)))


def _pairs(
    rows: list[HistoryRow], earlier: dict[tuple[str, int], HistoryRow], planned: set[str]
) -> list[PointPair]:
    pairs, met = [], set()
    for row in rows:
        recipe = row.record.job.recipe
        key = next((key for name in (recipe.id, *recipe.was) if (key := (name, row.conc)) in earlier), None)
        met.add(key)
        pairs.append(PointPair(row, earlier[key] if key else None, is_planned=True))
    concs = {row.record.job.recipe.id: row.record.job.recipe.conc for row in rows}
    gone = [
        PointPair(None, row, is_planned=_is_wanted(row, concs, planned))
        for key, row in earlier.items()
        if key not in met
    ]
    return pairs + gone


def _is_wanted(row: HistoryRow, concs: Mapping[str, tuple[int, ...]], planned: set[str]) -> bool:
    """Whether the recipe still runs, and at this concurrency."""
    name = row.record.job.recipe.id
    return name in planned and row.conc in concs.get(name, (row.conc,))


def _change(pair: PointPair, relevant_change: float) -> Change:
    recipe = pair.row.record.job.recipe
    differs = differing(pair.before.record, pair.now.record) if pair.before and pair.now else ()
    unlike = _unlike(pair, differs)
    reason = _absence(pair) or unlike
    before = Figures() if unlike else _figures(pair.before)
    after = _figures(pair.now)
    change = relative(before.total_tok_s_gpu, after.total_tok_s_gpu)
    if not reason and pair.row.record.provenance.origin != "simulated":
        reason = ONE_NIGHT
    return Change(
        recipe=recipe.id,
        sku=recipe.sku,
        shape=recipe.shape,
        conc=pair.row.conc,
        verdict="unknown" if reason else verdict(change, relevant_change),
        reason=reason,
        before_run=run_name(pair.before) if pair.before else "none",
        before_tok_s_gpu=before.total_tok_s_gpu,
        after_tok_s_gpu=after.total_tok_s_gpu,
        before_interactivity=before.interactivity,
        after_interactivity=after.interactivity,
        tok_s_gpu_change=change,
        interactivity_change=relative(before.interactivity, after.interactivity),
        ttft_p50_change=relative(before.ttft_p50_ms, after.ttft_p50_ms),
        differs=differs,
    )


def verdict(change: float | None, relevant_change: float) -> Verdict:
    """Word for a relative change of tok/s/GPU: a replay is deterministic for a seed, so relevance is the only bar."""
    if change is None:
        return "unknown"
    if abs(change) < relevant_change:
        return "same"
    return "better" if change > 0 else "worse"


def relative(before: float | None, after: float | None) -> float | None:
    """(after − before) / before; None when a side is absent or there is nothing to relate to."""
    return (after - before) / before if before and after is not None else None


def run_name(row: HistoryRow) -> str:
    """``RUN`` or, after a retry, ``RUN attempt N``."""
    run_id, attempt = row.run
    return run_id if attempt == 1 else f"{run_id} attempt {attempt}"


def differing(before: JobRecord, after: JobRecord) -> tuple[FieldDiff, ...]:
    """Fields that change a measurement and are not the same, by dotted path; the git commit is not one of them."""
    old, new = _fields(before), _fields(after)
    paths = sorted(path for path in old.keys() | new.keys() if old.get(path, ABSENT) != new.get(path, ABSENT))
    return tuple(
        FieldDiff(field=path, before=old.get(path, ABSENT), after=new.get(path, ABSENT)) for path in paths
    )


def _fields(record: JobRecord) -> dict[str, str]:
    provenance = record.provenance
    asked = {**record.job.recipe.measured_fields, "client": record.client_settings}
    ran = {
        name: getattr(provenance, name) for name in ("seed", "origin", "measure", "time_scale", "versions")
    }
    digests = {name: text[:12] for name, text in record.job.environment.items()}
    return dict(flat({**asked, "provenance": ran, "environment": digests}))


def flat(value: Mapping[str, Any], path: str = "") -> Iterable[tuple[str, str]]:
    """Dotted path and text of every leaf."""
    for key, item in value.items():
        if isinstance(item, Mapping):
            yield from flat(item, f"{path}{key}.")
        else:
            yield f"{path}{key}", item if isinstance(item, str) else json.dumps(item, ensure_ascii=False)


def _absence(pair: PointPair) -> str:
    if pair.before is None:
        return NO_EARLIER
    if pair.now is None:
        return "missing now: no result arrived" if pair.is_planned else NO_LONGER
    return why_no_point(pair.now, "now") or why_no_point(pair.before, "before")


def why_no_point(row: HistoryRow, when: str) -> str:
    """Why a row has no point to trust; empty when it has one."""
    when = f" {when}" if when else ""
    if row.point is None:
        return f"failed{when}: {row.failure.what if row.failure else 'no reason recorded'}"
    if row.point.status == "invalid":
        return f"refused{when}: {', '.join(row.point.reasons) or 'no reason recorded'}"
    return ""


def _unlike(pair: PointPair, differs: tuple[FieldDiff, ...]) -> str:
    """What keeps two sides out of one series: client settings, origin, measure or SKU; empty when nothing does."""
    if pair.before is None or pair.now is None:
        return ""
    named = ("sku", "provenance.origin", "provenance.measure", "provenance.time_scale")
    unlike = [diff for diff in differs if diff.field in named or diff.field.startswith("client.")]
    if unlike:
        return "not comparable: " + ", ".join(f"{diff.field} {diff.before} → {diff.after}" for diff in unlike)
    now, before = pair.now.record, pair.before.record
    is_renamed = now.job.recipe.id != before.job.recipe.id
    is_same = is_renamed or now.series_key(pair.now.conc) == before.series_key(pair.before.conc)
    return "" if is_same else "not comparable: the series keys differ"


def _figures(row: HistoryRow | None) -> Figures:
    if row is None or row.point is None or row.point.status != "ok":
        return Figures()
    return Figures(row.point.total_tok_s_gpu, row.point.interactivity, row.point.ttft_ms.p50)
