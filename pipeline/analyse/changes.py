"""A run against the previous one: which settings differ, and whether throughput is better or worse."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pipeline.deployment.replayed import is_replayed
from pipeline.schema.history import HistoryRow
from pipeline.schema.reasons import ChangeReason, FieldDiff, PointProblem, Side
from pipeline.schema.report import Change, Verdict
from pipeline.schema.result import JobRecord


@dataclass(frozen=True, slots=True)
class PointPair:
    """One recipe at one concurrency, now and before; at least one side is present."""

    now: HistoryRow | None
    before: HistoryRow | None
    is_planned: bool

    @property
    def row(self) -> HistoryRow:
        """The side that names the pair: now, else before."""
        row = self.now or self.before
        if row is None:
            raise ValueError("a pair without a side")
        return row


@dataclass(frozen=True, slots=True)
class Figures:
    """The compared figures of one side; all None without a valid point."""

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
    """Return one change per point, with a verdict on tok/s/GPU at equal concurrency.

    Empty without an earlier run, unless ``even_without_past``.
    """
    earlier = {(row.record.job.recipe.id, row.conc): row for row in previous}
    if not earlier and not even_without_past:
        return ()
    return tuple(_change(pair, relevant_change) for pair in _pairs(list(rows), earlier, set(planned)))


def _pairs(
    rows: list[HistoryRow], earlier: dict[tuple[str, int], HistoryRow], planned: set[str]
) -> list[PointPair]:
    pairs, paired = [], set()
    for row in rows:
        recipe = row.record.job.recipe
        key = next((key for name in (recipe.id, *recipe.was) if (key := (name, row.conc)) in earlier), None)
        paired.add(key)
        pairs.append(PointPair(row, earlier[key] if key else None, is_planned=True))
    concs = {row.record.job.recipe.id: row.record.job.recipe.conc for row in rows}
    removed = [
        PointPair(None, row, is_planned=_is_wanted(row, concs, planned))
        for key, row in earlier.items()
        if key not in paired
    ]
    return pairs + removed


def _is_wanted(row: HistoryRow, concs: Mapping[str, tuple[int, ...]], planned: set[str]) -> bool:
    """Return whether the recipe is still planned, and at this concurrency."""
    name = row.record.job.recipe.id
    return name in planned and row.conc in concs.get(name, (row.conc,))


def _change(pair: PointPair, relevant_change: float) -> Change:
    recipe = pair.row.record.job.recipe
    differs = (
        differing(_fields(pair.before.record), _fields(pair.now.record)) if pair.before and pair.now else ()
    )
    unlike = _unlike(pair, differs)
    reason = _absence(pair) or unlike or _extrapolated(pair)
    before = Figures() if unlike else _figures(pair.before)
    after = _figures(pair.now)
    is_known = reason is None or reason.kind != "extrapolated"
    change = relative(before.total_tok_s_gpu, after.total_tok_s_gpu) if is_known else None
    is_simulated = pair.row.record.provenance.origin == "simulated"
    unseen = tuple(diff for diff in differs if is_simulated and not is_replayed(diff.field))
    if reason is None and not is_simulated:
        reason = ChangeReason(kind="noise unknown")
    if reason is None and unseen and verdict(change, relevant_change) != "worse":
        reason = ChangeReason(kind="not-simulated", fields=unseen)
    return Change(
        recipe=recipe.id,
        sku=recipe.sku,
        shape=recipe.shape,
        conc=pair.row.conc,
        verdict="unknown" if reason else verdict(change, relevant_change),
        reason=reason,
        before_run=run_name(pair.before) if pair.before else None,
        before_tok_s_gpu=before.total_tok_s_gpu,
        after_tok_s_gpu=after.total_tok_s_gpu,
        before_interactivity=before.interactivity,
        after_interactivity=after.interactivity,
        tok_s_gpu_change=change,
        interactivity_change=relative(before.interactivity, after.interactivity) if is_known else None,
        ttft_p50_change=relative(before.ttft_p50_ms, after.ttft_p50_ms) if is_known else None,
        differs=differs,
        unseen=unseen,
    )


def verdict(change: float | None, relevant_change: float) -> Verdict:
    """Return the verdict on a relative change of tok/s/GPU.

    A replay gives the same figures for the same seed, so there is no noise: only relevance counts.
    """
    if change is None:
        return "unknown"
    if abs(change) < relevant_change:
        return "same"
    return "better" if change > 0 else "worse"


def relative(before: float | None, after: float | None) -> float | None:
    """Return (after − before) / before; None when a side is absent or ``before`` is zero."""
    return (after - before) / before if before and after is not None else None


def run_name(row: HistoryRow) -> str:
    """Return ``RUN`` or, after a retry, ``RUN attempt N``."""
    run_id, attempt = row.run
    return run_id if attempt == 1 else f"{run_id} attempt {attempt}"


def differing(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[FieldDiff, ...]:
    """Return the leaves of two nested mappings that are not the same, by dotted path."""
    old, new = dict(flat(before)), dict(flat(after))
    return tuple(
        FieldDiff(field=path, before=old.get(path), after=new.get(path))
        for path in sorted(old.keys() | new.keys())
        if old.get(path) != new.get(path)
    )


def _fields(record: JobRecord) -> dict[str, Any]:
    """Return the fields that change a measurement; the git commit is not one of them."""
    provenance = record.provenance
    asked = {**record.job.recipe.measured_fields, "client": record.client_settings}
    ran = {
        name: getattr(provenance, name) for name in ("seed", "origin", "measure", "time_scale", "versions")
    }
    digests = {name: text[:12] for name, text in record.job.environment.items()}
    return {**asked, "provenance": ran, "environment": digests}


def flat(value: Mapping[str, Any], path: str = "") -> Iterable[tuple[str, str]]:
    """Yield the dotted path and the text of every leaf."""
    for key, item in value.items():
        if isinstance(item, Mapping):
            yield from flat(item, f"{path}{key}.")
        else:
            yield f"{path}{key}", item if isinstance(item, str) else json.dumps(item, ensure_ascii=False)


def _absence(pair: PointPair) -> ChangeReason | None:
    if pair.before is None:
        return ChangeReason(kind="no-earlier-run")
    if pair.now is None:
        return (
            ChangeReason(kind="missing", side="now")
            if pair.is_planned
            else ChangeReason(kind="no-longer-planned")
        )
    return _problem_of(pair.now, "now") or _problem_of(pair.before, "before")


def _problem_of(row: HistoryRow, side: Side) -> ChangeReason | None:
    problem = problem_of(row)
    if problem is None:
        return None
    return ChangeReason(kind=problem.kind, side=side, error=problem.error, reasons=problem.reasons)


def problem_of(row: HistoryRow) -> PointProblem | None:
    """Return why a row has no figures that can be used; None when it has."""
    if row.point is None:
        return PointProblem(kind="failed", error=row.failure.what if row.failure else "")
    if row.point.status == "invalid":
        return PointProblem(kind="invalid", reasons=row.point.reasons)
    return None


def _unlike(pair: PointPair, differs: tuple[FieldDiff, ...]) -> ChangeReason | None:
    """Return what keeps two sides out of one series: client settings, origin, measure or SKU."""
    if pair.before is None or pair.now is None:
        return None
    named = ("sku", "provenance.origin", "provenance.measure", "provenance.time_scale")
    unlike = tuple(diff for diff in differs if diff.field in named or diff.field.startswith("client."))
    if unlike:
        return ChangeReason(kind="fields-differ", fields=unlike)
    now, before = pair.now.record, pair.before.record
    is_renamed = now.job.recipe.id != before.job.recipe.id
    is_same = is_renamed or now.series_key(pair.now.conc) == before.series_key(pair.before.conc)
    return None if is_same else ChangeReason(kind="series differ")


def _extrapolated(pair: PointPair) -> ChangeReason | None:
    """Return what of the point now, else of the one before, is outside of its fitted range."""
    sides: tuple[tuple[Side, HistoryRow | None], ...] = (("now", pair.now), ("before", pair.before))
    for side, row in sides:
        if row is not None and row.point is not None and row.point.status == "extrapolated":
            return ChangeReason(kind="extrapolated", side=side, extrapolated=row.point.extrapolated)
    return None


def _figures(row: HistoryRow | None) -> Figures:
    if row is None or row.point is None or row.point.status == "invalid":
        return Figures()
    return Figures(row.point.total_tok_s_gpu, row.point.interactivity, row.point.ttft_ms.p50)
