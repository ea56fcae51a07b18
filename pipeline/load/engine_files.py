"""The engine catalogue of a recipes folder: ``engines/NAME/VERSION.json``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePosixPath

from pipeline.errors import ArtifactError, Problem
from pipeline.load.limits import Unreadable
from pipeline.load.nodes import Mark
from pipeline.schema.engine import Engine


def is_engine(path: str) -> bool:
    """Return whether a path below recipes/ is one of the engine catalogue."""
    place = PurePosixPath(path)
    return place.suffix == ".json" and len(place.parts) == 3 and place.parts[0] == "engines"


def engines(texts: Mapping[str, str | bytes | Unreadable], problems: list[Problem]) -> dict[str, Engine]:
    """Return the valid engine versions by ``NAME/VERSION``; a problem for every other file."""
    found: dict[str, Engine] = {}
    for path in filter(is_engine, sorted(texts)):
        place = PurePosixPath(path)
        name = f"{place.parts[1]}/{place.stem}"
        text = texts[path]
        if isinstance(text, Unreadable):
            problems.append(Mark(path, 1, 1).problem(text.why, "write the file itself here"))
            continue
        try:
            engine = Engine.from_json(text, where=path)
        except ArtifactError as error:
            hint = "make it again with nox -s catalogue (docs/engines.md)"
            problems.append(Mark(path, 1, 1).problem(error.what, hint))
            continue
        if name != f"{engine.engine}/{engine.version}":
            what = f"this file describes {engine.engine} {engine.version}, not {name.replace('/', ' ')}"
            problems.append(Mark(path, 1, 1).problem(what, "move it to engines/NAME/VERSION.json"))
            continue
        found[name] = engine
    return found
