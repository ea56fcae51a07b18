"""What a node is, said by a process in the container on it.

Also what of that contradicts the recipe or the other nodes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.deployment.driver import described
from pipeline.errors import FailureKind, LaunchError
from pipeline.schema.engine import release
from pipeline.schema.recipe import Recipe
from pipeline.schema.result import Gpu

PACKAGES = ("ai-dynamo", "ai-dynamo-runtime", "nixl", "nvidia-nccl-cu12", "nvidia-nccl-cu13", "torch", "vllm")
FILES = ("config.json", "tokenizer.json")
ENGINES = {"vllm": "vllm", "dynamo": "ai-dynamo"}  # name in a recipe -> package
UNKNOWN = "unknown"

# Needs Python 3 and nothing else. Arguments: folder of the answers, path of the model, packages and files as JSON.
PROGRAM = """\
import importlib.metadata as metadata, json, os, platform, subprocess, sys
folder, model, packages, files = sys.argv[1], sys.argv[2], json.loads(sys.argv[3]), json.loads(sys.argv[4])
def version(name):
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
def smi():
    try:
        return subprocess.run(["nvidia-smi", "-q", "-x"], capture_output=True, text=True, timeout=60).stdout
    except (OSError, subprocess.SubprocessError):
        return None
node = os.environ.get("SLURMD_NODENAME") or platform.node()
found = {
    "node": node,
    "machine": platform.machine(),
    "versions": {name: found for name in packages if (found := version(name))},
    "missing": [name for name in files if not os.access(os.path.join(model, name), os.R_OK)],
    "smi": smi(),
}
path = os.path.join(folder, node + ".json")
with open(path + ".new", "w") as file:
    json.dump(found, file)
os.rename(path + ".new", path)
"""


@dataclass(frozen=True, slots=True)
class NodeIdentity:
    """What one node said of itself."""

    node: str
    machine: str  # architecture
    versions: Mapping[str, str]  # of the packages that are installed
    missing: tuple[str, ...]  # files of the model that cannot be read there
    gpus: tuple[Gpu, ...] | None  # None = no driver

    @property
    def driver(self) -> str:
        """Version of the driver; empty without one."""
        return next((gpu.driver or "" for gpu in self.gpus or ()), "")


@dataclass(frozen=True, slots=True)
class Needs:
    """What a deployment needs of each node."""

    recipe: Recipe
    model_path: str
    gpus: int  # of a node; 0 where the engines are simulated
    one_domain: bool  # whether all GPUs must be in one NVLink domain


def arguments(model_path: str) -> list[str]:
    """Return the arguments of the program after the folder of the answers."""
    return [model_path, json.dumps(PACKAGES), json.dumps(FILES)]


def read(folder: Path) -> list[NodeIdentity]:
    """Return what the nodes have said so far, by name."""
    found = [json.loads(path.read_text("utf-8")) for path in sorted(folder.glob("*.json"))]
    return [_identity(one) for one in found]


def check(nodes: Sequence[NodeIdentity], needs: Needs) -> None:
    """Raise LaunchError for the first node that contradicts the recipe, or that is not like most of the others."""
    found = [(one.node, what) for one in nodes for what in _contradictions(one, needs)]
    for name, values in _shared(nodes, needs).items():
        common = max(values.values(), key=list(values.values()).count)
        others = [(node, value) for node, value in values.items() if value != common]
        found += [
            (node, f"{name} is {value or UNKNOWN}, on most nodes {common or UNKNOWN}")
            for node, value in others
        ]
    for node, what in found[:1]:
        hint = "repair the node, or exclude it: --exclude=NODE in site.sbatch_options"
        raise LaunchError(what, where=f"node {node}", hint=hint, kind=FailureKind.CONTRADICTION)


def versions(nodes: Sequence[NodeIdentity]) -> dict[str, str]:
    """Return the versions in the image, and that of the driver where there is one; all nodes have the same."""
    first = nodes[0]
    return {**first.versions, **({"driver": first.driver} if first.driver else {})}


def gpus(nodes: Sequence[NodeIdentity]) -> tuple[Gpu, ...] | None:
    """Return the GPUs of all nodes; None where no driver answers."""
    return tuple(gpu for one in nodes for gpu in one.gpus or ()) or None


def _contradictions(node: NodeIdentity, needs: Needs) -> Iterator[str]:
    if node.missing:
        yield f"no readable {', '.join(node.missing)} in {needs.model_path}"
    if not needs.gpus:
        return
    count = len(node.gpus or ())
    if count < needs.gpus:
        yield f"{count} GPUs answer, {needs.gpus} are needed"
    for engine, package in ENGINES.items():
        wanted, found = needs.recipe.versions.get(engine), node.versions.get(package)
        if wanted and found is None:
            yield f"no {package} in the image; the recipe names {wanted}"
        elif wanted and found and release(wanted) != release(found):
            yield f"{package} {found} in the image; the recipe names {wanted}"


def _shared(nodes: Sequence[NodeIdentity], needs: Needs) -> dict[str, dict[str, str]]:
    """Return what must be equal on all nodes: the name of the property, and its value by node."""
    found = {
        "the architecture": {one.node: one.machine for one in nodes},
        "the driver": {one.node: one.driver for one in nodes},
        "the kind of GPU": {one.node: _one(gpu.name for gpu in one.gpus or ()) for one in nodes},
    }
    for package in PACKAGES:
        found[f"the version of {package}"] = {one.node: one.versions.get(package, "") for one in nodes}
    if needs.one_domain:
        found["the NVLink domain"] = {one.node: _one(_domain(gpu) for gpu in one.gpus or ()) for one in nodes}
    return found


def _domain(gpu: Gpu) -> str:
    return f"{gpu.fabric_cluster or ''}/{gpu.fabric_clique or ''}"


def _one(values: Iterator[str | None]) -> str:
    return ", ".join(sorted({value or "" for value in values}))


def _identity(raw: dict[str, Any]) -> NodeIdentity:
    gpus = described(raw["smi"], raw["node"]) if raw["smi"] else None
    return NodeIdentity(raw["node"], raw["machine"], raw["versions"], tuple(raw["missing"]), gpus)
