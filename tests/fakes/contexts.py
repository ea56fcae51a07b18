"""A context of one folder, with the real shell and clock."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pipeline.edge.clock import SystemClock
from pipeline.edge.http import SystemHttp
from pipeline.edge.shell import Shell
from pipeline.flow.context import Context


def context(folder: Path, **changed: Any) -> Context:
    return Context(
        **{"shell": Shell(), "clock": SystemClock(), "recipes": folder, "http": SystemHttp, **changed}
    )
