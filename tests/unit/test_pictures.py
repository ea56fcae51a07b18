"""Pictures of the comparison, as the documents that they are drawn from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pipeline.analyse import analyse
from pipeline.render.bars import ttft
from pipeline.render.charts import NARROW, pareto
from pipeline.render.memory import shapes
from pipeline.render.radar import radar
from pipeline.render.ratios import ratios
from pipeline.render.theme import DARK, LIGHT
from pipeline.schema.report import Report, ReportData

KEPT = Path(__file__).parents[2] / "reports" / "gb300-vs-gb200" / "data.json"


@pytest.fixture(scope="module")
def kept() -> Report:
    return analyse(ReportData.from_json(KEPT.read_bytes(), where=str(KEPT)))


def layer(spec: dict[str, Any], mark: str) -> dict[str, Any]:
    """The first layer of a mark."""
    return next(one for one in spec["layer"] if one["mark"]["type"] == mark)


def test_only_the_kind_that_is_read_has_labels_and_a_solid_line(kept: Report) -> None:
    spec = pareto(kept, LIGHT)
    by_kind = {(value["origin"], value["is_main"], "label_x" in value) for value in spec["data"]["values"]}
    assert by_kind == {("simulated", True, True), ("published", False, False)}
    dash = layer(spec, "line")["encoding"]["strokeDash"]["scale"]
    assert [kind.split(" ")[0] for kind in dash["domain"]] == ["simulated", "published"]
    assert dash["range"][0] == [1, 0]
    assert dash["range"][1] != [1, 0]


def test_a_reader_may_choose_sku_and_origin(kept: Report) -> None:
    chosen = {one["name"]: one["bind"]["options"] for one in pareto(kept, LIGHT)["params"]}
    assert chosen == {
        "sku": ["all", "GB200 NVL72", "GB300 NVL72"],
        "origin": ["all", "simulated", "published"],
    }


def test_on_a_narrow_page_the_picture_is_narrow_and_its_labels_are_short(kept: Report) -> None:
    spec = pareto(kept, DARK.narrow())
    assert (spec["width"], spec["height"]) == NARROW
    assert {value["label"] for value in spec["data"]["values"] if value["is_main"]} >= {"6P1D", "1P17D"}
    assert max(len(line) for line in spec["title"]["text"] + spec["title"]["subtitle"]) <= 52


def test_every_polygon_of_the_radar_closes(kept: Report) -> None:
    corners = layer(radar(kept, LIGHT), "point")["data"]["values"]
    for title in kept.sku_titles.values():
        own = [corner for corner in corners if corner["SKU"] == title]
        assert len(own) == 9
        assert (own[0]["x"], own[0]["y"]) == (own[-1]["x"], own[-1]["y"])
        assert [corner["order"] for corner in own] == sorted(corner["order"] for corner in own)


def test_the_longest_spoke_is_the_maximum_and_points_up_first(kept: Report) -> None:
    corners = layer(radar(kept, LIGHT), "point")["data"]["values"]
    top = next(corner for corner in corners if corner["SKU"] == "GB300 NVL72")
    assert (top["specification"], top["x"], top["y"]) == ("HBM", pytest.approx(0, abs=1e-9), 1.0)
    assert max(corner["x"] ** 2 + corner["y"] ** 2 for corner in corners) == pytest.approx(1.0)


def test_a_worker_that_does_not_fit_says_so_and_has_no_room(kept: Report) -> None:
    gb200, gb300 = (panel["data"]["values"] for panel in shapes(kept, LIGHT)["vconcat"])
    tp4 = {value["part"]: (value["gb"], value["label"]) for value in gb200 if value["worker"] == "TP4"}
    assert tp4["left for KV cache"] == (0.0, "does not fit: weights take 108.4 %")
    fits = {value["part"]: value["label"] for value in gb300 if value["worker"] == "TP4"}
    assert fits["left for KV cache"] == "45.8 GB for KV cache"


def test_waits_of_other_kinds_are_marks_on_the_bar_of_a_deployment_and_never_lengthen_it(
    kept: Report,
) -> None:
    """Two bars in one row would be stacked: 117.7 s published and 116.2 s simulated would look like 234 s."""
    gb200, gb300 = ttft(kept, LIGHT)["vconcat"]
    rows = [value["row"] for value in gb200["data"]["values"] if value["is_main"]]
    assert len(rows) == len(set(rows)) == 8
    others = [value for value in gb200["data"]["values"] if not value["is_main"]]
    assert {value["row"] for value in others} == set(rows)
    assert all(value["is_main"] for value in gb300["data"]["values"])
    marks = {one["mark"]["type"]: one.get("transform") for one in gb200["layer"]}
    assert marks["bar"] == marks["tick"] == [{"filter": "datum.is_main"}]
    assert marks["point"] == [{"filter": "!datum.is_main"}]
    texts = [value["row"] for value in gb200["data"]["values"] if value["text"]]
    assert sorted(texts) == sorted(rows)
    assert ttft(kept, LIGHT)["title"]["subtitle"][1].startswith("hollow: p50, published (article")


def test_the_ratio_stands_against_level_and_each_ceiling(kept: Report) -> None:
    spec = ratios(kept, LIGHT)
    rules = layer(spec, "rule")["data"]["values"]
    assert [rule["label"] for rule in rules] == [
        "level: the same cost per token",
        "1.25× limit: compute or capacity",
        "0.83× limit: bandwidth or exchange between GPUs",
    ]
    lines = layer(spec, "line")["data"]["values"]
    assert {value["kind"].split(" ")[0] for value in lines} == {"simulated", "published"}
    low, high = layer(spec, "line")["encoding"]["y"]["scale"]["domain"]
    assert all(low < value["ratio"] < high for value in lines)


def test_the_peak_of_the_drawn_ratio_is_the_one_in_the_text(kept: Report) -> None:
    values = layer(ratios(kept, LIGHT), "line")["data"]["values"]
    inside = [value["ratio"] for value in values if value["kind"].startswith("published") and value["x"] < 60]
    assert max(inside) == pytest.approx(2.814 / 1.2, abs=0.01)
