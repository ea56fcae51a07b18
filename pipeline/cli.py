"""Front door: arguments and environment in, exit code out. The only catch-all."""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import signal
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NoReturn

from pipeline import __version__
from pipeline.errors import InterruptedRunError, PipelineError, RecipeError
from pipeline.flow.world import World, recipes_root

Verb = Callable[[argparse.Namespace, World], int]
BUG, GATE = 1, 20


def main(argv: Sequence[str] | None = None) -> NoReturn:
    """Run one verb and exit with its code."""
    sys.exit(run(sys.argv[1:] if argv is None else argv, os.environ))


def run(argv: Sequence[str], env: Mapping[str, str]) -> int:
    """Run one verb; every expected failure becomes a message on stderr and its exit code."""
    _quiet_libraries()
    arguments = parser(env).parse_args(argv)
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        verb: Verb = arguments.verb
        return verb(arguments, _world(arguments))
    except RecipeError as error:
        _annotate(error, env)
        print(f"{error}\n{error.what}", file=sys.stderr)
        return error.exit_code
    except PipelineError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return InterruptedRunError.exit_code
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the reader of our stdout has gone; not our error
        return 0
    except Exception:
        traceback.print_exc()
        print(f"this is a bug; rackbench {__version__}, Python {platform.python_version()}, {platform.platform()}", file=sys.stderr)
        return BUG


def _interrupt(number: int, _frame: object) -> None:
    raise InterruptedRunError(f"interrupted by signal {number}")


def _quiet_libraries() -> None:
    """Dynamo logs to stderr and its transformers import remarks on a missing PyTorch; neither concerns a replay."""
    for name, value in {"DYN_LOG": "error", "TRANSFORMERS_VERBOSITY": "critical", "HF_HUB_OFFLINE": "1"}.items():
        os.environ.setdefault(name, value)


def _world(arguments: argparse.Namespace) -> World:
    from pipeline.edge.clock import SystemClock
    from pipeline.edge.shell import Shell

    named = getattr(arguments, "paths", None) or []
    start = Path(named[0]) if named and Path(named[0]).exists() else Path.cwd()
    return World(Shell(), SystemClock(), _recipes(arguments, start.resolve()), sys.stderr.isatty())


def _recipes(arguments: argparse.Namespace, start: Path) -> Path:
    """The recipes folder: stated, or the one around the named file or the current folder."""
    stated: Path | None = arguments.recipes
    if stated is None and not arguments.needs_recipes:
        return start
    return recipes_root(start) if stated is None else recipes_root(stated.resolve())


def _annotate(error: RecipeError, env: Mapping[str, str]) -> None:
    if env.get("GITHUB_ACTIONS") == "true":
        from pipeline.edge.actions import annotate

        for problem in error.problems:
            annotate(problem)


# Verbs: one function each; arguments in, exit code out.


def validate(arguments: argparse.Namespace, world: World) -> int:
    from pipeline.flow import recipes

    problems = recipes.validate(world, arguments.paths)
    errors = sum(problem.severity == "error" for problem in problems)
    if arguments.json:
        fields = ("path", "line", "col", "severity", "what", "hint")
        print(json.dumps([{field: getattr(problem, field) for field in fields} for problem in problems], indent=1, ensure_ascii=False))
    else:
        print("".join(f"{problem}\n" for problem in problems), end="")
    if arguments.annotate:
        from pipeline.edge.actions import annotate

        for problem in problems:
            annotate(problem)
    world.say(f"{errors} error{'s' * (errors != 1)}, {len(problems) - errors} warning{'s' * (len(problems) - errors != 1)}")
    return RecipeError.exit_code if errors else 0


def show(arguments: argparse.Namespace, world: World) -> int:
    from pipeline.flow import showing

    print(showing.show(world, arguments.recipe, arguments.how, as_json=arguments.json), end="")
    return 0


def fit(arguments: argparse.Namespace, world: World) -> int:
    from pipeline.flow import showing

    text, fits = showing.fit(world, arguments.recipe, arguments.sku, as_json=arguments.json)
    print(text, end="")
    return 0 if fits else RecipeError.exit_code


def plan(arguments: argparse.Namespace, world: World) -> int:
    from pipeline.flow import planning

    wish = planning.Wish(
        cluster=arguments.cluster,
        event=arguments.event,
        select=arguments.select,
        since=arguments.since,
        skip_measured=arguments.skip_measured,
        shard=arguments.shard,
        out=arguments.out,
    )
    made = planning.plan(world, wish)
    if arguments.github:
        try:
            with Path(arguments.github_output).open("a", encoding="utf-8") as outputs:
                outputs.write(planning.github_outputs(made))
        except OSError as error:
            raise PipelineError(f"cannot be written: {error.strerror}", where=f"$GITHUB_OUTPUT {arguments.github_output}") from error
    hours = [job.gpu_hours for job in made.jobs if job.gpu_hours is not None]
    cost = f"{sum(hours):.1f} GPU-hours" if hours else "GPU-hours"
    cost += "" if len(hours) == len(made.jobs) else f"{' and' if hours else ''} unknown for {len(made.jobs) - len(hours)}"
    world.say(f"{len(made.jobs)} jobs for {made.cluster.id} → {arguments.out}; on a rack: {cost}")
    for one in made.left_out:
        world.say(f"left out: {one.recipe}: {one.reason}")
    return 0


def run_plan(arguments: argparse.Namespace, world: World) -> int:
    from pipeline.flow import measuring

    wish = measuring.Run(
        plan=arguments.plan,
        out=arguments.out,
        job=arguments.job,
        quick=arguments.quick,
        seed=arguments.seed,
        run_id=arguments.run_id or measuring.new_run_id(world),
        attempt=arguments.attempt,
        workers=arguments.workers,
    )
    for folder in measuring.run(world, wish):
        print(folder)
    return 0


def calibrate(arguments: argparse.Namespace, world: World) -> int:
    from pipeline.flow import calibrating

    print(calibrating.calibrate(world, arguments.points, arguments.out, workers=arguments.workers), end="")
    return 0


def ingest(arguments: argparse.Namespace, world: World) -> int:
    from pipeline.flow import telling

    summaries = telling.ingest(arguments.folders, arguments.history)
    if arguments.json:
        print(json.dumps([summary.model_dump() for summary in summaries], indent=1))
    for one in summaries:
        world.say(
            f"run {one.run_id} attempt {one.attempt}: {one.jobs_new} new, {one.jobs_known} known{f' → {one.path}' if one.path else ''}"
        )
    return 0


def retract(arguments: argparse.Namespace, world: World) -> int:
    from pipeline import store

    at = world.clock.now().isoformat(timespec="seconds")
    store.retract(arguments.history, arguments.run_id, arguments.attempt, reason=arguments.reason, who=arguments.who, at=at)
    world.say(f"run {arguments.run_id} is retracted: every reader of {arguments.history} leaves it out from now on")
    return 0


def query(arguments: argparse.Namespace, _world: World) -> int:
    from pipeline.flow import telling

    print(telling.query(arguments.history, arguments.sql, as_json=arguments.json), end="")
    return 0


def report(arguments: argparse.Namespace, world: World) -> int:
    from pipeline import render
    from pipeline.flow import telling

    made = telling.report(world, telling.Wish(arguments.definition, arguments.history, arguments.run_id, arguments.out))
    world.say(render.headline(made))
    print(arguments.out / "index.html")
    return GATE if arguments.gate and made.verdict == "worse" else 0


def drift(arguments: argparse.Namespace, world: World) -> int:
    from pipeline.flow import telling

    moved = telling.drift(arguments.kept, arguments.new, tolerance=arguments.tolerance)
    print(moved, end="")
    world.say(f"{'moved' if moved else 'nothing moved'} by more than {arguments.tolerance:.1%} against {arguments.kept}")
    return GATE if moved else 0


def schema(arguments: argparse.Namespace, world: World) -> int:
    from pipeline.flow import recipes

    stale = recipes.write_schemas(world, check=arguments.check)
    for path in stale:
        world.say(f"{'not fresh' if arguments.check else 'written'}: {path}")
    return RecipeError.exit_code if arguments.check and stale else 0


# The words of the command line.


def parser(env: Mapping[str, str]) -> argparse.ArgumentParser:
    """Everything that ``python -m pipeline`` understands; defaults that GitHub Actions knows come from ``env``."""
    top = argparse.ArgumentParser(prog="python -m pipeline", description="Benchmarks of disaggregated LLM recipes on NVL72 racks.")
    top.add_argument("--version", action="version", version=f"rackbench {__version__}")
    verbs = _Verbs(top.add_subparsers(metavar="VERB", required=True))
    _recipe_verbs(verbs)
    _measuring_verbs(verbs, env)
    _telling_verbs(verbs, env)
    return top


class _Verbs:
    """Adds verbs, each with an example in its help."""

    def __init__(self, subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
        self.subparsers = subparsers

    def add(self, name: str, verb: Verb, promise: str, example: str, *, needs_recipes: bool = True) -> argparse.ArgumentParser:
        words = self.subparsers.add_parser(
            name,
            help=promise,
            description=promise[0].upper() + promise[1:] + ".",
            epilog=f"example: python -m pipeline {name} {example}",
        )
        words.add_argument("--recipes", type=Path, metavar="DIR", help="recipes folder (default: the one around the current folder)")
        words.set_defaults(verb=verb, needs_recipes=needs_recipes)
        return words


def _number(low: int, high: int | None = None) -> Callable[[str], int]:
    def number(text: str) -> int:
        value = int(text)
        if value < low or (high is not None and value > high):
            raise ValueError
        return value

    number.__name__ = f"number of {low} or more" if high is None else f"number from {low} to {high}"  # argparse: invalid NAME value
    return number


def _words(text: str) -> str:
    if not text.strip():
        raise ValueError
    return text


def _run_id(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.]*(-[A-Za-z0-9_.]+)*", text):
        raise ValueError
    return text


def _share(text: str) -> float:
    value = float(text)
    if not 0 <= value < 1:
        raise ValueError
    return value


def _recipe_verbs(verbs: _Verbs) -> None:
    words = verbs.add("validate", validate, "find every mistake of all recipes, or of these files", "recipes/deepseek-v4-pro-fp4")
    words.add_argument("paths", nargs="*", type=Path, metavar="PATH")
    words.add_argument("--json", action="store_true")
    words.add_argument("--annotate", action="store_true", help="also print GitHub annotations")
    example = "deepseek-v4-pro-fp4.gb300-nvl72.8k1k.6p1d-dep4-dep8 --commands"
    words = verbs.add("show", show, "show a recipe with everything it inherits, or what it starts", example)
    words.add_argument("recipe")
    which = words.add_mutually_exclusive_group()
    which.add_argument(
        "--commands",
        dest="how",
        action="store_const",
        const="commands",
        default="resolved",
        help="argv and environment of every process on the rack",
    )
    which.add_argument("--origin", dest="how", action="store_const", const="origin", help="where each value came from")
    words.add_argument("--json", action="store_true")
    words = verbs.add("fit", fit, "judge HBM by component, with verdict and headroom", "'deepseek-v4-pro-fp4.*' --sku gb200-nvl72")
    words.add_argument("recipe", nargs="+", help="recipe id or glob")
    words.add_argument("--sku", help="judge on another SKU than the recipe's")
    words.add_argument("--json", action="store_true")
    words = verbs.add("schema", schema, "write the JSON Schemas of the YAML files", "--check")
    words.add_argument("--check", action="store_true", help="only say which are not fresh")


def _measuring_verbs(verbs: _Verbs, env: Mapping[str, str]) -> None:
    words = verbs.add("plan", plan, "choose what runs on a cluster", "--cluster laptop --select '*gb300*' --out plan.json")
    words.add_argument("--cluster", required=True, metavar="NAME")
    words.add_argument("--event", choices=["nightly", "pull-request", "dispatch"], default="dispatch")
    words.add_argument("--select", default="*", metavar="GLOB", help="over recipe ids")
    words.add_argument("--since", metavar="REV", help="only what measures something else than at this git revision")
    words.add_argument("--skip-measured", metavar="HISTORY", help="leave out what this history has measured already")
    words.add_argument("--shard", default="1/1", metavar="I/N")
    words.add_argument("--out", type=Path, required=True, metavar="FILE")
    words.add_argument("--github", action="store_true", help="also append the matrix outputs to $GITHUB_OUTPUT")
    words.set_defaults(github_output=env.get("GITHUB_OUTPUT", os.devnull))
    words = verbs.add("run", run_plan, "measure a plan, or one job of it", "plan.json --out results", needs_recipes=False)
    words.add_argument("plan", type=Path)
    words.add_argument("--job", metavar="ID")
    words.add_argument(
        "--quick", action="store_true", help="one request per concurrency instead of the recipe's ten; kept apart from full runs"
    )
    words.add_argument("--seed", type=_number(0, 2**32 - 1), metavar="N", help="another draw of the request lengths")
    words.add_argument("--out", type=Path, required=True, metavar="DIR")
    words.add_argument("--workers", type=_number(1), default=os.cpu_count() or 1, metavar="N", help="jobs at once (default: one a core)")
    words.add_argument("--run-id", type=_run_id, default=env.get("GITHUB_RUN_ID") or None, help="default: GitHub's, else a new one")
    words.add_argument("--attempt", type=_number(1), default=env.get("GITHUB_RUN_ATTEMPT") or "1")
    example = "reports/published/2026-05-22-gb300-vs-gb200.csv --out timing.json"
    words = verbs.add("calibrate", calibrate, "fit timing parameters to measured or published points", example)
    words.add_argument("points", type=Path)
    words.add_argument("--out", type=Path, required=True, metavar="FILE")
    words.add_argument("--workers", type=_number(1), default=os.cpu_count() or 1, metavar="N")


def _telling_verbs(verbs: _Verbs, env: Mapping[str, str]) -> None:
    words = verbs.add("ingest", ingest, "store result folders in a history", "results --history history", needs_recipes=False)
    words.add_argument("folders", nargs="+", type=Path, metavar="DIR")
    words.add_argument("--history", required=True, metavar="URL")
    words.add_argument("--json", action="store_true")
    words = verbs.add(
        "retract", retract, "take a run out of every later reading", "123 --reason 'wrong image' --history history", needs_recipes=False
    )
    words.add_argument("run_id", metavar="RUN")
    words.add_argument("--attempt", type=_number(1), help="default: every attempt")
    words.add_argument("--reason", type=_words, required=True)
    words.add_argument("--who", default=env.get("GITHUB_ACTOR") or env.get("USER") or "unknown")
    words.add_argument("--history", required=True, metavar="URL")
    sql = '"select recipe, conc, total_tok_s_gpu from points" --history history'
    words = verbs.add("query", query, "ask a history in SQL (table `points`)", sql, needs_recipes=False)
    words.add_argument("sql")
    words.add_argument("--json", action="store_true")
    words.add_argument("--history", required=True, metavar="URL")
    words = verbs.add("report", report, "render a report", "reports/gb300-vs-gb200.yaml --history history --out build/report")
    words.add_argument("definition", type=Path)
    words.add_argument("--history", metavar="URL", help="default: the data.json that the report keeps")
    words.add_argument("--run-id", metavar="RUN", help="report this run; default: the newest of each recipe")
    words.add_argument("--out", type=Path, required=True, metavar="DIR")
    words.add_argument("--gate", action="store_true", help=f"exit {GATE} when the verdict is worse")
    words = verbs.add(
        "drift",
        drift,
        "say what a new report does not reproduce of a kept one",
        "reports/NAME/data.json build/report/data.json",
        needs_recipes=False,
    )
    words.add_argument("kept", type=Path)
    words.add_argument("new", type=Path)
    words.add_argument("--tolerance", type=_share, default=0.005, help="relative; default 0.005")
