"""Everything outside of the process that a launcher or a measure uses."""

from __future__ import annotations

from dataclasses import dataclass, field

from pipeline.edge.clock import Clock
from pipeline.edge.http import Http
from pipeline.edge.journal import Journal
from pipeline.edge.shell import Shell


@dataclass(frozen=True, slots=True)
class Clients:
    """Access to programs, servers and time."""

    shell: Shell
    http: Http
    clock: Clock
    journal: Journal = field(default_factory=Journal)
