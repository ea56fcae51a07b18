"""The plan: which deployments run on a cluster, the shards of a large plan, and the outputs of a workflow step."""

from pipeline.plan.outputs import Matrix, check_any_jobs, legs, matrix, plan_outputs
from pipeline.plan.select import MAX_JOBS, PlanCandidate, PlanRequest, accepted, checked, identity, job, plan
from pipeline.plan.shards import further_shards, part, shard, shard_title, shards_needed, share

__all__ = [
    "MAX_JOBS",
    "Matrix",
    "PlanCandidate",
    "PlanRequest",
    "accepted",
    "check_any_jobs",
    "checked",
    "further_shards",
    "identity",
    "job",
    "legs",
    "matrix",
    "part",
    "plan",
    "plan_outputs",
    "shard",
    "shard_title",
    "shards_needed",
    "share",
]
