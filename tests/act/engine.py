"""The real Actions engine (act, host mode) on a repository of its own: what a test starts, and what it can ask of a run afterwards."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tests.act.results import Results

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
REPOSITORY = "acme/rackbench"
TOKEN = "token-of-the-test"
LABELS = (
    "ubuntu-latest",
    "gb200-slurm",
    "gb300-k8s",
)  # never `self-hosted`: a label that nobody has must not run
PASSED = ("PATH", "SSL_CERT_FILE", "UV_CACHE_DIR", "PIP_CACHE_DIR", "http_proxy", "https_proxy", "no_proxy")
PATIENCE_S = 1800
DENIED = "Skipping unsupported platform"


@dataclass(frozen=True, slots=True)
class Run:
    """What one run left: its lines as act prints them."""

    lines: list[dict[str, Any]]
    code: int

    def results(self, job: str) -> dict[str, str]:
        """Result of each job whose name contains ``job``."""
        return {
            line["job"]: line["jobResult"]
            for line in self.lines
            if "jobResult" in line and job in line["job"]
        }

    def steps(self, job: str) -> dict[str, str]:
        """Result of each step of the jobs whose name contains ``job``."""
        return {
            line["step"]: line["stepResult"]
            for line in self.lines
            if "stepResult" in line and job in line["job"] and "step" in line
        }

    def text(self, job: str = "") -> str:
        """Everything that was printed, of the jobs whose name contains ``job``."""
        return "".join(
            f"{line.get('msg', '').rstrip()}\n" for line in self.lines if job in line.get("job", "")
        )

    @property
    def jobs(self) -> set[str]:
        """Names of the jobs that ran a step."""
        return {line["job"] for line in self.lines if "stepResult" in line}


@dataclass(slots=True)
class Engine:
    """A repository with its remotes below ``folder``, and how act is called on it."""

    folder: Path
    shims: Path
    act: Path
    results: Results
    variables: dict[str, str] = field(default_factory=dict)
    has_uv: bool = False  # as runners that are set up for it have; without it a job brings its own

    @property
    def work(self) -> Path:
        return self.folder / "work"

    def remote(self, repository: str = REPOSITORY) -> Path:
        return self.folder / "remotes" / f"{repository}.git"

    def seed(self) -> None:
        """The project as it stands, untracked files included, as the only commit of the remote's main."""
        listed = git(ROOT, "ls-files", "-co", "--exclude-standard", "-z").split("\0")
        for name in filter(None, listed):
            if (ROOT / name).is_file():
                (self.work / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / name, self.work / name)
        git(self.folder, "init", "-q", "--bare", "-b", "main", str(self.remote()))
        git(self.remote(), "config", "uploadpack.allowAnySHA1InWant", "true")
        git(self.work, "init", "-q", "-b", "main")
        git(self.work, "remote", "add", "origin", f"file://{self.remote()}")
        self.commit("The project as it stands")

    def commit(self, message: str, *, branch: str = "main", repository: str = REPOSITORY) -> str:
        """Commit the work tree and push it; gives the commit."""
        if not self.remote(repository).exists():
            shutil.copytree(self.remote(), self.remote(repository))
        git(self.work, "add", "-A")
        git(self.work, "commit", "-q", "--allow-empty", "-m", message)
        git(self.work, "push", "-q", f"file://{self.remote(repository)}", f"HEAD:refs/heads/{branch}")
        return git(self.work, "rev-parse", "HEAD").strip()

    def run(
        self, event: str, workflow: str, payload: Mapping[str, Any], *, run_id: int, attempt: int = 1
    ) -> Run:
        """One run of a workflow; AssertionError when a job was left out because nothing has its labels."""
        self.results.attempt = attempt
        scratch = self.folder / f"run-{run_id}-{attempt}"
        for name in ("home", "xdg", "cache"):
            (scratch / name).mkdir(parents=True)
        (scratch / "event.json").write_text(json.dumps(payload))
        given = {
            "GITHUB_RUN_ID": run_id,
            "GITHUB_RUN_ATTEMPT": attempt,
            "GITHUB_RUN_NUMBER": run_id,
            "GITHUB_REPOSITORY": REPOSITORY,
            "GITHUB_API_URL": self.results.url,
            "SHIM_REMOTES": self.folder / "remotes",
        }
        argv = [
            self.act,
            event,
            "-W",
            f".github/workflows/{workflow}",
            "-e",
            scratch / "event.json",
            "--rm",
            "--json",
        ]
        argv += [word for label in LABELS for word in ("-P", f"{label}=-self-hosted")]
        argv += [
            "--container-daemon-socket",
            "-",
            "--no-cache-server",
            "--action-offline-mode",
            "--no-skip-checkout",
        ]
        argv += ["--action-cache-path", scratch / "cache", "--artifact-server-path", scratch / "artifacts"]
        argv += ["--artifact-server-addr", "127.0.0.1", "--artifact-server-port", "0"]
        argv += [word for name, value in given.items() for word in ("--env", f"{name}={value}")]
        argv += [
            word
            for name, value in _local(self.shims).items()
            for word in ("--local-repository", f"{name}={value}")
        ]
        argv += [word for name, value in self.variables.items() for word in ("--var", f"{name}={value}")]
        argv += ["-s", f"GITHUB_TOKEN={TOKEN}", "--actor", "octocat", "--defaultbranch", "main"]
        outside = {name: os.environ[name] for name in PASSED if name in os.environ}
        outside |= {name: value for name, value in os.environ.items() if name.startswith("PIP_")}
        if self.has_uv:
            (scratch / "bin").mkdir()
            (scratch / "bin/uv").symlink_to(self.act.with_name("uv"))
            outside["PATH"] = f"{scratch / 'bin'}:{outside['PATH']}"
        home = {
            "HOME": str(scratch / "home"),
            "XDG_CONFIG_HOME": str(scratch / "xdg"),
            "XDG_CACHE_HOME": str(scratch / "home/.cache"),
        }
        env = {
            "UV_CACHE_DIR": str(Path.home() / ".cache/uv"),
            "PIP_CACHE_DIR": str(Path.home() / ".cache/pip"),
            **outside,
            **home,
        }
        done = subprocess.run(
            list(map(str, argv)),
            cwd=self.work,
            env={**env, "ACTIONS_RUNTIME_URL": f"{self.results.url}/"},
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )
        (scratch / "log.jsonl").write_text(done.stdout + done.stderr)
        shutil.rmtree(scratch / "home")
        said = (done.stdout + "\n" + done.stderr).splitlines()
        made = Run([json.loads(line) for line in said if line.startswith("{")], done.returncode)
        assert DENIED not in made.text(), made.text()
        assert not any(line.get("level") == "fatal" for line in made.lines), done.stderr
        return made

    def published(self, branch: str, path: str = "") -> str:
        """A file of a branch of the remote; without a path, the names of all its files."""
        return (
            git(self.remote(), "show", f"{branch}:{path}")
            if path
            else git(self.remote(), "ls-tree", "-r", "--name-only", branch)
        )


def git(where: Path, *words: str) -> str:
    """Run git as somebody; its output."""
    identity = ["-c", "user.name=Test", "-c", "user.email=test@example.com", "-c", "commit.gpgsign=false"]
    where.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(["git", *identity, *words], cwd=where, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def pinned(folder: Path) -> set[str]:
    """Every ``owner/name@commit`` that the workflows and local actions use."""
    found = set()
    for path in folder.rglob("*.yml"):
        found |= {
            step
            for step in _uses(yaml.safe_load(path.read_text(encoding="utf-8")))
            if not step.startswith("./")
        }
    return found


def _uses(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        for key, value in node.items():
            yield from [value] if key == "uses" else _uses(value)
    elif isinstance(node, list):
        for item in node:
            yield from _uses(item)


def _local(shims: Path) -> dict[str, Path]:
    """Every pinned action by the shim of its name; one without a shim is not given, and act then fails the job that wants it."""
    return {
        use: shims / use.split("@")[0].rsplit("/", 1)[-1]
        for use in pinned(ROOT / ".github")
        if (shims / use.split("@")[0].rsplit("/", 1)[-1]).is_dir()
    }
