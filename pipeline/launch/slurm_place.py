"""The head tray of a Slurm job as a place: its files on shared storage, its network and programs through steps."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from pipeline.edge.files import file_errors
from pipeline.edge.place import Files
from pipeline.edge.relay import RelayedHttp
from pipeline.edge.shell import Shell
from pipeline.launch.slurm_script import STEP

# All that a step gets of this machine's variables.
KEPT = ("HOME", "LANG", "PATH", "USER")


class SlurmPlace(Files):
    """Steps of a job on one node; folders of this machine are copied to the folder of the job."""

    def __init__(self, shell: Shell, prefix: Sequence[str], inside: Sequence[str], folder: Path) -> None:
        self._prefix, self._inside, self._folder = list(prefix), list(inside), folder
        self.http = RelayedHttp(shell, lambda argv: self._step("relay", argv), folder / "logs" / "relay.log")

    def command(self, argv: Sequence[str]) -> list[str]:
        """Return the command line of a step beside the frontend, in the container of the client if there is one."""
        return self._step("client", argv, *self._inside)

    def path(self, folder: Path) -> Path:
        """Return the folder of the job that has the name of this one."""
        return self._folder / "work" / folder.name

    def put(self, folder: Path) -> None:
        """Copy a folder to the folder of the job."""
        with file_errors("write", self.path(folder)):
            shutil.copytree(folder, self.path(folder))

    def get(self, folder: Path) -> None:
        """Copy what this machine lacks from the folder of the job."""
        with file_errors("write", folder):
            for path in sorted(self.path(folder).rglob("*")):
                here = folder / path.relative_to(self.path(folder))
                if path.is_file() and not here.exists():
                    here.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copyfile(path, here)

    @contextmanager
    def scratch(self, prefix: str) -> Iterator[dict[str, str]]:
        """Lend what each step makes and removes itself, on its node."""
        del prefix
        yield {}

    def _step(self, name: str, argv: Sequence[str], *inside: str) -> list[str]:
        return [*self._prefix, f"--job-name={name}", *inside, "bash", "-c", STEP, "step", name, *argv]


def prefix(job: str, node: str, variables: dict[str, str]) -> list[str]:
    """Return the start of the command line of a step on a node of a job."""
    export = ",".join([*KEPT, *(f"{name}={value}" for name, value in variables.items())])
    where = [f"--jobid={job}", "--overlap", "--nodes=1", "--ntasks=1", f"--nodelist={node}"]
    return [
        "srun",
        *where,
        "--kill-on-bad-exit=1",
        "--mpi=none",
        "--unbuffered",
        f"--export={export}",
    ]
