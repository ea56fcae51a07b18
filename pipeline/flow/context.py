"""What every command is given: the shell, the clock, HTTP, the environment and the recipes folder."""

from __future__ import annotations

import secrets
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from pipeline import secret_values
from pipeline.edge import files
from pipeline.errors import PipelineError, Problem, RecipeError
from pipeline.load.limits import MAX_BYTES, MAX_FILES, Unreadable
from pipeline.plaintext import lines

if TYPE_CHECKING:
    from pipeline.edge.clock import Clock
    from pipeline.edge.http import HttpFactory
    from pipeline.edge.shell import Shell


@dataclass(frozen=True, slots=True)
class Context:
    """Everything outside, as arguments; ``recipes`` is the folder with skus.yaml."""

    shell: Shell
    clock: Clock
    recipes: Path
    is_terminal: bool = False
    env: Mapping[str, str] = field(default_factory=dict)
    http: HttpFactory = field(kw_only=True)

    def log(self, line: str) -> None:
        """Write a line to stderr; a closed stderr is ignored."""
        with suppress(OSError):
            sys.stderr.write(f"{lines(secret_values.without(line, secret_values.of(self.env)))}\n")
            sys.stderr.flush()

    def new_id(self) -> str:
        """Return a new time-sortable id, for a run that GitHub did not number or for what is planned together."""
        return f"{self.clock.now():%Y%m%dt%H%M%Sz}-{secrets.token_hex(2)}"


def recipes_root(start: Path) -> Path:
    """Return the recipes folder (the one with skus.yaml) that contains a path, or ``start/recipes``."""
    if not start.exists():
        raise PipelineError("no such folder", where=str(start))
    for folder in (start, *start.parents):
        for candidate in (folder, folder / "recipes"):
            if (candidate / "skus.yaml").is_file():
                return candidate
    raise PipelineError(
        "no recipes found", where=str(start), hint="run from a checkout, or name a path below recipes/"
    )


def texts(root: Path) -> dict[str, bytes | Unreadable]:
    """Return the YAML files below recipes/ and the engine catalogue by relative path.

    YAML files count whatever the spelling of their suffix; RecipeError for too many. What has the name of
    one and is no regular file, and a link to a folder, is ``Unreadable``.
    """
    found: dict[str, bytes | Unreadable] = {}
    for name, path in files.below(root, is_read=_is_text):
        if len(found) == MAX_FILES:
            what = f"more than {MAX_FILES} YAML files"
            raise RecipeError([Problem(name, 1, 1, what, "no repository of recipes needs as many")])
        why = files.why_unreadable(path, MAX_BYTES)
        found[name] = Unreadable(why) if why else read(path)
    return found


def _is_text(name: PurePosixPath) -> bool:
    return name.suffix.lower() in (".yaml", ".yml") or name.match("engines/*/*.json")


def read(path: Path) -> bytes:
    """Return the content of a file, or raise FileError."""
    return files.read(path)


def write(path: Path, content: str | bytes) -> None:
    """Create or replace a file as a whole; raise FileError."""
    files.write(path, content)
