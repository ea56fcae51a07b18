"""Bundle the shims: one file each, which is all that an action's folder may hold, since act copies it for every job.

``python -m tests.act.bundle NODE_BIN OUT`` installs the locked npm packages below OUT first.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
BANNER = "--banner:js=import{createRequire}from'node:module';const require=createRequire(import.meta.url);"


def bundle(node: Path, out: Path) -> None:
    """Every shim, ready for act, below ``out``/shims."""
    npm = node.parent / "lib/node_modules/npm/bin/npm-cli.js"
    out.mkdir(parents=True, exist_ok=True)
    for name in ("package.json", "package-lock.json"):
        shutil.copy(HERE / name, out / name)
    shutil.rmtree(out / "shims", ignore_errors=True)
    shutil.copytree(HERE / "shims", out / "shims")
    run = [node / "node", npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    subprocess.run(list(map(str, run)), cwd=out, check=True)
    for source in sorted((out / "shims").glob("*/source.mjs")):
        words = [
            "--bundle",
            "--platform=node",
            "--target=node20",
            "--format=esm",
            "--keep-names",
            "--log-level=warning",
            BANNER,
        ]
        target = f"--outfile={source.with_name('index.mjs')}"
        build = [node / "node", out / "node_modules/esbuild/bin/esbuild", source, *words, target]
        subprocess.run(list(map(str, build)), cwd=out, check=True)
        source.unlink()


if __name__ == "__main__":
    bundle(Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve())
