"""All launchers by the name that a cluster document calls them."""

from __future__ import annotations

from typing import Final

from pipeline.launch import local
from pipeline.launch.base import Launcher

LAUNCHERS: Final[dict[str, Launcher]] = {"local": local}
