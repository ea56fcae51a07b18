"""What strangers can hand to a check: each target takes one changed input and raises when it is not handled.

Handled is a result, or an error of the project with its exit code; nothing else, and no traceback.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import random
import re
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

from pipeline import cli, load, store
from pipeline.calibrate import COLUMNS
from pipeline.deployment import hbm
from pipeline.errors import PipelineError
from pipeline.fetch.unpack import unpack
from pipeline.flow.published import points_of
from pipeline.llms import Stated, checkpoint, document
from pipeline.plaintext import CONTROLS, MOST, lines, one_line
from pipeline.publish import foreign
from pipeline.schema.report import ReportData
from tests.fakes import recipe_set as small
from tests.fakes import results
from tests.fuzz import mutations

ROOT = Path(__file__).parents[2]
BUG = 1  # the exit code of what nobody expected
SELECTS = (
    "select recipe, conc, total_tok_s_gpu from points where status = 'ok' order by conc limit 3",
    "select sku, count(*) n, max(total_tok_s_gpu) from points group by sku having n > 0",
    "with p as (select * from points) select * from p where date > date '2026-01-01' -- a comment",
)


def recipes(chance: random.Random) -> None:
    """A recipe, its base, its LLM, SKUs or cluster: examined, and its memory estimated."""
    which = chance.choice(("recipe", "base", "llm", "skus", "cluster"))
    original = {"recipe": small.RECIPE, "base": small.BASE, "llm": small.LLM}
    original |= {"skus": small.SKUS, "cluster": small.CLUSTER}
    changed = mutations.text(chance, original[which])
    files = small.texts(**{which: changed}).items()
    found, problems = load.examine({name: one.encode("utf-8", "surrogateescape") for name, one in files})
    for problem in problems:
        assert str(problem).rstrip() == one_line(str(problem), 10**6)
    for recipe in found.recipes.values():
        sku, llm = found.catalogue.sku(recipe.sku), found.catalogue.llms.get(recipe.model)
        if sku is not None and llm is not None and recipe.precision in llm.precisions and not problems:
            hbm.role_fits(recipe, sku, llm)


def artifacts(chance: random.Random) -> None:
    """A result folder whose documents are changed and whose checksums are right: stored, or refused alone."""
    with tempfile.TemporaryDirectory() as folder:
        place = _result(Path(folder), chance)
        history = Path(folder) / "history"
        code = _run("ingest", str(place.parent), "--history", str(history))
        if code == 0:
            _run("query", "select * from points", "--history", str(history))
            _run("report", str(ROOT / "reports/gb300-vs-gb200.yaml"), "--history", str(history))


def _result(folder: Path, chance: random.Random) -> Path:
    place = results.folder(folder / "results")
    path = place / chance.choice(("job.json", "results.json"))
    changed = mutations.value(chance, json.loads(path.read_text()))
    with contextlib.suppress(UnicodeEncodeError):  # such a file cannot be
        path.write_text(json.dumps(changed, ensure_ascii=chance.random() < 0.5))
    sums = place / "SHA256SUMS"
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    sums.write_text(re.sub(rf"\w{{64}}(?=  {path.name}\b)", digest, sums.read_text()))
    return place


def tables(chance: random.Random) -> None:
    """A CSV of points: read by iso, lint and calibrate."""
    changed = mutations.text(chance, chance.choice(_tables()))
    with contextlib.suppress(PipelineError):
        points_of(changed, where="points.csv")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "points.csv"
        path.write_bytes(changed.encode("utf-8", "surrogateescape"))
        _run("iso", str(path), "--at", "16,20,27", "--json")
        _run("lint", str(path))


@cache
def _tables() -> tuple[str, ...]:
    points = "deepseek-v4-pro,fp4,gb200-nvl72,8192,1024,{},{},41.2,1,1,8,8,1,1,8,8"
    rows = [points.format(conc, rate) for conc, rate in ((256, 3148.0), (512, 5336.2), (1024, 6036.2))]
    head = "sku,conc,prefill_gpus,decode_gpus,interactivity,total_tok_s_gpu,tpot_p50_ms,status"
    plain = [f"gb{sku},{conc},8,8,{speed},{rate},{1000 / speed},ok" for sku, conc, speed, rate in PLAIN]
    return (
        "\n".join([",".join(COLUMNS), *rows]) + "\n",
        "\n".join([head, *plain]) + "\n",
    )


PLAIN = (
    (200, 256, 24.0, 3148.0),
    (200, 512, 21.0, 5336.0),
    (300, 192, 36.0, 1920.0),
    (300, 4096, 14.0, 10853.0),
)


def queries(chance: random.Random) -> None:
    """SQL on a small history: an answer or a refusal, and valid JSON."""
    sql = mutations.text(chance, chance.choice(SELECTS))
    with contextlib.suppress(PipelineError):
        json.dumps(store.query(_history().name, sql), allow_nan=False)


@cache
def _history() -> tempfile.TemporaryDirectory[str]:
    folder = tempfile.TemporaryDirectory(prefix="fuzz-")  # removed when this process ends
    store.ingest(folder.name, [results.result_folder()])
    return folder


def configurations(chance: random.Random) -> None:
    """A config.json of an LLM."""
    path = chance.choice(sorted((ROOT / "tests/fixtures/configs").glob("*.json")))
    with contextlib.suppress(PipelineError):
        found = checkpoint(mutations.value(chance, json.loads(path.read_text())), where="config.json")
        document([found], Stated("a", "A", "a/b", "a test", 1.0, 4.2)).to_json()


def archives(chance: random.Random) -> None:
    """A zip of an artifact: unpacked below its folder, or refused."""
    with tempfile.TemporaryDirectory() as folder:
        packed, target = Path(folder) / "a.zip", Path(folder) / "out"
        packed.write_bytes(mutations.content(chance, _zip()))
        with contextlib.suppress(PipelineError):
            unpack(packed, target, where="a.zip")
        outside = [path for path in Path(folder).iterdir() if path not in (packed, target)]
        assert not outside, outside


@cache
def _zip() -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("job.json", "raw/logs/prefill-0.log.gz", "SHA256SUMS"):
            archive.writestr(name, f"{name}\n" * 30)
    return packed.getvalue()


def texts(chance: random.Random) -> None:
    """Text of strangers: one safe line, or safe lines, whatever it is."""
    parts = [str(mutations.scalar(chance)) for _ in range(chance.randint(1, 40))]
    whole = chance.choice(("", " ", "\n", "`", "<")).join(parts)
    line = one_line(whole)
    assert len(line) <= MOST
    assert not CONTROLS.search(line)
    assert "##[" not in line
    assert not line.lstrip().startswith("::")
    for one in foreign.without_mentions(lines(whole)).split("\n"):
        assert not one.lstrip().startswith("::")
        assert "##[" not in one


def documents(chance: random.Random) -> None:
    """The data of a kept report: read, or refused."""
    changed = mutations.value(chance, _kept())
    with contextlib.suppress(PipelineError):
        ReportData.from_json(json.dumps(changed).encode("utf-8", "surrogateescape"), where="data.json")


@cache
def _kept() -> Any:
    return json.loads((ROOT / "reports/gb300-vs-gb200/data.json").read_text())


def _run(*words: str) -> int:
    """Return the exit code of a verb; raise AssertionError with its traceback when it is a bug."""
    with _quiet() as told, tempfile.TemporaryDirectory() as out:
        more = ["--out", f"{out}/out"] if words[0] == "report" else []
        code = cli.run([*words, *more], {})
    assert code != BUG, told.getvalue()
    return code


@contextlib.contextmanager
def _quiet() -> Iterator[io.StringIO]:
    told = io.StringIO()
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(told):
        yield told


# What a target costs differs: the number of cases of a round.
TARGETS: dict[Callable[[random.Random], None], int] = {
    recipes: 20,
    artifacts: 4,
    tables: 4,
    queries: 8,
    configurations: 40,
    archives: 40,
    texts: 40,
    documents: 2,
}
