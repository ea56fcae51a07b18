"""Placement of the labels of a scatter plot: clear of points, lines and each other where there is room."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import pairwise
from typing import Literal

CHARACTER, LINE = 5.9, 13.0  # px of the renderer's own font at size 10.5
DIRECTIONS = ((1, 0), (1, -1), (1, 1), (-1, 0), (-1, 1), (-1, -1), (0, -1), (0, 1))
DISTANCES = (9, 18, 30, 44, 60)
CELL = 24.0  # px of a cell of the index
SAMPLES = 24  # points at which a segment of a line is tested

Align = Literal["left", "right", "center"]


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle in pixels; y grows downwards."""

    left: float
    top: float
    right: float
    bottom: float

    def overlap(self, other: Box) -> float:
        """Return the area in common, px²."""
        width = min(self.right, other.right) - max(self.left, other.left)
        height = min(self.bottom, other.bottom) - max(self.top, other.top)
        return max(0.0, width) * max(0.0, height)


@dataclass(slots=True)
class Boxes:
    """Rectangles by the cells of a grid that they touch."""

    boxes: list[Box] = field(default_factory=list)
    cells: dict[tuple[int, int], list[int]] = field(default_factory=dict)

    def add(self, box: Box) -> None:
        """Add a rectangle."""
        for cell in _cells(box):
            self.cells.setdefault(cell, []).append(len(self.boxes))
        self.boxes.append(box)

    def near(self, box: Box) -> list[Box]:
        """Return the rectangles in the cells of another one, in the order in which they were added."""
        found = {index for cell in _cells(box) for index in self.cells.get(cell, ())}
        return [self.boxes[index] for index in sorted(found)]


@dataclass(frozen=True, slots=True)
class Label:
    """A placed text: its anchor in pixels, the side of the anchor, and the end of its leader."""

    x: float
    y: float
    align: Align
    is_far: bool
    leader_y: float


def place(
    anchors: Sequence[tuple[float, float]],
    texts: Sequence[str],
    lines: Sequence[Sequence[tuple[float, float]]],
    frame: Box,
) -> tuple[Label, ...]:
    """Return one label per anchor, in order, each at the nearest free place, else where it covers least."""
    return _placed(tuple(anchors), tuple(texts), tuple(map(tuple, lines)), frame)


@lru_cache(maxsize=8)  # the themes of one chart have the same labels
def _placed(
    anchors: tuple[tuple[float, float], ...],
    texts: tuple[str, ...],
    lines: tuple[tuple[tuple[float, float], ...], ...],
    frame: Box,
) -> tuple[Label, ...]:
    taken, written = Boxes(), Boxes()
    for box in [_around(x, y, 6) for x, y in anchors] + [box for line in lines for box in _along(line)]:
        taken.add(box)
    labels = []
    for anchor, text in zip(anchors, texts, strict=True):
        best = float("inf")
        for candidate in _candidates(anchor):
            box = _box(candidate, text)
            cost = _covered(box, _leader(candidate, anchor), taken, written) + _outside(box, frame)
            if cost < best:
                label, best = candidate, cost
            if not cost:
                break
        labels.append(label)
        for box in (_box(label, text), *_leader(label, anchor)):
            written.add(box)
    return tuple(labels)


def _candidates(anchor: tuple[float, float]) -> list[Label]:
    """Return candidates by rising distance, so that the nearest of equally good ones is taken."""
    return [_label(anchor, right, down, distance) for distance in DISTANCES for right, down in DIRECTIONS]


def _label(anchor: tuple[float, float], right: int, down: int, distance: float) -> Label:
    sides: dict[int, Align] = {1: "left", 0: "center", -1: "right"}
    slanted = 0.75 if right and down else 1.0
    x, y = anchor[0] + right * slanted * distance, anchor[1] + down * slanted * distance
    return Label(
        x=x,
        y=y,
        align=sides[right],
        is_far=distance > DISTANCES[1],
        leader_y=y if right else y - down * LINE / 2,
    )


def _covered(box: Box, leader: list[Box], taken: Boxes, written: Boxes) -> float:
    """Return what a label would cover, px²: marks, lines and labels by its text, labels by its leader."""
    crossed = sum(piece.overlap(other) for piece in leader for other in written.near(piece))
    return sum(box.overlap(other) for other in (*taken.near(box), *written.near(box))) + crossed


def _box(label: Label, text: str) -> Box:
    width = len(text) * CHARACTER
    left = {"left": label.x, "center": label.x - width / 2, "right": label.x - width}[label.align]
    return Box(left, label.y - LINE / 2, left + width, label.y + LINE / 2)


def _leader(label: Label, anchor: tuple[float, float]) -> list[Box]:
    return _along([anchor, (label.x, label.leader_y)]) if label.is_far else []


def _around(x: float, y: float, reach: float) -> Box:
    return Box(x - reach, y - reach, x + reach, y + reach)


def _along(line: Sequence[tuple[float, float]]) -> list[Box]:
    steps = [index / SAMPLES for index in range(SAMPLES + 1)]
    return [
        _around(x0 + u * (x1 - x0), y0 + u * (y1 - y0), 2)
        for (x0, y0), (x1, y1) in pairwise(line)
        for u in steps
    ]


def _cells(box: Box) -> Iterator[tuple[int, int]]:
    for column in range(int(box.left // CELL), int(box.right // CELL) + 1):
        for row in range(int(box.top // CELL), int(box.bottom // CELL) + 1):
            yield column, row


def _outside(box: Box, frame: Box) -> float:
    """Return a hundred times the length outside of the frame: worse than covering anything."""
    sideways = max(0.0, frame.left - box.left) + max(0.0, box.right - frame.right)
    return 100 * (sideways + max(0.0, frame.top - box.top) + max(0.0, box.bottom - frame.bottom))
