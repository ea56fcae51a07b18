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

from pipeline import __version__, secret_values
from pipeline.cli import (
    compare,
    dispatching,
    github,
    history,
    live,
    llms,
    measuring,
    recipes,
    report,
    reviewing,
)
from pipeline.cli.arguments import Verb, Verbs, program
from pipeline.edge.interrupts import INTERRUPTS
from pipeline.errors import InterruptedRunError, PipelineError, RecipeError
from pipeline.flow.context import Context, recipes_root
from pipeline.plaintext import lines

if TYPE_CHECKING:
    from pipeline.edge.http import HttpDownloads

BUG = 1
FONTS = Path(__file__).parents[1] / "render" / "fonts.conf"  # hides the fonts of the machine


def main(argv: Sequence[str] | None = None) -> NoReturn:
    """Run one verb and exit with its code."""
    sys.exit(run(sys.argv[1:] if argv is None else argv, os.environ))


def run(argv: Sequence[str], env: Mapping[str, str]) -> int:
    """Run one verb; every expected failure becomes a message on stderr and its exit code."""
    _configure_libraries()
    arguments = parser(env).parse_args(argv)
    _install_signal_handlers()
    sys.stderr = sys.stderr or io.StringIO()  # it was closed
    try:
        verb: Verb = arguments.verb
        return verb(arguments, _context(arguments, env))
    except RecipeError as error:
        _annotate(error, env)
        _print_error(f"{error}\n{error.what}", env)
        return error.exit_code
    except PipelineError as error:
        _print_error(f"error: {error}", env)
        return error.exit_code
    except KeyboardInterrupt as error:
        _print_error(f"{error}" or "interrupted", env)
        return InterruptedRunError.exit_code
    except BrokenPipeError:
        # the reader of stdout (such as `head`) has ended, which is no error
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception:
        _print_error(traceback.format_exc().rstrip(), env)
        _print_error(
            f"this is a bug; rackbench {__version__}, Python {platform.python_version()}, {platform.platform()}",
            env,
        )
        return BUG


def _print_error(text: str, env: Mapping[str, str]) -> None:
    with suppress(OSError):  # stderr was closed: the exit code stands
        print(lines(secret_values.without(text, secret_values.of(env))), file=sys.stderr)


def _install_signal_handlers() -> None:
    for number in INTERRUPTS:
        if signal.getsignal(number) is not signal.SIG_IGN:  # as nohup asks
            signal.signal(number, _interrupt)


def _interrupt(number: int, _frame: object) -> None:
    """Raise on the first signal and ignore later ones, so that shutting down is not interrupted."""
    for one in INTERRUPTS:
        signal.signal(one, signal.SIG_IGN)
    raise InterruptedRunError(f"interrupted by signal {number}")


def _configure_libraries() -> None:
    """Silence what Dynamo and transformers log, which does not concern a replay, and hide the machine's fonts from pictures."""
    for name, value in {
        "DYN_LOG": "error",
        "TRANSFORMERS_VERBOSITY": "critical",
        "HF_HUB_OFFLINE": "1",
    }.items():
        os.environ.setdefault(name, value)
    os.environ["FONTCONFIG_FILE"] = str(FONTS)


def _context(arguments: argparse.Namespace, env: Mapping[str, str]) -> Context:
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
    """Return the recipes folder: stated, or the one around the named file or the current folder."""
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
    """Return the parser of the whole command line; defaults that GitHub Actions knows come from ``env``."""
    top = argparse.ArgumentParser(
        prog=program(),
        description="Benchmarks of disaggregated LLM recipes on NVL72 racks.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("--version", action="version", version=f"rackbench {__version__}")
    verbs = Verbs(top.add_subparsers(title="verbs", metavar="VERB", required=True, help="see below"))
    recipes.add(verbs.group("recipes"))
    llms.add(verbs)
    measuring.add(verbs.group("measurements"), env)
    live.add(verbs, env)
    history.add(verbs.group("history"), env)
    report.add(verbs.group("reports"))
    compare.add(verbs)
    reviewing.add(verbs.group("GitHub"), env)
    dispatching.add(verbs, env)
    github.add(verbs, env)
    top.epilog = f"{verbs.overview()}\n\n{top.prog} VERB --help shows the arguments of a verb and an example."
    return top
