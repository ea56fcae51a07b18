"""The range of values that a printed figure may have been rounded from, and arithmetic on such ranges."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Self

from pipeline.schema.claims import Operand
from pipeline.schema.lint import Figure

SLACK = 1e-9  # relative; floating point must not make a finding


@dataclass(frozen=True, slots=True)
class Interval:
    """A printed figure and the range of values that are printed like it; positive."""

    value: float
    low: float
    high: float
    decimals: int | None = None  # None = exact

    @classmethod
    def printed(cls, value: float, decimals: int) -> Self:
        """Return the range of half a last digit to both sides.

        >>> Interval.printed(0.38, 2).low, Interval.printed(0.38, 2).high
        (0.375, 0.385)
        """
        half = 0.5 * 10**-decimals
        return cls(
            value, max(0.0, round(value - half, decimals + 2)), round(value + half, decimals + 2), decimals
        )

    @classmethod
    def exact(cls, value: float) -> Self:
        """Return an exact figure."""
        return cls(value, value, value)

    @classmethod
    def of(cls, operand: Operand) -> Self:
        """Return a printed figure for a quoted operand, an exact one for a bare number."""
        if not isinstance(operand, str):
            return cls.exact(operand)
        return cls.printed(float(operand), len(operand.partition(".")[2]))

    @classmethod
    def cell(cls, value: float, decimals: int | None) -> Self:
        """Return a figure of a column; without decimals it is exact."""
        return cls.exact(value) if decimals is None else cls.printed(value, decimals)

    def __mul__(self, other: Interval) -> Interval:
        return Interval(self.value * other.value, self.low * other.low, self.high * other.high)

    def __truediv__(self, other: Interval) -> Interval:
        return Interval(
            self.value / other.value, self.low / other.high, self.high / other.low if other.low else math.inf
        )

    def meets(self, other: Interval) -> bool:
        """Return whether some unrounded values agree."""
        return self.low <= other.high * (1 + SLACK) and other.low <= self.high * (1 + SLACK)

    def holds(self, value: float) -> bool:
        """Return whether a value would be printed as this figure."""
        return self.low * (1 - SLACK) <= value <= self.high * (1 + SLACK)

    @property
    def figure(self) -> Figure:
        """The figure as a document."""
        return Figure(value=self.value, decimals=self.decimals)
