"""All launchers, by their name in cluster documents."""

from __future__ import annotations

from typing import Final

from pipeline.launch import local, slurm
from pipeline.launch.base import Launcher

LAUNCHERS: Final[dict[str, Launcher]] = {"local": local, "slurm": slurm}
