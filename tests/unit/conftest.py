"""Properties are tried on the same examples each time, and no slow moment of a machine is taken for a slow function."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("gate", deadline=None, derandomize=True)
settings.load_profile("gate")
