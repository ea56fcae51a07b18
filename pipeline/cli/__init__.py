"""Front door: arguments and environment in, exit code out. The only catch-all."""

from __future__ import annotations

import argparse
import io
import os
import platform
import signal
import sys
import traceback
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from pipeline import __version__
from pipeline.cli import compare, dispatching, github, live, measuring, recipes, reporting, reviewing
from pipeline.cli.arguments import Verb, Verbs
from pipeline.edge.interrupts import INTERRUPTS
from pipeline.errors import InterruptedRunError, PipelineError, RecipeError
from pipeline.flow.context import Context, recipes_root

if TYPE_CHECKING:
    from pipeline.edge.http import HttpDownloads

BUG = 1
FONTS = Path(__file__).parents[1] / "render" / "fonts.conf"  # of a machine: none


def main(argv: Sequence[str] | None = None) -> NoReturn:
    """Run one verb and exit with its code."""
    sys.exit(run(sys.argv[1:] if argv is None else argv, os.environ))


def run(argv: Sequence[str], env: Mapping[str, str]) -> int:
    """Run one verb; every expected failure becomes a message on stderr and its exit code."""
    _settle_libraries()
    arguments = parser(env).parse_args(argv)
    _heed_signals()
    sys.stderr = sys.stderr or io.StringIO()  # it was closed
    try:
        verb: Verb = arguments.verb
        return verb(arguments, _world(arguments, env))
    except RecipeError as error:
        _annotate(error, env)
        _tell(f"{error}\n{error.what}")
        return error.exit_code
    except PipelineError as error:
        _tell(f"error: {error}")
        return error.exit_code
    except KeyboardInterrupt as error:
        _tell(f"{error}" or "interrupted")
        return InterruptedRunError.exit_code
    except BrokenPipeError:
        os.dup2(
            os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno()
        )  # the reader of our stdout has gone; not our error
        return 0
    except Exception:
        traceback.print_exc()
        _tell(
            f"this is a bug; rackbench {__version__}, Python {platform.python_version()}, {platform.platform()}"
        )
        return BUG


def _tell(text: str) -> None:
    with suppress(OSError):  # nobody reads it: the exit code stands
        print(text, file=sys.stderr)


def _heed_signals() -> None:
    for number in INTERRUPTS:
        if signal.getsignal(number) is not signal.SIG_IGN:  # as nohup asks
            signal.signal(number, _interrupt)


def _interrupt(number: int, _frame: object) -> None:
    """The first is heard, and none after it: what is being taken down is taken down whole."""
    for one in INTERRUPTS:
        signal.signal(one, signal.SIG_IGN)
    raise InterruptedRunError(f"interrupted by signal {number}")


def _settle_libraries() -> None:
    """Dynamo logs to stderr and its transformers import remarks on a missing PyTorch; neither concerns a replay. Pictures know no fonts."""
    for name, value in {
        "DYN_LOG": "error",
        "TRANSFORMERS_VERBOSITY": "critical",
        "HF_HUB_OFFLINE": "1",
    }.items():
        os.environ.setdefault(name, value)
    os.environ["FONTCONFIG_FILE"] = str(FONTS)


def _world(arguments: argparse.Namespace, env: Mapping[str, str]) -> Context:
    from pipeline.edge.clock import SystemClock
    from pipeline.edge.shell import Shell

    named = getattr(arguments, "paths", None) or []
    start = Path(named[0]) if named and Path(named[0]).exists() else Path.cwd()
    root = _recipes(arguments, start.resolve())
    return Context(Shell(), SystemClock(), root, sys.stderr.isatty(), env, http=_http)


def _http(*, through_proxy: bool = True) -> HttpDownloads:
    from pipeline.edge.http import SystemHttp

    return SystemHttp(through_proxy=through_proxy)


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


def parser(env: Mapping[str, str]) -> argparse.ArgumentParser:
    """Everything that ``python -m pipeline`` understands; defaults that GitHub Actions knows come from ``env``."""
    top = argparse.ArgumentParser(
        prog="python -m pipeline", description="Benchmarks of disaggregated LLM recipes on NVL72 racks."
    )
    top.add_argument("--version", action="version", version=f"rackbench {__version__}")
    verbs = Verbs(top.add_subparsers(metavar="VERB", required=True))
    recipes.add(verbs)
    measuring.add(verbs, env)
    dispatching.add(verbs, env)
    reviewing.add(verbs, env)
    live.add(verbs, env)
    reporting.add(verbs, env)
    compare.add(verbs)
    github.add(verbs, env)
    return top
