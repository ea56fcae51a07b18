"""Pages: the same bytes for the same report, words for what is absent, and nothing from outside that is taken for markup."""

from __future__ import annotations

import json
import re
from itertools import pairwise
from typing import Any

import pytest

from pipeline.analyse import analyse
from pipeline.render import headline, render
from pipeline.render.charts import pareto
from pipeline.render.labels import Box, place
from pipeline.render.tables import bill, changed, iso, points
from pipeline.render.text import as_html, best, code, number, plain, signed
from pipeline.render.theme import LIGHT
from pipeline.schema.report import Report
from pipeline.schema.timing import PointError
from tests.fakes.rows import GB200, GB300, definition, hbm, recipe, report_data, row, timing

EVIL = "<script>alert(1)</script> | *x*"


def report(**changed_data: Any) -> Report:
    fast, old = recipe("6p1d-dep4-dep8"), recipe("3p1d-dep8-dep8", sku=GB200)
    few = recipe("1p17d-tep4-tp4", conc=(18,))
    planted = recipe("6p1d-dep4-dep8", decode_flags={"max-num-seqs": 256})
    error = {"recipe": fast.id, "sku": GB300, "conc": 4096, "total_tok_s_gpu": 11_000.0, "tpot_ms": 77.0}
    fitted = PointError(**error, fitted_total_tok_s_gpu=11_220.0, fitted_tpot_ms=76.0)
    rows = (
        row(planted, 4096, (8_822.0, 15.0), ttft_s=27.0, hbm=(hbm(),)),
        row(old, 4096, (8_900.0, 15.0), ttft_s=64.0),
    )
    before = (row(fast, 4096, (11_000.0, 13.0), run="100"), row(old, 4096, (8_900.0, 15.0), run="100"))
    data = report_data(*rows, row(few, 18, (138.8, 73.43)), previous=before, timing=timing(fitted))
    return analyse(data.model_copy(update=changed_data))


@pytest.fixture(scope="module")
def files() -> dict[str, bytes]:
    return render(report())


def test_the_same_report_gives_the_same_bytes(files: dict[str, bytes]) -> None:
    assert render(report()) == files


def test_the_files_of_a_report(files: dict[str, bytes]) -> None:
    pictures = {
        f"{name}{theme}.svg" for name in ("pareto", "ttft", "hbm", "calibration") for theme in ("", "-dark")
    }
    assert set(files) == {"README.md", "index.html", "pareto.png", *pictures}
    assert files["pareto.png"].startswith(b"\x89PNG")
    assert all(files[name].startswith(b"<svg") for name in pictures)


def test_the_verdict_is_the_first_line_and_the_banner_follows(files: dict[str, bytes]) -> None:
    lines = files["README.md"].decode().splitlines()
    assert (
        lines[0]
        == "# 🔴 GB300 NVL72 6P1D DEP4/DEP8 c4096 slower by 19.8 %: decode.flags.max-num-seqs 512 → 256 (simulated)"
    )
    assert lines[4].startswith("> **simulated: Dynamo's scheduler in virtual time")


def test_the_headline_for_a_terminal_is_not_escaped() -> None:
    failed = row(recipe("5p1d-dep4-dep8"), 4096, failure="a_b", origin="measured")
    before = row(recipe("5p1d-dep4-dep8"), 4096, (1.0, 1.0), origin="measured")
    said = headline(analyse(report_data(failed, previous=(before,))))
    assert (
        said
        == "🟡 0/1 deployments · 0/1 points · 1 failed (5p1d-dep4-dep8) · no verdict for 1 point: failed now: a_b"
    )


def test_every_picture_of_the_page_is_among_the_files(files: dict[str, bytes]) -> None:
    named = re.findall(r'(?:src|srcset)="([^"]+)"', files["README.md"].decode())
    assert len(named) == 8
    assert set(named) <= set(files)


def test_markdown_tables_have_as_many_cells_as_headers_and_at_most_eight(files: dict[str, bytes]) -> None:
    tables = re.findall(r"(?:^\|.*\n)+", files["README.md"].decode(), flags=re.MULTILINE)
    assert len(tables) > 8
    for table in tables:
        widths = {len(re.findall(r"(?<!\\)\|", line)) - 1 for line in table.splitlines()}
        assert len(widths) == 1
        assert widths.pop() <= 8


def test_the_page_asks_nothing_of_the_network(files: dict[str, bytes]) -> None:
    page = re.sub(r"<script>.*?</script>", "", files["index.html"].decode(), flags=re.DOTALL)
    assert not re.search(r'(?:src|href)="(?!data:)', page)
    specs = re.search(r'<script id="specs"[^>]*>(.*?)</script>', page, flags=re.DOTALL)
    assert specs is not None
    assert set(json.loads(specs.group(1))) == {"pareto", "ttft", "hbm", "calibration"}
    assert "prefers-color-scheme: dark" in page


def test_text_from_outside_is_shown_and_never_run() -> None:
    failed = row(recipe("5p1d-dep4-dep8"), 4096, failure=EVIL)
    shown = render(analyse(report_data(failed, definition=definition(title=EVIL))))
    page = re.sub(r"<script>(?!alert).*?</script>", "", shown["index.html"].decode(), flags=re.DOTALL)
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt; | *x*" in page
    assert "\\<script>alert(1)\\</script> \\| \\*x\\*" in shown["README.md"].decode()


def test_a_night_on_which_nothing_ran_is_still_a_page() -> None:
    page = render(analyse(report_data(row(recipe(), 4096, failure="never ready"))))["README.md"].decode()
    assert page.startswith(
        "# 🟡 0/1 deployments · 0/1 points · 1 failed (6p1d-dep4-dep8) · no earlier run to compare with\n"
    )
    assert "## Points\n\n_not run_\n" in page
    assert "| 16 | _unreachable_ | _unreachable_ | _unreachable_ |" in page


def test_the_table_of_curves() -> None:
    (table,) = iso(report(definition=definition(interactivity=(15.0, 27.0))))
    assert table.headers == (
        "tok/s/user",
        "GB200 NVL72 tok/s/GPU",
        "GB300 NVL72 tok/s/GPU",
        "ratio",
        "GB200 NVL72 $/Mtok",
        "GB300 NVL72 $/Mtok",
        "$ ratio",
    )
    assert table.rows == (
        ("15", "**8,900**", "8,822", "0.99×", "**0.069**", "0.084", "0.83×"),
        ("27", "_unreachable_", "≈ 7,039", "_unreachable_", "_unreachable_", "≈ 0.105", "_unreachable_"),
    )


def test_a_table_of_points_withholds_p99_of_few_requests() -> None:
    gb300 = report().curves[1]
    assert points(gb300).rows == (
        ("6P1D DEP4/DEP8", "4096", "8,822.0", "15.00", "27.0", "54.0", "0.084", "32 / 36"),
        ("1P17D TEP4/TP4", "18", "138.8", "73.43", "1.0", "_n < 662_", "5.307", "72 / 76"),
    )


def test_what_could_not_be_judged_is_said_of_the_point() -> None:
    whole, short = row(recipe(), 4096, (11_000.0, 13.0)), row(recipe(conc=(512,)), 512, (6_000.0, 20.0))
    assert short.point is not None
    cut = short.model_copy(
        update={"point": short.point.model_copy(update={"not_evaluated": ("concurrency: no steady window",)})}
    )
    (curve,) = analyse(report_data(whole, cut)).curves
    assert [cells[-1] for cells in bill(curve).rows] == [
        "_none_",
        "concurrency: no steady window",
    ]


def test_the_table_of_changes_names_the_field() -> None:
    rows = changed(report()).rows
    first = (
        "🔴 worse",
        "GB300 NVL72",
        "6P1D DEP4/DEP8 c4096",
        "11,000.0",
        "8,822.0",
        "−19.8 %",
        "+2,600.0 %",
        "`decode.flags.max-num-seqs` 512 → 256",
    )
    new = (
        "🟡 unknown",
        "GB300 NVL72",
        "1P17D TEP4/TP4 c18",
        "_unknown_",
        "138.8",
        "_unknown_",
        "_unknown_",
        "no earlier run of this point",
    )
    assert rows == (first, new)


def test_the_picture_shows_knots_dominated_points_and_the_night_before() -> None:
    spec = pareto(report(), LIGHT)
    assert [(value["deployment"], value["is_knot"]) for value in spec["data"]["values"]] == [
        ("3P1D DEP8/DEP8 c4096", True),
        ("6P1D DEP4/DEP8 c4096", True),
        ("1P17D TEP4/TP4 c18", True),
    ]
    ghosts = [layer["data"]["values"] for layer in spec["layer"] if "data" in layer]
    assert ghosts[0][0]["before"] == "6P1D DEP4/DEP8 c4096: 11,000.0 tok/s/GPU in run 100"
    assert spec["title"]["subtitle"][0].startswith("simulated (replay, 10 × conc requests)")
    assert "font" not in json.dumps(spec["config"]).replace("fontSize", "").replace("FontSize", "").replace(
        "FontWeight", ""
    )


def test_labels_do_not_cover_each_other() -> None:
    anchors = [(100.0 + 4 * step, 100.0) for step in range(6)]
    labels = place(anchors, ["6P1D DEP4/DEP8"] * 6, [], Box(0, 0, 400, 300))
    assert len({(label.x, label.y) for label in labels}) == 6
    tops = sorted(label.y for label in labels if label.align == "left")
    assert all(below - above >= 13 for above, below in pairwise(tops))


@pytest.mark.parametrize(
    ("value", "quantity", "text"),
    [
        (11055.649, "tok_s_gpu", "11,055.6"),
        (74.13, "interactivity", "74.13"),
        (0.06872, "usd_per_mtok", "0.069"),
        (57_849.0, "seconds", "57.8"),
        (2.8197, "ratio", "2.82×"),
        (27.25, "grid", "27.25"),
        (None, "ratio", "_unknown_"),
    ],
)
def test_a_number_in_the_format_of_its_quantity(value: float | None, quantity: str, text: str) -> None:
    assert number(value, quantity) == text


def test_a_change_has_a_sign_and_zero_has_none() -> None:
    assert [signed(change) for change in (0.0123, -0.198, 0.0004, -0.0004, 0.0)] == [
        "+1.2 %",
        "−19.8 %",
        "0.0 %",
        "0.0 %",
        "0.0 %",
    ]


def test_the_best_is_bold_unless_all_print_alike() -> None:
    assert best([1.2, 3.4, None], "ratio") == ["1.20×", "**3.40×**", "_unknown_"]
    assert best([0.0731, 0.0729], "usd_per_mtok", lowest=True) == ["0.073", "0.073"]


@pytest.mark.parametrize("text", [EVIL, "a_b_c", "`x`", "[a](http://b)", r"back\slash", "~~x~~ #1 @someone"])
def test_escaped_markdown_reads_as_it_was_written(text: str) -> None:
    assert as_html(plain(text)).unescape() == text


def test_a_pipe_in_code_does_not_break_a_table() -> None:
    assert code("a|`b`\nc") == r"`a\|'b' c`"
    assert as_html(code("a|b")) == "<code>a|b</code>"
