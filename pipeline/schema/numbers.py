"""Numbers in a table: plain decimal digits within the range of what anyone measures, counts or pays."""

from __future__ import annotations

import re
from typing import Final

NUMBER: Final = re.compile(r"[-+]?([0-9]{1,30}(\.[0-9]{0,30})?|\.[0-9]{1,30})([eE][-+]?[0-9]{1,3})?")
COUNT: Final = re.compile(r"[-+]?[0-9]{1,18}")
SMALLEST: Final = 1e-12
LARGEST: Final = 1e15


def figure(text: str) -> float | None:
    """Return the number of a cell; None where it is none, or of a size that no quantity has.

    >>> figure("1.5e3"), figure("5e-324"), figure("2_0"), figure("\u0663"), figure("nan"), figure("0")
    (1500.0, None, None, None, None, 0.0)
    """
    if not NUMBER.fullmatch(text):
        return None
    value = float(text)
    return value if value == 0 or SMALLEST <= abs(value) <= LARGEST else None


def count(text: str) -> int | None:
    """Return the integer of a cell, or None where it is none.

    >>> count("20"), count("2_0"), count("2.0")
    (20, None, None)
    """
    return int(text) if COUNT.fullmatch(text) else None
