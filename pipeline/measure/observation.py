"""The observation of one closed loop, and the assessment that its gates make of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from pipeline.measure.requests import Request
from pipeline.schema.endpoint import DeploymentChange


@dataclass(frozen=True, slots=True)
class Observation:
    """One closed loop: its requests, and the state of client and deployment meanwhile. None = unknown."""

    conc: int
    sent: int  # requests that the loop was to send
    requests: tuple[Request, ...]
    client: str = ""  # why the client failed
    changes: tuple[DeploymentChange, ...] = ()  # of the deployment during the loop
    cut_streams: int | None = None  # streams that the frontend reports as lost
    migrations: int | None = None
    served: dict[str, int | None] = field(default_factory=dict)  # requests by role, warm-up included
    expected_served: int | None = (
        None  # requests that each role should have served; None also where a client failed
    )
    shares: dict[str, dict[str, int | None]] = field(
        default_factory=dict
    )  # ``served`` by instance, where the frontend takes them in turn; otherwise empty
    clock_step_s: float | None = None  # wall clock minus monotonic clock, end minus start
    chunk: int = 1  # output tokens that a worker may send in one piece


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a point is invalid, or what could not be evaluated; stored as ``name: text``."""

    name: str
    text: str

    def __str__(self) -> str:
        return f"{self.name}: {self.text}"


@dataclass(frozen=True, slots=True)
class Assessment:
    """Why a point is invalid, and what could not be evaluated.

    Both are empty for a valid point with a full evaluation.
    """

    reasons: tuple[Reason, ...]
    not_evaluated: tuple[Reason, ...]
    effective_conc: float | None
    steady_s: float


Gate = Callable[[Observation], str]  # returns what is wrong, or an empty text
