"""Rules about the run as a whole: its limits, its client, its name."""

from __future__ import annotations

import re
from collections.abc import Iterator

from pipeline.deployment.scheduler import mean_lengths
from pipeline.load.rules.case import Case, Finding, Rule
from pipeline.schema.engine import release
from pipeline.schema.recipe import ROLES

SHAPE_IN_NAME = re.compile(r"(?<![a-z0-9])(\d+)p(\d+)d((?:-(?:dep|tep|tp|dp)\d+){0,2})(?![a-z0-9])")
PEAK_SHARE = 0.5  # of the FLOP/s of a SKU: published prefill reaches a tenth
ONE_FRONTEND = 8192  # concurrent requests that one frontend is known to have served
SOCKETS, OTHER_FILES = 2, 1024  # of a frontend: one to the client and one to a worker per request
RAISES_LIMIT = (1, 4, 2)  # Dynamo release whose frontend raises its own soft limit
RAISED_TO = 8192


def _deadline(case: Case) -> Iterator[Finding]:
    needed = _least_seconds(case)
    if needed is None or needed <= case.recipe.limits.time_s:
        return
    client, limit = case.recipe.client, case.recipe.limits.time_s
    requests = (client.requests_per_conc + client.warmup_per_conc) * sum(case.recipe.conc)
    what = (
        f"limits.time_s {limit} cannot be met: {requests} requests take {needed:.0f} s or more "
        f"at {PEAK_SHARE:.0%} of the peak FLOP/s of {case.recipe.prefill.gpus} prefill GPUs"
    )
    hint = "raise limits.time_s, or lower conc or client.requests_per_conc"
    yield Finding(("limits", "time_s"), what, hint)


def _least_seconds(case: Case) -> float | None:
    """Return the seconds that prefill of all requests takes at least; None without facts of SKU and LLM."""
    if case.sku is None or case.llm is None:
        return None
    peaks = (case.sku.fp4_tflops, case.sku.fp8_tflops, case.sku.bf16_tflops)
    peak = max(one for one in peaks if one) * 1e12 * PEAK_SHARE
    client, (prompt, _) = case.recipe.client, mean_lengths(case.recipe)
    requests = (client.requests_per_conc + client.warmup_per_conc) * sum(case.recipe.conc)
    return requests * prompt * 2 * case.llm.parameters_active / (case.recipe.prefill.gpus * peak)


def _ready_before_deadline(case: Case) -> Iterator[Finding]:
    limits = case.recipe.limits
    if limits.ready_s >= limits.time_s:
        what = (
            f"limits.ready_s {limits.ready_s} leaves no time to measure within limits.time_s {limits.time_s}"
        )
        yield Finding(("limits", "ready_s"), what, "set it below limits.time_s")


def _frontend_files(case: Case) -> Iterator[Finding]:
    if case.conc <= ONE_FRONTEND:
        return
    needed = SOCKETS * case.conc + OTHER_FILES
    stated = case.recipe.versions.get("dynamo")
    version = release(stated) if stated else None
    if version is not None and version >= RAISES_LIMIT:
        hint = f"set DYN_FRONTEND_FD_LIMIT_TARGET to {needed}: the frontend takes {RAISED_TO} by itself"
    else:
        hint = f"run `ulimit -n {needed}` before the frontend; the usual limit is 1024"
    what = f"conc {case.conc} needs about {needed} open files (nofile) in the one frontend"
    yield Finding(("conc",), what, hint)


def _name(case: Case) -> Iterator[Finding]:
    name = case.recipe.id.rpartition(".")[2]
    found = SHAPE_IN_NAME.search(name)
    if found is None:
        return
    prefill, decode = case.recipe.prefill, case.recipe.decode
    shapes = [one for one in found[3].upper().split("-") if one]
    stated = [f"{found[1]}P{found[2]}D", *shapes]
    real = [f"{prefill.workers}P{decode.workers}D", *(case.recipe.pools[role].shape for role in ROLES)]
    if len(shapes) != 2:
        stated, real = stated[:1], real[:1]
    if stated != real:
        what = f"the file name says {stated[0]} {'/'.join(stated[1:])}".rstrip()
        is_really = f"{real[0]} {'/'.join(real[1:])}".rstrip()
        hint = "rename the file and list the former id under `was`, or correct the shape"
        yield Finding((), f"{what}, but the recipe is {is_really}", hint)


RULES = (
    Rule(
        id="deadline",
        scope="client",
        severity="error",
        what="limits.time_s is shorter than the requests of all concurrencies can take.",
        why=(
            "The bound is generous: prefill alone, 2 FLOP for each active parameter and prompt "
            "token, at half of the highest peak FLOP/s of the SKU on all prefill GPUs, warm-up "
            "included. Published prefill reaches a tenth of the peak, so a deadline that passes "
            "may still be too short. Silent without SKU or LLM."
        ),
        source="rows 7, 8 and 12 to 14 of the published study (reports/published): 9 to 10 % of the peak",
        find=_deadline,
    ),
    Rule(
        id="ready-before-deadline",
        scope="client",
        severity="error",
        what="limits.ready_s is not below limits.time_s.",
        why=(
            "A deployment that needs the time it is granted to become ready is ended before it is measured."
        ),
        source="NVIDIA/srt-slurm recipes: health_check (4 h) is part of slurm.time_limit (8 h)",
        find=_ready_before_deadline,
    ),
    Rule(
        id="frontend-files",
        scope="client",
        severity="warning",
        what=(
            "The largest concurrency is above what one frontend is known to serve with common "
            "limits of open files."
        ),
        why=(
            "A frontend holds about two sockets for each request. Where they run out it cannot "
            "accept connections, and floods its log. Dynamo 1.4.2 and later raise the soft limit, "
            "but to 8192 only; earlier releases keep the limit of the shell. One frontend is "
            "known to have served 8192 requests at once, so a larger concurrency is reported."
        ),
        source=(
            "ai-dynamo/dynamo#11801 and #11802; Dynamo 1.4.2, dynamo/frontend/main.py; InferenceX "
            "run 30495901633"
        ),
        find=_frontend_files,
    ),
    Rule(
        id="name-and-shape",
        scope="role",
        severity="warning",
        what="The file name states another shape than the recipe has.",
        why="The name is the id under which every result and report shows the deployment.",
        source="InferenceX tables of 2026-05-22: TP=8 for workers that were DEP4 (reports/published)",
        find=_name,
    ),
)
