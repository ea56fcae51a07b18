"""A published study in the form that ingest stores: one result folder per recipe, rows as stated, origin ``published``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from pipeline.errors import ArtifactError
from pipeline.schema.base import digest
from pipeline.schema.plan import Job
from pipeline.schema.published import PublishedRow, StatedPoint, StatedStatistics, Study
from pipeline.schema.recipe import Recipe
from pipeline.schema.result import JobRecord, Provenance, ResultFolder


def result_folders(study: Study, recipes: Mapping[str, Recipe], *, where: str) -> list[ResultFolder]:
    """Return the rows with a recipe as one result folder per recipe.

    ArtifactError lists the rows that do not match theirs.
    """
    problems = [f"{row.name}: {why}" for row in study.rows if (why := _mismatch(study, row, recipes))]
    if problems:
        hint = (
            "name in each row the recipe that deploys it; a row without `recipe` is checked, but not stored"
        )
        raise ArtifactError("; ".join(problems), where=where, hint=hint)
    by_recipe: dict[str, list[PublishedRow]] = {}
    for row in study.rows:
        if row.recipe is not None:
            by_recipe.setdefault(row.recipe, []).append(row)
    if not by_recipe:
        raise ArtifactError(
            "no row names a recipe", where=where, hint="add `recipe: ID` to each row that a recipe deploys"
        )
    return [_result_folder(study, recipes[recipe], rows) for recipe, rows in by_recipe.items()]


def _point(row: PublishedRow, gpus_held: int) -> StatedPoint:
    return StatedPoint(
        conc=row.conc,
        gpus_prefill=row.gpus_prefill,
        gpus_decode=row.gpus_decode,
        gpus_held=gpus_held,
        total_tok_s_gpu=row.total_tok_s_gpu,
        interactivity_as_printed=row.interactivity_as_printed,
        tpot_ms=StatedStatistics(p50=row.tpot_p50_ms),
        ttft_ms=StatedStatistics(p50=row.ttft_p50_ms),
        usd_per_mtok_as_printed=row.usd_per_mtok,
    )


def _result_folder(study: Study, recipe: Recipe, rows: Sequence[PublishedRow]) -> ResultFolder:
    job = Job(
        id=recipe.id,
        recipe=recipe,
        deployment_digest=recipe.deployment_digest,
        environment={},
        hbm=(),
        gpu_hours=None,
    )
    day = f"{study.measured_on}T00:00:00+00:00"
    provenance = Provenance(
        run_id=study.run_id,
        attempt=1,
        plan_id="published",
        git_sha=None,
        git_dirty=False,
        cluster=study.source,
        origin="published",
        measure="article",
        requests_per_conc=study.requests_per_conc,
        seed=recipe.client.seed,
        versions=study.versions,
        host=None,
        started_at=day,
        finished_at=day,
    )
    content = [provenance.model_dump(mode="json"), *(row.model_dump(mode="json") for row in rows)]
    return ResultFolder(
        folder=f"published-{study.run_id}-1-{recipe.id}",
        record=JobRecord(job=job, provenance=provenance),
        points=tuple(_point(row, row.gpus_held or 0) for row in rows),
        sums_sha256=digest(content),
    )


def _mismatch(study: Study, row: PublishedRow, recipes: Mapping[str, Recipe]) -> str:
    """Return how a row differs from its recipe; empty without a difference or a recipe."""
    if row.recipe is None:
        return ""
    recipe = recipes.get(row.recipe)
    return f"no recipe {row.recipe}" if recipe is None else "; ".join(_differences(study, row, recipe))


def _differences(study: Study, row: PublishedRow, recipe: Recipe) -> Iterator[str]:
    lengths = (study.lengths.isl, study.lengths.osl) if study.lengths else None
    stated = (study.model, study.precision, lengths, row.sku, row.gpus_prefill, row.gpus_decode)
    own_lengths = (recipe.workload.isl, recipe.workload.osl)
    own = (recipe.model, recipe.precision, own_lengths, recipe.sku, recipe.prefill.gpus, recipe.decode.gpus)
    names = ("model", "precision", "isl and osl", "sku", "prefill GPUs", "decode GPUs")
    for name, in_row, in_recipe in zip(names, stated, own, strict=True):
        if in_row != in_recipe:
            yield f"{name} {in_row}, its recipe has {in_recipe}"
    if row.gpus_held is None:
        yield "gpus_held is missing"
    if row.conc not in recipe.conc:
        yield f"conc {row.conc}, its recipe has {', '.join(map(str, recipe.conc))}"
    for role, pool in (("prefill", row.prefill), ("decode", row.decode)):
        has = getattr(recipe, role)
        if pool is not None and (pool.workers, pool.shape, pool.gpus) != (has.workers, has.shape, has.gpus):
            yield f"{role} {pool.workers} x {pool.shape}, its recipe has {has.workers} x {has.shape}"
