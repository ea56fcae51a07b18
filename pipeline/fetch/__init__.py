"""Package: download the result folders of a workflow run. A downloaded zip is not trusted."""

from pipeline.fetch.artifacts import Candidate, candidates, download
from pipeline.fetch.outcome import Fetched
from pipeline.fetch.unpack import unpack

__all__ = ["Candidate", "Fetched", "candidates", "download", "unpack"]
