"""Replays for a review: some recipes of a revision in virtual time, through plan, run and a history of their own."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from pipeline import store
from pipeline.errors import PipelineError, PlanError
from pipeline.flow import measuring
from pipeline.flow.context import Context, write
from pipeline.flow.ingesting import ingest
from pipeline.flow.planning import PlanOptions, make
from pipeline.schema.history import HistoryRow


@dataclass(frozen=True, slots=True)
class ReplayOptions:
    """The cluster whose timing is used, whether runs are quick, and replays at the same time."""

    cluster: str
    quick: bool
    workers: int


def replay(
    context: Context, names: Collection[str], options: ReplayOptions, folder: Path
) -> list[HistoryRow]:
    """Replay these recipes; one that cannot be replayed has its reason in its rows."""
    if not names:
        return []
    out = folder / "plan.json"
    planned = PlanOptions(
        options.cluster, "pull-request", "*", None, None, "1/1", out, any_size=True, even_untimed=True
    )
    plan = make(context, planned)
    if plan.cluster.measure != "replay":
        what = f"cluster {options.cluster} does not measure in virtual time"
        raise PlanError(what, hint="name one that does: --cluster laptop")
    jobs = tuple(job for job in plan.jobs if job.id in names)
    if not jobs:
        return []
    write(planned.out, plan.model_copy(update={"jobs": jobs}).to_json())
    _run(context, planned.out, options, folder)
    ingested = ingest([folder / "results"], str(folder / "history"), now=context.clock.now())
    if ingested.lacking:
        raise ingested.lacking
    return list(store.rows(str(folder / "history")))


def _run(context: Context, plan: Path, options: ReplayOptions, folder: Path) -> None:
    """Run a plan; jobs that fail leave their reason in their result folders."""
    out = folder / "results"
    try:
        measuring.run(
            context,
            measuring.RunOptions(plan, out, None, options.quick, None, folder.name, 1, options.workers),
        )
    except PipelineError as error:
        if not any(out.glob("bench-*")):
            raise
        context.log(str(error))
