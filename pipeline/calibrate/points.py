"""Points to fit, from a CSV with one row per point that states the worker shapes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from pipeline.errors import Problem, RecipeError
from pipeline.schema import numbers
from pipeline.schema.published import Study
from pipeline.schema.recipe import Recipe, WorkerPool

SHAPE = tuple(f"{role}_{field}" for role in ("prefill", "decode") for field in ("workers", "tp", "dp", "ep"))
TEXTS, NUMBERS = ("model", "precision", "sku"), ("isl", "osl", "conc", "total_tok_s_gpu", "tpot_ms")
COLUMNS = (*TEXTS, *NUMBERS, *SHAPE)


@dataclass(frozen=True, slots=True)
class GivenPoint:
    """One given point: nominal lengths, rates in tok/s/GPU over counted GPUs, median TPOT in ms."""

    line: int
    model: str
    precision: str
    sku: str
    isl: int
    osl: int
    conc: int
    prefill: WorkerPool
    decode: WorkerPool
    total_tok_s_gpu: float
    tpot_ms: float
    ttft_ms: float | None = None  # median; where the source states it
    recipe: str | None = None  # id of the recipe that deployed it, where the source states it

    def is_of(self, recipe: Recipe, sku: str) -> bool:
        """Return whether a recipe for ``sku`` has this LLM, precision, workload, shape and concurrency."""
        own = (sku, self.model, self.precision, self.isl, self.osl)
        workload = recipe.workload
        return (
            own == (recipe.sku, recipe.model, recipe.precision, workload.isl, workload.osl)
            and self.conc in recipe.conc
            and _shape(self.prefill) == _shape(recipe.prefill)
            and _shape(self.decode) == _shape(recipe.decode)
        )


def read_points(rows: Iterable[tuple[int, Mapping[str, str]]], *, where: str) -> list[GivenPoint]:
    """Return the point of every row, a line number and its cells; RecipeError with every wrong cell at its line."""
    points, problems = [], []
    for line, cells in rows:
        try:
            points.append(_given(line, cells))
        except ValueError as error:
            problems.append(Problem(where, line, 1, str(error), "give a positive number, or a name"))
    if problems:
        raise RecipeError(problems)
    return points


def given_points(study: Study, lines: Sequence[int]) -> list[GivenPoint]:
    """Return the rows of a study that state their workers and their TPOT.

    ``lines`` are the line numbers of its rows. There are none where the study does not state its lengths.
    """
    lengths = study.lengths
    return [
        GivenPoint(
            line,
            study.model,
            study.precision,
            row.sku,
            lengths.isl,
            lengths.osl,
            row.conc,
            row.prefill,
            row.decode,
            row.total_tok_s_gpu,
            row.tpot_p50_ms,
            row.ttft_p50_ms,
            row.recipe,
        )
        for line, row in zip(lines, study.rows, strict=True)
        if lengths and row.prefill and row.decode and row.tpot_p50_ms
    ]


def _given(line: int, cells: Mapping[str, str]) -> GivenPoint:
    def number(column: str) -> float:
        value = numbers.figure(cells[column])
        if value is None or value <= 0:
            raise ValueError(f"{column} is {cells[column]!r}")
        return value

    def whole(column: str) -> int:
        value = numbers.count(cells[column])
        if value is None or value <= 0:
            raise ValueError(f"{column} is {cells[column]!r}, not a positive integer")
        return value

    def pool(role: str) -> WorkerPool:
        return WorkerPool(
            pp=1, **{field: whole(f"{role}_{field}") for field in ("workers", "tp", "dp", "ep")}
        )

    for column in TEXTS:
        if not cells[column]:
            raise ValueError(f"{column} is empty")
    return GivenPoint(
        line,
        cells["model"],
        cells["precision"],
        cells["sku"],
        whole("isl"),
        whole("osl"),
        whole("conc"),
        pool("prefill"),
        pool("decode"),
        number("total_tok_s_gpu"),
        number("tpot_ms"),
        number("ttft_ms") if cells.get("ttft_ms") else None,
    )


def _shape(pool: WorkerPool) -> tuple[int, ...]:
    return (pool.workers, pool.tp, pool.pp, pool.dp, pool.ep)
