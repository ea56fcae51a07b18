"""Numbers in the documentation are run, so that they stay true."""

from __future__ import annotations

import doctest
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"


def test_the_worked_numbers_of_comparing_are_what_the_code_gives():
    failed, ran = doctest.testfile(str(DOCS / "comparing.md"), module_relative=False, encoding="utf-8")
    assert (failed, ran > 15) == (0, True)
