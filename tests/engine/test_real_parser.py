"""The engine catalogue and generated command lines, held to the parser of the vLLM that is installed beside."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from pipeline import cli, load
from pipeline.deployment.command_line import grouped
from pipeline.flow.context import texts
from pipeline.flow.recipes import commands_of
from pipeline.schema.recipe import ROLES
from tests.golden.regenerate import RECIPES, recipe_set

PARSER = Path(__file__).with_name("real_parser.py")
VERSION = "0.32.0"
DYNAMO = "1.6.1"
COMPUTED = {"mm-processor-device"}  # its choices depend on the platform that vLLM runs on


def asked(*argvs: list[str]) -> dict[str, Any]:
    """What the real parser says to these argument lists."""
    ran = subprocess.run(
        [os.environ["ENGINE"], str(PARSER)],
        input=json.dumps(argvs),
        capture_output=True,
        text=True,
        check=True,
    )
    found: dict[str, Any] = json.loads(ran.stdout[ran.stdout.index('{"version"') :])
    return found


def test_the_catalogue_describes_the_options_of_the_real_parser() -> None:
    found = asked()
    assert found["version"] == VERSION
    known = recipe_set().catalogue.engines[f"vllm/{VERSION}"].options
    described = {
        name: {
            "aliases": sorted(one.aliases),
            "negatable": one.negatable,
            "nargs": one.nargs,
            "choices": sorted(map(str, one.choices)) if one.choices else None,
        }
        for name, one in known.items()
    }
    assert described.keys() == found["options"].keys()
    differing = {name for name, one in described.items() if one != found["options"][name]}
    assert differing == COMPUTED


def test_the_parser_refuses_what_the_catalogue_refuses() -> None:
    refused = [["--max-num-seqs", "many"], ["--moe-backend", "nothing"], ["--no-such-option"], ["--no-max-num-seqs"],
               ["--attention-config", '{"use_fp4_indexer_cache": true}']]  # fmt: skip
    taken = [["--max-num-seqs", "3"], ["--no-enable-prefix-caching"], ["--cudagraph-capture-sizes", "1", "2"]]
    errors = asked(*refused, *taken)["errors"]
    assert [error is None for error in errors] == [False] * len(refused) + [True] * len(taken), errors


def vllm_part(argv: tuple[str, ...], own: set[str]) -> list[str]:
    """The arguments of a worker without those of Dynamo's wrapper."""
    words: list[str] = []
    for option, values in grouped(list(argv[argv.index("-m") + 2 :])):
        if option not in own:
            words += [f"--{option}", *values]
    return words


@pytest.fixture(scope="module")
def upgraded(tmp_path_factory: pytest.TempPathFactory) -> load.RecipeSet:
    folder = tmp_path_factory.mktemp("upgraded") / "recipes"
    shutil.copytree(RECIPES, folder)
    cli.run(["upgrade", "*", "--vllm", VERSION, "--dynamo", DYNAMO, "--write", "--recipes", str(folder)], {})
    return load.read(texts(folder))


def test_every_command_line_of_every_translated_recipe_parses(upgraded: load.RecipeSet) -> None:
    dynamo = upgraded.catalogue.engines[f"dynamo/{DYNAMO}"]
    own = set(dynamo.options) | {f"no-{name}" for name in dynamo.options}
    lines = {
        f"{recipe.id} {one.name}": vllm_part(one.argv, own)
        for recipe in upgraded.recipes.values()
        for one in commands_of(upgraded, recipe)
        if one.role in ROLES
    }
    errors = dict(zip(lines, asked(*lines.values())["errors"], strict=True))
    assert {name: error for name, error in errors.items() if error} == {}
    assert len(lines) > 100
