"""What a download of a run brought, job by job."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import ArtifactError


@dataclass(slots=True)
class Fetched:
    """Folders that were downloaded, folders that were complete before, and jobs without a complete attempt."""

    new: list[Path]
    known: list[Path]
    lost: list[ArtifactError]

    def error(self, where: str) -> ArtifactError | None:
        """Return one error for all jobs without a complete attempt; None when there are none."""
        if not self.lost:
            return None
        what = f"{len(self.lost)} jobs have no complete artifact: " + "; ".join(map(str, self.lost))
        hint = "the others are downloaded; run the same command again"
        return ArtifactError(what, where=where, hint=hint)
