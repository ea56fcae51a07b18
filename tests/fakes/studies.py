"""A small published study of two racks: say what a test is about, the rest is consistent with itself."""

from __future__ import annotations

import json
from typing import Any

from pipeline.schema.claims import Assertion
from pipeline.schema.published import PointTable, PublishedIso, PublishedIsoRow, PublishedRow, Study
from pipeline.schema.recipe import WorkerPool
from tests.fakes.rows import GB200, GB300, PREFIX

DEP4 = WorkerPool(workers=1, tp=1, pp=1, dp=4, ep=4)


def row(
    sku: str = GB300, conc: int = 48, speed: float = 1000.0, user: float = 20.0, **changed: Any
) -> PublishedRow:
    """A row of 1P1D DEP4/DEP4: tok/s/GPU, and a tok/s/user that is 1000 / TPOT; conc is what Little's law allows."""
    fields: dict[str, Any] = {
        "recipe": None,
        "sku": sku,
        "conc": conc,
        "gpus_prefill": 4,
        "gpus_decode": 4,
        "gpus_held": 12,
    }
    fields |= {
        "prefill": DEP4,
        "decode": DEP4,
        "total_tok_s_gpu": speed,
        "interactivity_as_printed": user,
        "tpot_p50_ms": 1000 / user,
    }
    return PublishedRow(**{**fields, **changed})


def recipe_id(sku: str = GB300) -> str:
    return f"{PREFIX}.{sku}.8k1k.1p1d-dep4-dep4"


def points(*rows: PublishedRow) -> PointTable:
    return PointTable(
        decimals={"total_tok_s_gpu": 1, "interactivity_as_printed": 2, "tpot_p50_ms": 2, "usd_per_mtok": 2},
        rows=rows
        or (
            row(GB200, 30, 800.0, 25.0),
            row(GB200, 83, 900.0, 10.0),
            row(GB300, 38, 1000.0, 25.0),
            row(GB300, 165, 1800.0, 10.0),
        ),
    )


def iso(*rows: PublishedIsoRow) -> PublishedIso:
    return PublishedIso(
        axis="interactivity_as_printed",
        skus=(GB200, GB300),
        decimals={"total_tok_s_gpu": 0, "usd_per_mtok": 2, "ratio": 2},
        rows=rows,
    )


def iso_row(
    label: str = "20", speeds: tuple[float, float] = (800.0, 1000.0), **changed: Any
) -> PublishedIsoRow:
    return PublishedIsoRow(label=label, total_tok_s_gpu=speeds, **changed)


def claim(says: Any, **changed: Any) -> Assertion:
    fields = {
        "id": "A1",
        "claim": "a claim",
        "where": "the text",
        "check": says,
        "evidence": "as computed",
        **changed,
    }
    return Assertion.model_validate_json(json.dumps(fields))


def study(**changed: Any) -> Study:
    fields: dict[str, Any] = {
        "title": "One rack against another",
        "source": "somebody",
        "url": "https://example.org/study",
        "measured_on": "2026-05-22",
        "published_on": "2026-05-26",
        "run_id": "777",
        "requests_per_conc": 10,
        "model": "deepseek-v4-pro",
        "precision": "fp4",
        "lengths": {"isl": 8192, "osl": 1024, "mean": 0.9},
        "statistics": {"interactivity_as_printed": "median", "tpot_p50_ms": "median"},
        "usd_per_gpu_hour": {GB200: 2.21, GB300: 2.652},
        "points": points(),
    }
    return Study.model_validate({**fields, **changed})
