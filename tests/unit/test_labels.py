"""Labels of a chart: the same places as if each were compared with everything, found in an index, and few enough to read."""

import random

from pipeline.analyse import analyse
from pipeline.render import charts
from pipeline.render.labels import Box, Boxes, place
from pipeline.render.theme import LIGHT
from tests.fakes.rows import recipe, report_data, row

FRAME = Box(0, 0, 860, 500)


def some_box(chance: random.Random) -> Box:
    left, top = chance.uniform(-90, 900), chance.uniform(-90, 600)
    return Box(left, top, left + chance.uniform(0, 120), top + chance.uniform(0, 40))


def test_the_index_gives_every_box_that_overlaps_and_few_others():
    chance = random.Random(6)  # noqa: S311
    boxes = Boxes()
    for _ in range(3_000):
        boxes.add(some_box(chance))
    seen = 0
    for _ in range(200):
        one = some_box(chance)
        near = boxes.near(one)
        seen += len(near)
        wanted = [other for other in boxes.boxes if one.overlap(other)]
        assert [other for other in near if one.overlap(other)] == wanted
    assert seen < 200 * len(boxes.boxes) / 10


def test_labels_of_a_crowded_line_are_placed_for_every_anchor():
    anchors = [(x / 2, 250 + x % 7) for x in range(400)]
    assert len(place(anchors, ["6P1D"] * 400, [anchors], FRAME)) == 400


def test_a_chart_of_many_points_labels_some_and_shows_all():
    chance = random.Random(7)  # noqa: S311
    made = [
        row(of, conc, (chance.uniform(100, 9_000), chance.uniform(10, 80)))
        for of in (recipe(f"{number}p1d-dep4-dep8", conc=tuple(range(1, 41))) for number in range(1, 31))
        for conc in of.conc
    ]
    values = charts.pareto(analyse(report_data(*made)), LIGHT)["data"]["values"]
    labelled = [value for value in values if value["label"]]
    assert len(values) == 1_200
    assert len(labelled) == charts.MOST_LABELS
    assert all(value["label"] for value in values if value["is_knot"]) or not any(
        value["label"] for value in values if not value["is_knot"]
    )
    assert all({"label_x", "label_y", "leader_y", "align", "is_far"} <= value.keys() for value in values)
