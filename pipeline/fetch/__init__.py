"""Room: result folders of a run, from GitHub to this disk. What comes is a zip that anybody may have packed."""

from pipeline.fetch.artifacts import Candidate, candidates, download
from pipeline.fetch.unpack import unpack

__all__ = ["Candidate", "candidates", "download", "unpack"]
