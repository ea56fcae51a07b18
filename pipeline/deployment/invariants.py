"""What holds for every result: one list, applied when a point is made and again when its folder is stored.

A valid point that breaks one is made invalid where it was measured, and is refused where it arrives.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Final, Literal

from pipeline.errors import ArtifactError
from pipeline.plaintext import one_line
from pipeline.schema.recipe import Recipe
from pipeline.schema.result import JobRecord, Point, Statistics

Scope = Literal["every", "valid"]  # point
ENOUGH_FOR_P99: Final = 662  # requests; see Statistics
SHARE: Final = 0.02  # by which sums of rounded or interpolated figures may differ
TEMPLATE_SHARE, TEMPLATE_TOKENS = 0.05, 256  # that a chat template may add to a prompt
TRAYS: Final = (1, 2, 4, 8, 16)  # GPUs of one tray, where the SKU is not beside the result
LEAST_IN_FLIGHT, MOST_IN_FLIGHT = 0.02, 1.05  # requests in flight over the concurrency
UNIT: Final = (300.0, 3000.0)  # a factor that is a unit: ms for s, or k for 1
EARLIEST: Final = datetime(2024, 1, 1, tzinfo=UTC)
LONGEST: Final = timedelta(days=7)  # of one job
SKEW: Final = timedelta(hours=1)
MARGIN_S: Final = 60.0
LIVE: Final = ("aiperf", "sa-bench")  # measures in real time


@dataclass(frozen=True, slots=True)
class Made:
    """A point with what determines it; ``gpus_per_tray`` None = the SKU is not known here."""

    recipe: Recipe
    requests_per_conc: int
    point: Point
    gpus_per_tray: int | None = None

    @property
    def lengths(self) -> tuple[tuple[int, int], tuple[int, int]]:
        """Shortest and longest input, and output, of one request in tokens."""
        workload, shortest = self.recipe.workload, self.recipe.client.shortest
        return (int(workload.isl * shortest), workload.isl), (int(workload.osl * shortest), workload.osl)

    @property
    def window_s(self) -> float:
        """The wall clock without what the timing model adds."""
        return self.point.duration_s - self.point.overhead_s

    @property
    def latencies(self) -> dict[str, Statistics]:
        """The three statistics by name."""
        return {"TTFT": self.point.ttft_ms, "TPOT": self.point.tpot_ms, "E2E": self.point.e2e_ms}


@dataclass(frozen=True, slots=True)
class Invariant:
    """A rule with its name and its statement; ``check`` returns what breaks it, or an empty text."""

    name: str
    scope: Scope
    statement: str
    check: Callable[[Made], str]


def gpus_counted(made: Made) -> str:
    """Detect GPUs in the denominator that the recipe does not deploy."""
    point, recipe = made.point, made.recipe
    found, wanted = (point.gpus_prefill, point.gpus_decode), (recipe.prefill.gpus, recipe.decode.gpus)
    if found == wanted:
        return ""
    return f"{found[0]} + {found[1]} GPUs, the recipe deploys {wanted[0]} + {wanted[1]}"


def gpus_held(made: Made) -> str:
    """Detect GPUs held that no tray size explains."""
    held, trays = made.point.gpus_held, (made.gpus_per_tray,) if made.gpus_per_tray else TRAYS
    possible = sorted({made.recipe.gpus_held(tray) for tray in trays})
    if held in possible and held >= made.point.gpus_counted:
        return ""
    return f"{held} GPUs held, the recipe takes {' or '.join(map(str, possible))}"


def requests_sent(made: Made) -> str:
    """Detect another number of requests than the client settings ask for."""
    wanted = made.requests_per_conc * made.point.conc
    if made.point.requests == wanted:
        return ""
    return f"{made.point.requests} requests, {made.requests_per_conc} x conc {made.point.conc} is {wanted}"


def requests_counted(made: Made) -> str:
    """Detect more answers than requests, or less than none."""
    point = made.point
    return (
        "" if 0 <= point.completed <= point.requests else f"{point.completed} of {point.requests} completed"
    )


def requests_completed(made: Made) -> str:
    """Detect requests without a whole answer."""
    point = made.point
    if 0 < point.completed == point.requests:
        return ""
    return f"{point.completed} of {point.requests} requests completed"


def tokens_counted(made: Made) -> str:
    """Detect less than no tokens."""
    found = made.point.input_tokens, made.point.output_tokens
    return "" if min(found) >= 0 else f"{found[0]} input and {found[1]} output tokens"


def tokens_asked(made: Made) -> str:
    """Detect more or fewer tokens than the lengths of the workload allow."""
    point, (inputs, outputs) = made.point, made.lengths
    low = int(inputs[0] * (1 - TEMPLATE_SHARE))
    high = int(inputs[1] * (1 + TEMPLATE_SHARE)) + TEMPLATE_TOKENS
    ranges = {"input": (point.input_tokens, low, high), "output": (point.output_tokens, *outputs)}
    for name, (tokens, least, most) in ranges.items():
        if not least * point.completed <= tokens <= most * point.completed:
            each = tokens / max(1, point.completed)
            return f"{each:.1f} {name} tokens a request, the workload has {least} to {most}"
    return ""


def wall_clock(made: Made) -> str:
    """Detect a fixed part that is as long as the whole."""
    point = made.point
    if 0 <= point.overhead_s < point.duration_s and 0 <= (point.steady_s or 0.0) <= point.duration_s:
        return ""
    return f"{point.duration_s:g} s, of which {point.overhead_s:g} s are fixed and {point.steady_s or 0.0:g} s steady"


def percentiles_allowed(made: Made) -> str:
    """Detect a p99 of too few requests, and figures of none."""
    for name, one in made.latencies.items():
        if one.p99 is not None and one.n < ENOUGH_FOR_P99:
            return f"p99 of {name} over {one.n} requests, {ENOUGH_FOR_P99} are needed"
        if (one.n == 0) != (one.p50 is None) or (one.p50 is None) != (one.mean is None):
            return f"{name} of {one.n} requests has median {one.p50} and mean {one.mean}"
    return ""


def percentiles_ordered(made: Made) -> str:
    """Detect quantiles that fall, and a mean that no values with these quantiles have."""
    for name, one in made.latencies.items():
        known = [value for value in (one.p50, one.p90, one.p99) if value is not None]
        if any(right < left for left, right in pairwise(known)):
            return f"{name} falls from p50 to p99: {', '.join(f'{value:g}' for value in known)} ms"
        shares = ((one.p50, 0.5), (one.p90, 0.09 if one.n >= 10 else 0.0), (one.p99, 0.009))
        least = max((value * share for value, share in shares if value is not None), default=0.0)
        if one.mean is not None and one.mean < least * (1 - SHARE):
            return f"the mean {name} of {one.mean:g} ms is below what its quantiles allow, {least:g} ms"
    return ""


def latencies_counted(made: Made) -> str:
    """Detect latencies of another number of requests than completed."""
    point = made.point
    has_gaps = made.lengths[1][0] >= 2
    for name, one in made.latencies.items():
        if one.n != point.completed and (name != "TPOT" or has_gaps or one.n > point.completed):
            return f"{name} of {one.n} requests, {point.completed} completed"
    return ""


def latencies_positive(made: Made) -> str:
    """Detect times that are zero or run backwards."""
    for name, one in made.latencies.items():
        if one.n and name == "TTFT" and min(one.mean or 0.0, one.p50 or 0.0) >= 0:
            continue
        if one.n and min(one.mean or 0.0, one.p50 or 0.0) <= 0:
            return f"{name} has median {one.p50 or 0.0:g} ms and mean {one.mean or 0.0:g} ms"
    return ""


def latencies_ordered(made: Made) -> str:
    """Detect answers that end before their first token."""
    point = made.point
    for quantile in ("mean", "p50", "p90", "p99"):
        first, whole = getattr(point.ttft_ms, quantile), getattr(point.e2e_ms, quantile)
        if first is not None and whole is not None and whole < first * (1 - 1e-9):
            return f"{quantile} of E2E is {whole:g} ms, of TTFT {first:g} ms"
    return ""


def latencies_add_up(made: Made) -> str:
    """Detect E2E that is not TTFT and one TPOT for each further token."""
    point, (_, (least, most)) = made.point, made.lengths
    first, gap, whole = (one.mean for one in made.latencies.values())
    if first is None or gap is None or whole is None or point.tpot_ms.n != point.completed:
        return ""
    low, high = first + gap * (least - 1), first + gap * (most - 1)
    if low * (1 - SHARE) <= whole <= high * (1 + SHARE):
        return ""
    return f"mean E2E {whole:g} ms, TTFT and TPOT give {low:g} to {high:g} ms{_unit(whole, (low + high) / 2)}"


def in_flight(made: Made) -> str:
    """Detect latencies that do not fit the wall clock: more requests at once than the concurrency, or almost none."""
    point = made.point
    if point.e2e_ms.mean is None or made.window_s <= 0:
        return ""
    at_once = point.e2e_ms.mean / 1000 * point.completed / made.window_s
    if LEAST_IN_FLIGHT * point.conc <= at_once <= MOST_IN_FLIGHT * point.conc:
        return ""
    what = f"E2E and wall clock give {at_once:.3g} requests in flight at conc {point.conc}"
    return what + _unit(at_once, point.conc)


def _unit(found: float, wanted: float) -> str:
    """Name a factor near 1000 for what it is."""
    if found <= 0 or wanted <= 0:
        return ""
    factor = max(found / wanted, wanted / found)
    return ": a unit is wrong, s for ms or ms for s" if UNIT[0] <= factor <= UNIT[1] else ""


def effective_conc(made: Made) -> str:
    """Detect a steady load above the concurrency."""
    found = made.point.effective_conc
    if found is None or 0 <= found <= MOST_IN_FLIGHT * made.point.conc:
        return ""
    return f"{found:g} requests in flight on the steady window at conc {made.point.conc}"


def reasons_given(made: Made) -> str:
    """Detect an invalid point without a reason, or a valid one with one."""
    point = made.point
    if (point.status == "invalid") == bool(point.reasons):
        return ""
    return f"status {point.status} with {len(point.reasons)} reasons"


INVARIANTS: Final = (
    Invariant("gpus-counted", "every", "Prefill and decode GPUs are those of the recipe.", gpus_counted),
    Invariant(
        "gpus-held", "every", "GPUs held are whole trays of both pools and the infra trays.", gpus_held
    ),
    Invariant("requests-counted", "every", "0 ≤ completed ≤ requests.", requests_counted),
    Invariant("tokens-counted", "every", "Input and output tokens are not negative.", tokens_counted),
    Invariant(
        "percentiles-allowed",
        "every",
        f"p99 needs {ENOUGH_FOR_P99} requests; without requests there are no figures.",
        percentiles_allowed,
    ),
    Invariant("reasons-given", "every", "Invalid points have reasons, valid ones none.", reasons_given),
    Invariant("requests-sent", "valid", "requests = requests per concurrency × conc.", requests_sent),
    Invariant(
        "requests-completed", "valid", "Every request was completed, at least one.", requests_completed
    ),
    Invariant(
        "tokens-asked",
        "valid",
        f"Tokens of each request are within the workload's lengths (input {TEMPLATE_SHARE:.0%} and "
        f"{TEMPLATE_TOKENS} tokens more, for a chat template).",
        tokens_asked,
    ),
    Invariant("wall-clock", "valid", "Fixed and steady parts are within the wall clock.", wall_clock),
    Invariant(
        "latencies-counted",
        "valid",
        "TTFT, TPOT and E2E are of the completed requests.",
        latencies_counted,
    ),
    Invariant(
        "latencies-positive",
        "valid",
        "TPOT and E2E are positive, TTFT not negative.",
        latencies_positive,
    ),
    Invariant(
        "percentiles-ordered",
        "valid",
        "p50 ≤ p90 ≤ p99, with a mean that they allow.",
        percentiles_ordered,
    ),
    Invariant("latencies-ordered", "valid", "E2E ≥ TTFT in mean and quantiles.", latencies_ordered),
    Invariant(
        "latencies-add-up",
        "valid",
        f"mean E2E = mean TTFT + mean TPOT × (output tokens − 1), within {SHARE:.0%}; a factor near 1000 is a "
        "wrong unit.",
        latencies_add_up,
    ),
    Invariant(
        "in-flight",
        "valid",
        f"mean E2E × completed / wall clock is {LEAST_IN_FLIGHT} to {MOST_IN_FLIGHT} of the concurrency; a factor "
        "near 1000 is a wrong unit.",
        in_flight,
    ),
    Invariant(
        "effective-conc",
        "valid",
        f"The load of the steady window is at most {MOST_IN_FLIGHT} of the concurrency.",
        effective_conc,
    ),
)
OF_RESULTS: Final[dict[str, str]] = {
    "digest": "The deployment digest in the job is that of its recipe.",
    "concurrencies": "Points are at concurrencies of the job, each once.",
    "rates": "Figures written beside the points (tok/s/GPU, interactivity = 1000 / TPOT) are those of tokens / wall.",
    "times": (
        f"The job started before it ended, within {LONGEST.days} days, not before {EARLIEST.year}, and not in the "
        f"future (a clock up to {SKEW.seconds // 3600} hour ahead is logged)."
    ),
    "wall-clock": f"A live job took at least as long as its points, but for {MARGIN_S:g} s.",
    "run": "The folder is of the run that is ingested (`--run-id`).",
    "plan": "The job started after the plan that it names was made.",
}


def broken(made: Made) -> Iterator[tuple[Invariant, str]]:
    """Yield each invariant that a point breaks, with what breaks it."""
    for one in INVARIANTS:
        if (one.scope == "every" or made.point.status != "invalid") and (what := one.check(made)):
            yield one, what


def marked(made: Made) -> Point:
    """Return the point as it was measured; invalid, with the reasons, where it breaks an invariant."""
    reasons = tuple(f"{one.name}: {what}" for one, what in broken(made))
    if not reasons:
        return made.point
    return made.point.model_copy(update={"status": "invalid", "reasons": (*made.point.reasons, *reasons)})


def refuse_broken(
    record: JobRecord, points: Sequence[Point], *, where: str, run_id: str | None = None
) -> None:
    """Raise ArtifactError where a result contradicts itself, its job, or the run that is ingested."""
    job, provenance = record.job, record.provenance
    if run_id not in {None, provenance.run_id}:
        what = f"run: the folder is of run {one_line(provenance.run_id, 70)}, run {run_id} is ingested"
        raise ArtifactError(what, where=where, hint="it was not stored; it claims another run")
    if job.deployment_digest != job.recipe.deployment_digest:
        what = "digest: the deployment digest in job.json is not that of its recipe"
        raise ArtifactError(what, where=where, hint=REFUSED)
    for point in points:
        for one, what in broken(Made(job.recipe, provenance.requests_per_conc, point)):
            raise ArtifactError(f"conc {point.conc}: {one.name}: {what}", where=where, hint=REFUSED)
    measured_s = sum(point.duration_s for point in points)
    took = moment(provenance.finished_at, where=where) - moment(provenance.started_at, where=where)
    is_live = provenance.measure in LIVE and provenance.time_scale is None
    if is_live and measured_s > took.total_seconds() + MARGIN_S:
        what = f"wall-clock: {measured_s:g} s were measured in a job of {took.total_seconds():g} s"
        raise ArtifactError(what, where=where, hint=REFUSED)


REFUSED: Final = "the result contradicts itself (docs/invariants.md) and is not stored; measure it again"


def moment(text: str, *, where: str) -> datetime:
    """Return a stored moment in UTC; ArtifactError names ``where`` if it is none."""
    hint = "ISO 8601 with an offset, 2026-05-22T01:30:00+00:00"
    try:
        found = datetime.fromisoformat(text)
        if found.tzinfo is None:
            raise ArtifactError(f"a time without an offset: {text[:60]!r}", where=where, hint=hint)
        return found.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise ArtifactError(f"not a time: {text[:60]!r}", where=where, hint=hint) from error


def refuse_times(record: JobRecord, now: datetime, *, made: Mapping[str, datetime], where: str) -> list[str]:
    """Return a line on a clock that is ahead; ArtifactError where the times of a job are not plausible.

    ``made`` is when each plan was made, by its id.
    """
    planned = made.get(record.provenance.plan_id)
    started = moment(record.provenance.started_at, where=where)
    finished = moment(record.provenance.finished_at, where=where)
    if record.provenance.origin == "published":
        return []
    problems = {
        f"it ended at {finished:%F %T}, before its start at {started:%F %T}": finished < started,
        f"it took {finished - started}, more than {LONGEST.days} days": finished - started > LONGEST,
        f"it started at {started:%F %T}, before this project could": started < EARLIEST,
        f"it ended at {finished:%F %T}, which is in the future": max(started, finished) > now + SKEW,
        f"it started at {started:%F %T}, before its plan was made": planned is not None
        and started < planned - SKEW,
    }
    for what, is_so in problems.items():
        if is_so:
            raise ArtifactError(f"times: {what}", where=where, hint="correct the clock of the machine")
    ahead = max(started, finished) - now
    return [f"{where}: its clock is {ahead.seconds} s ahead"] if ahead > timedelta(0) else []


def markdown() -> str:
    """Return ``docs/invariants.md``."""
    rows = [f"| `{one.name}` | {one.scope} point | {one.statement} |" for one in INVARIANTS]
    rows += [f"| `{name}` | result | {statement} |" for name, statement in OF_RESULTS.items()]
    return INTRODUCTION + "| name | of | holds |\n|---|---|---|\n" + "\n".join(rows) + "\n"


INTRODUCTION: Final = """\
# Invariants of a result

Written by `python -m tests.golden.regenerate` from `pipeline/deployment/invariants.py`.

Each holds when a point is made and again when its folder is stored. A valid point that breaks one becomes invalid, with
its name as the reason, where it was measured. A folder that arrives with a broken one contradicts itself: `ingest` refuses
that folder (exit 7) and stores the others. Of an invalid point only the rules of every point hold. Published figures
(origin `published`) have no tokens or requests: they are held against their recipe and the limits of their fields.

"""
