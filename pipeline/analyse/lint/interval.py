"""What a printed figure may have been before it was rounded, and what follows from several of them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Self

from pipeline.schema.claims import Operand

SLACK = 1e-9  # relative; floating point must not make a finding


@dataclass(frozen=True, slots=True)
class Interval:
    """A figure at face value and the range that its printing leaves open; positive."""

    value: float
    low: float
    high: float
    decimals: int | None = None  # None = exact

    @classmethod
    def printed(cls, value: float, decimals: int) -> Self:
        """Half a last digit to both sides.

        >>> Interval.printed(0.38, 2).low, Interval.printed(0.38, 2).high
        (0.375, 0.385)
        """
        half = 0.5 * 10**-decimals
        return cls(
            value, max(0.0, round(value - half, decimals + 2)), round(value + half, decimals + 2), decimals
        )

    @classmethod
    def exact(cls, value: float) -> Self:
        """A figure that is known as it is."""
        return cls(value, value, value)

    @classmethod
    def of(cls, operand: Operand) -> Self:
        """A quoted operand is printed, a bare one exact."""
        if not isinstance(operand, str):
            return cls.exact(operand)
        return cls.printed(float(operand), len(operand.partition(".")[2]))

    @classmethod
    def cell(cls, value: float, decimals: int | None) -> Self:
        """A figure of a column; one that says no decimals is taken as exact."""
        return cls.exact(value) if decimals is None else cls.printed(value, decimals)

    def __mul__(self, other: Interval) -> Interval:
        return Interval(self.value * other.value, self.low * other.low, self.high * other.high)

    def __truediv__(self, other: Interval) -> Interval:
        return Interval(
            self.value / other.value, self.low / other.high, self.high / other.low if other.low else math.inf
        )

    def meets(self, other: Interval) -> bool:
        """Whether some unrounded values agree."""
        return self.low <= other.high * (1 + SLACK) and other.low <= self.high * (1 + SLACK)

    def holds(self, value: float) -> bool:
        """Whether a value would print as this."""
        return self.low * (1 - SLACK) <= value <= self.high * (1 + SLACK)

    def text(self) -> str:
        """As it is printed."""
        return f"{self.value:.15g}" if self.decimals is None else f"{self.value:.{self.decimals}f}"


def as_printed(value: float, decimals: int) -> str:
    """A computed value with as many decimals as the figure it stands against; one more digit where it would print as zero."""
    enough = max(decimals, -math.floor(math.log10(abs(value)))) if value else decimals
    return f"{value:.{enough}f}"
