"""The interface between a launcher and a measure: a deployment that answers.

It is live, so it is never stored.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.edge.place import Place
from pipeline.schema.endpoint import DeploymentChange, Instance
from pipeline.schema.result import Gpu


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A deployment that is ready; valid only inside the ``with`` of its launcher."""

    url: str  # of the frontend, without a path, as seen from its place
    served_name: str
    tokenizer: str  # folder with the model's tokenizer.json, at the same path here and in its place
    instances: tuple[Instance, ...]
    place: Place  # beside the frontend: the load client runs there
    frontend_log: Path  # in its place
    changes: Callable[[], list[DeploymentChange]]  # since the deployment was ready; empty while it is intact
    versions: dict[str, str]
    stages_s: dict[str, float]  # seconds from start to ready, by stage
    gpus: tuple[Gpu, ...] | None = None  # of all nodes; None = not asked, or no driver
    commands: dict[str, tuple[str, ...]] = field(default_factory=dict)  # argument list of each process
