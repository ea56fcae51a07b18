"""dispatch: start the runs of further shards, each once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from pipeline.edge.github_workflows import Workflow, dispatch, dispatched_titles
from pipeline.errors import GitHubError
from pipeline.flow.context import Context
from pipeline.plan import shard_title

if TYPE_CHECKING:
    from pipeline.edge.github import GitHub

RERUN: Final = timedelta(days=30)  # how long GitHub can run a job again


def dispatch_shards(
    context: Context, github: GitHub, workflow: Workflow, runs: Sequence[Mapping[str, Any]]
) -> None:
    """Start the runs that were never started; raise the first error when all were tried."""
    started = dispatched_titles(github, workflow, since=context.clock.now() - RERUN)
    errors = []
    for inputs in runs:
        title = shard_title(workflow.file, inputs)
        if inputs.get("plan_id") and title in started:
            context.log(f"{title} was started already")
            continue
        try:
            dispatch(github, workflow, inputs)
            context.log(f"started {title} at {workflow.ref}")
        except GitHubError as error:
            errors.append(error)
            context.log(f"error: {title}: {error}")
    if errors:
        errors[0].what = f"{len(errors)} of {len(runs)} shards could not be started: {errors[0].what}"
        errors[0].hint = "run this job again: it starts only the missing shards"
        raise errors[0]
