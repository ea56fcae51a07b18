"""engine: the catalogue entry of an engine version, made from its wheel."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

from pipeline import engines
from pipeline.edge.files import sha256
from pipeline.errors import ArtifactError
from pipeline.flow.context import Context, read, write


def write_entry(context: Context, path: Path, out: Path | None) -> Path:
    """Write the entry of a wheel, and return its path: NAME/VERSION.json below ``out`` or the engine catalogue."""
    content = read(path)
    wheel = engines.Wheel(path.name, sha256(content))
    engine = engines.extract(wheel, _sources(wheel, path, content))
    target = (out or context.recipes / "engines") / engine.engine / f"{engine.version}.json"
    write(target, engine.to_json())
    return target


def _sources(wheel: engines.Wheel, path: Path, content: bytes) -> dict[str, str]:
    """Return the source files of a wheel that are needed, by path; nothing is imported."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            names = [name for name in archive.namelist() if engines.is_read(wheel, name)]
            return {name: archive.read(name).decode("utf-8") for name in names}
    except (zipfile.BadZipFile, UnicodeDecodeError, EOFError) as error:
        hint = "download it again"
        raise ArtifactError(f"not a readable wheel: {error}", where=str(path), hint=hint) from error
