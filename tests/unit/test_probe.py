"""What a node says of itself, and what of that ends a launch."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys

import pytest

from pipeline.errors import FailureKind, LaunchError
from pipeline.launch import probe
from pipeline.launch.probe import Needs, NodeIdentity
from pipeline.schema.result import Gpu
from tests.fakes.launch_specs import GB200, MODEL, spec

RECIPE = spec(GB200, run_id="r").job.recipe
NEEDS = Needs(RECIPE, "/models/x", gpus=4, one_domain=True)


def gpu(index: int, **changes: str) -> Gpu:
    fields = dict.fromkeys(Gpu.model_fields)
    stated = {
        "node": "n",
        "index": str(index),
        "name": "NVIDIA GB200",
        "driver": "580.65",
        "fabric_clique": "7",
    }
    return Gpu.model_validate({**fields, **stated, "fabric_cluster": "c1", **changes})


def node(number: int, *, gpus: int = 4, **changes: str) -> NodeIdentity:
    versions = {"vllm": "0.20.0", "ai-dynamo": "1.2.0.dev20260426"}
    found = tuple(gpu(index, **changes) for index in range(gpus))
    return NodeIdentity(f"gb{number:02}", "aarch64", versions, (), found)


def refused(*nodes: NodeIdentity, needs: Needs = NEEDS) -> LaunchError:
    with pytest.raises(LaunchError) as caught:
        probe.check(nodes, needs)
    assert caught.value.kind is FailureKind.CONTRADICTION
    return caught.value


def test_nodes_that_are_alike_and_fit_the_recipe_pass():
    nodes = [node(1), node(2), node(3)]
    probe.check(nodes, NEEDS)
    assert probe.versions(nodes) == {"vllm": "0.20.0", "ai-dynamo": "1.2.0.dev20260426", "driver": "580.65"}
    assert len(probe.gpus(nodes) or ()) == 12


@pytest.mark.parametrize(
    ("odd", "said"),
    [
        (node(2, driver="575.1"), "the driver is 575.1, on most nodes 580.65"),
        (node(2, name="NVIDIA GB300"), "the kind of GPU is NVIDIA GB300"),
        (node(2, fabric_clique="8"), "the NVLink domain is c1/8"),
        (node(2, gpus=3), "3 GPUs answer, 4 are needed"),
        (dataclasses.replace(node(2), machine="x86_64"), "the architecture is x86_64"),
        (
            dataclasses.replace(node(2), missing=("tokenizer.json",)),
            "no readable tokenizer.json in /models/x",
        ),
        (dataclasses.replace(node(2), versions={"ai-dynamo": "1.2.0"}), "no vllm in the image"),
        (
            dataclasses.replace(node(2), versions={"vllm": "0.25.1", "ai-dynamo": "1.2.0"}),
            "vllm 0.25.1 in the image; the recipe names 0.20.0",
        ),
    ],
)
def test_a_node_that_contradicts_recipe_or_neighbours_is_named_with_what_differs(odd, said):
    error = refused(node(1), odd, node(3))
    assert error.where == "node gb02"
    assert said in error.what


def test_gpus_of_a_site_that_may_leave_its_domain_may_be_in_several():
    nodes = [node(1), node(2, fabric_clique="8"), node(3)]
    probe.check(nodes, dataclasses.replace(NEEDS, one_domain=False))


def test_simulated_engines_need_neither_gpus_nor_versions_but_the_same_on_all_nodes():
    needs = dataclasses.replace(NEEDS, gpus=0)
    bare = [NodeIdentity(f"gb0{number}", "x86_64", {"ai-dynamo": "1.4.2"}, (), None) for number in (1, 2, 3)]
    probe.check(bare, needs)
    assert probe.gpus(bare) is None
    other = dataclasses.replace(bare[0], versions={"ai-dynamo": "1.6.1"})
    assert refused(other, *bare[1:], needs=needs).where == "node gb01"


def test_the_program_says_versions_and_missing_files_without_a_driver(tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    for name, model in (("gb01", MODEL), ("gb02", empty)):
        argv = [sys.executable, "-c", probe.PROGRAM, str(tmp_path), *probe.arguments(str(model))]
        subprocess.run(argv, check=True, env={"SLURMD_NODENAME": name, "PATH": os.defpath})
    whole, bare = probe.read(tmp_path)
    assert (whole.node, whole.missing, whole.gpus) == ("gb01", (), None)
    assert whole.versions["ai-dynamo"] == "1.4.2"
    assert bare.missing == probe.FILES
